//! tonic: gRPC over HTTP/2, unary calls.

use std::{net::SocketAddr, process::ExitCode};

use capnweb_peers::{Load, Report, Result, Serve, check, listen, mebibyte, run, unsupported};
use prost::bytes::Bytes;
use service::{service_client::ServiceClient, service_server::ServiceServer};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

/// Above what is in flight, so that nothing waits.
const ROOM: u32 = 20_000;

/// The windows of HTTP/2, above what `echo` sends: otherwise a MiB would wait for many of the peer's updates.
const WINDOW: u32 = 4 * 1024 * 1024;

#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(double, tag = "1")]
    a: f64,
    #[prost(double, tag = "2")]
    b: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sum {
    #[prost(double, tag = "1")]
    sum: f64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Payload {
    #[prost(bytes = "bytes", tag = "1")]
    bytes: Bytes,
}

/// What `build.rs` writes.
mod service {
    include!(concat!(env!("OUT_DIR"), "/capnweb.peers.Service.rs"));
}

struct Target;

#[tonic::async_trait]
impl service::service_server::Service for Target {
    async fn add(&self, request: Request<Pair>) -> std::result::Result<Response<Sum>, Status> {
        let Pair { a, b } = request.into_inner();
        Ok(Response::new(Sum { sum: a + b }))
    }

    async fn echo(
        &self,
        request: Request<Payload>,
    ) -> std::result::Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

fn main() -> ExitCode {
    run(serve, load)
}

async fn serve(options: Serve) -> Result {
    supported(&options.over)?;
    let incoming = TcpIncoming::from(listen().await?).with_nodelay(Some(true));
    Server::builder()
        .max_concurrent_streams(ROOM)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(ServiceServer::new(Target))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

async fn load(load: Load) -> Result<Report> {
    supported(&load.over)?;
    let at = load.at;
    match &*load.case {
        "calls" => {
            let client = connect(at).await?;
            load.tasks(1, move || add(client.clone())).await
        }
        "bytes" => {
            let client = connect(at).await?;
            let bytes = Bytes::from(mebibyte());
            let units = bytes.len() as u64;
            load.tasks(units, move || echo(client.clone(), bytes.clone()))
                .await
        }
        "connect" => {
            let step = move || async move { add(connect(at).await?).await };
            load.tasks(1, step).await
        }
        "idle" => {
            let open = || async {
                let client = connect(at).await?;
                add(client.clone()).await?;
                Ok(client)
            };
            load.hold(open).await
        }
        other => unsupported(format!("no case {other} with tonic")),
    }
}

fn supported(over: &str) -> Result {
    match over {
        "http2" => Ok(()),
        other => unsupported(format!("no {other} with tonic")),
    }
}

async fn connect(at: SocketAddr) -> Result<ServiceClient<Channel>> {
    let channel = Endpoint::from_shared(format!("http://{at}"))?
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .connect()
        .await?;
    Ok(ServiceClient::new(channel))
}

async fn add(mut client: ServiceClient<Channel>) -> Result {
    let answer = client.add(Pair { a: 2.0, b: 3.0 }).await?;
    check(answer.into_inner().sum, 5.0)
}

async fn echo(mut client: ServiceClient<Channel>, bytes: Bytes) -> Result {
    let payload = Payload {
        bytes: bytes.clone(),
    };
    check(client.echo(payload).await?.into_inner().bytes, bytes)
}
