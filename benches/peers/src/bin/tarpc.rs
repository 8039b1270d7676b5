//! tarpc: its own framing over TCP, encoded as bincode or JSON.

use std::{net::SocketAddr, process::ExitCode};

use capnweb_peers::{Load, Report, Result, Serve, check, listen, mebibyte, run, unsupported};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tarpc::{
    ClientMessage, Response, client, context,
    serde_transport::{self, Transport},
    server::{self, BaseChannel, Channel},
    tokio_serde::{
        Deserializer, Serializer,
        formats::{Bincode, Json},
    },
    tokio_util::codec::LengthDelimitedCodec,
};
use tokio::net::TcpStream;

/// More than the number in flight, so that nothing waits.
const ROOM: usize = 20_000;

#[tarpc::service]
trait Service {
    async fn add(a: f64, b: f64) -> f64;
    async fn echo(bytes: ByteBuf) -> ByteBuf;
}

#[derive(Clone)]
struct Target;

impl Service for Target {
    async fn add(self, _: context::Context, a: f64, b: f64) -> f64 {
        a + b
    }

    async fn echo(self, _: context::Context, bytes: ByteBuf) -> ByteBuf {
        bytes
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Bincode,
    Json,
}

fn main() -> ExitCode {
    run(serve, load)
}

async fn serve(options: Serve) -> Result {
    let encoding = supported(&options.over, options.encoding.as_deref())?;
    let listener = listen().await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        match encoding {
            Encoding::Bincode => tokio::spawn(answer(transport(socket, Bincode::default()))),
            Encoding::Json => tokio::spawn(answer(transport(socket, Json::default()))),
        };
    }
}

/// Answers a client's calls until it disconnects.
async fn answer<T>(transport: T)
where
    T: tarpc::Transport<Response<ServiceResponse>, ClientMessage<ServiceRequest>> + Send + 'static,
{
    let config = server::Config {
        pending_response_buffer: ROOM,
    };
    let responses = BaseChannel::new(config, transport).execute(Target.serve());
    responses
        .for_each(|response| async {
            tokio::spawn(response);
        })
        .await;
}

async fn load(load: Load) -> Result<Report> {
    let encoding = supported(&load.over, load.encoding.as_deref())?;
    let at = load.at;
    match &*load.case {
        "calls" => {
            let client = connect(at, encoding).await?;
            load.tasks(1, move || add(client.clone())).await
        }
        "bytes" if encoding == Encoding::Json => {
            unsupported("tarpc's JSON has bytes as arrays of numbers only")
        }
        "bytes" => {
            let client = connect(at, encoding).await?;
            let bytes = ByteBuf::from(mebibyte());
            let units = bytes.len() as u64;
            load.tasks(units, move || echo(client.clone(), bytes.clone()))
                .await
        }
        "connect" => {
            let step = move || async move { add(connect(at, encoding).await?).await };
            load.tasks(1, step).await
        }
        "idle" => {
            let open = || async {
                let client = connect(at, encoding).await?;
                add(client.clone()).await?;
                Ok(client)
            };
            load.hold(open).await
        }
        other => unsupported(format!("no case {other} with tarpc")),
    }
}

fn supported(over: &str, encoding: Option<&str>) -> Result<Encoding> {
    match (over, encoding) {
        ("tcp", Some("bincode")) => Ok(Encoding::Bincode),
        ("tcp", None | Some("json")) => Ok(Encoding::Json),
        ("tcp", Some(other)) => unsupported(format!("no {other} with tarpc")),
        _ => unsupported(format!("no {over} with tarpc")),
    }
}

fn transport<Item, SinkItem, Codec>(
    socket: TcpStream,
    codec: Codec,
) -> Transport<TcpStream, Item, SinkItem, Codec>
where
    Item: for<'de> Deserialize<'de>,
    SinkItem: Serialize,
    Codec: Serializer<SinkItem> + Deserializer<Item>,
{
    serde_transport::new(LengthDelimitedCodec::builder().new_framed(socket), codec)
}

async fn connect(at: SocketAddr, encoding: Encoding) -> Result<ServiceClient> {
    let mut config = client::Config::default();
    config.max_in_flight_requests = ROOM;
    config.pending_request_buffer = ROOM;
    let socket = TcpStream::connect(at).await?;
    socket.set_nodelay(true)?;
    Ok(match encoding {
        Encoding::Bincode => {
            ServiceClient::new(config, transport(socket, Bincode::default())).spawn()
        }
        Encoding::Json => ServiceClient::new(config, transport(socket, Json::default())).spawn(),
    })
}

async fn add(client: ServiceClient) -> Result {
    check(client.add(context::current(), 2.0, 3.0).await?, 5.0)
}

async fn echo(client: ServiceClient, bytes: ByteBuf) -> Result {
    let answer = client.echo(context::current(), bytes.clone()).await?;
    check(answer, bytes)
}
