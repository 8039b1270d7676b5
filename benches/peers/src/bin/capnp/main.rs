//! Cap'n Proto over TCP.

use std::{net::SocketAddr, process::ExitCode, rc::Rc};

use capnp::Error;
use capnp_rpc::{Disconnector, RpcSystem, rpc_twoparty_capnp::Side, twoparty::VatNetwork};
use capnweb_peers::{Load, Report, Result, Serve, check, listen, mebibyte, run, unsupported};
use futures_util::{
    AsyncReadExt,
    io::{BufReader, BufWriter},
};
use service_capnp::service;
use tokio::{net::TcpStream, task::LocalSet};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// What `build.rs` writes.
#[allow(
    elided_lifetimes_in_paths,
    unused_qualifications,
    reason = "generated code"
)]
mod service_capnp {
    include!(concat!(env!("OUT_DIR"), "/service_capnp.rs"));
}

/// How many calls a chain has.
const CHAIN: u32 = 10;

struct Target {
    level: u32,
}

impl service::Server for Target {
    async fn add(
        self: Rc<Self>,
        params: service::AddParams,
        mut results: service::AddResults,
    ) -> std::result::Result<(), Error> {
        let params = params.get()?;
        results.get().set_sum(params.get_a() + params.get_b());
        Ok(())
    }

    async fn echo(
        self: Rc<Self>,
        params: service::EchoParams,
        mut results: service::EchoResults,
    ) -> std::result::Result<(), Error> {
        results.get().set_bytes(params.get()?.get_bytes()?);
        Ok(())
    }

    async fn child(
        self: Rc<Self>,
        _: service::ChildParams,
        mut results: service::ChildResults,
    ) -> std::result::Result<(), Error> {
        let level = self.level + 1;
        let child = capnp_rpc::new_client(Self { level });
        results.get().set_child(child);
        Ok(())
    }

    async fn value(
        self: Rc<Self>,
        _: service::ValueParams,
        mut results: service::ValueResults,
    ) -> std::result::Result<(), Error> {
        results.get().set_level(self.level);
        Ok(())
    }
}

fn main() -> ExitCode {
    // Its objects stay on the thread they were made on.
    run(
        |options| async { LocalSet::new().run_until(serve(options)).await },
        |options| async { LocalSet::new().run_until(load(options)).await },
    )
}

async fn serve(options: Serve) -> Result {
    supported(&options.over)?;
    let listener = listen().await?;
    loop {
        let (socket, _) = listener.accept().await?;
        let network = network(socket, Side::Server)?;
        let main: service::Client = capnp_rpc::new_client(Target { level: 0 });
        let system = RpcSystem::new(network, Some(main.client));
        tokio::task::spawn_local(system);
    }
}

async fn load(load: Load) -> Result<Report> {
    supported(&load.over)?;
    let at = load.at;
    match &*load.case {
        "calls" => {
            let (client, _session) = connect(at).await?;
            load.local_tasks(1, move || add(client.clone())).await
        }
        "chains" => {
            let (client, _session) = connect(at).await?;
            load.local_tasks(1, move || chain(client.clone())).await
        }
        "bytes" => {
            let (client, _session) = connect(at).await?;
            let bytes = Rc::new(mebibyte());
            let units = bytes.len() as u64;
            load.local_tasks(units, move || echo(client.clone(), bytes.clone()))
                .await
        }
        "connect" => {
            let step = move || async move {
                let (client, session) = connect(at).await?;
                add(client).await?;
                Ok(session.await?)
            };
            load.local_tasks(1, step).await
        }
        "idle" => {
            let open = || async {
                let session = connect(at).await?;
                add(session.0.clone()).await?;
                Ok(session)
            };
            load.hold(open).await
        }
        other => unsupported(format!("no case {other} with capnp-rpc")),
    }
}

fn supported(over: &str) -> Result {
    match over {
        "tcp" => Ok(()),
        other => unsupported(format!("no {other} with capnp-rpc")),
    }
}

type Network =
    VatNetwork<BufReader<futures_util::io::ReadHalf<tokio_util::compat::Compat<TcpStream>>>>;

fn network(socket: TcpStream, side: Side) -> Result<Box<Network>> {
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.compat().split();
    Ok(Box::new(VatNetwork::new(
        BufReader::new(reader),
        BufWriter::new(writer),
        side,
        Default::default(),
    )))
}

/// The main object of a new session, and what ends the session: it outlives its objects.
async fn connect(at: SocketAddr) -> Result<(service::Client, Disconnector<Side>)> {
    let network = network(TcpStream::connect(at).await?, Side::Client)?;
    let mut system = RpcSystem::new(network, None);
    let client: service::Client = system.bootstrap(Side::Server);
    let disconnector = system.get_disconnector();
    tokio::task::spawn_local(system);
    Ok((client, disconnector))
}

async fn add(client: service::Client) -> Result {
    let mut request = client.add_request();
    request.get().set_a(2.0);
    request.get().set_b(3.0);
    let response = request.send().promise.await?;
    check(response.get()?.get_sum(), 5.0)
}

async fn chain(client: service::Client) -> Result {
    let mut object = client;
    for _ in 1..CHAIN {
        object = object.child_request().send().pipeline.get_child();
    }
    let response = object.value_request().send().promise.await?;
    check(response.get()?.get_level(), CHAIN - 1)
}

async fn echo(client: service::Client, bytes: Rc<Vec<u8>>) -> Result {
    let mut request = client.echo_request();
    request.get().set_bytes(&bytes);
    let response = request.send().promise.await?;
    check(response.get()?.get_bytes()?, bytes.as_slice())
}
