//! jsonrpsee: JSON-RPC over WebSocket.

use std::{future::pending, net::SocketAddr, process::ExitCode, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use capnweb_peers::{Load, Report, Result, Serve, check, listen, mebibyte, run, unsupported};
use jsonrpsee::{
    core::{RpcResult, async_trait},
    proc_macros::rpc,
    server::{Server, ServerConfig},
    types::ErrorObjectOwned,
    ws_client::{WsClient, WsClientBuilder},
};

/// More than the number in flight, so that nothing waits or is refused.
const ROOM: u32 = 20_000;

#[rpc(client, server)]
trait Service {
    #[method(name = "add")]
    fn add(&self, a: f64, b: f64) -> RpcResult<f64>;

    /// Echoes bytes, as base64 since JSON has none.
    #[method(name = "echo")]
    fn echo(&self, bytes: String) -> RpcResult<String>;
}

struct Target;

#[async_trait]
impl ServiceServer for Target {
    fn add(&self, a: f64, b: f64) -> RpcResult<f64> {
        Ok(a + b)
    }

    fn echo(&self, bytes: String) -> RpcResult<String> {
        let bytes = BASE64_STANDARD
            .decode(bytes)
            .map_err(|error| ErrorObjectOwned::owned(-32602, error.to_string(), None::<()>))?;
        Ok(BASE64_STANDARD.encode(bytes))
    }
}

fn main() -> ExitCode {
    run(serve, load)
}

async fn serve(options: Serve) -> Result {
    supported(&options.over)?;
    let config = ServerConfig::builder()
        .ws_only()
        .max_connections(ROOM)
        .set_message_buffer_capacity(ROOM)
        .set_tcp_no_delay(true)
        .build();
    let listener = listen().await?.into_std()?;
    let server = Server::builder()
        .set_config(config)
        .build_from_tcp(listener)?;
    let _running = server.start(Target.into_rpc());
    pending().await
}

async fn load(load: Load) -> Result<Report> {
    supported(&load.over)?;
    let at = load.at;
    match &*load.case {
        "calls" => {
            let client = connect(at).await?;
            let step = move || add(client.clone());
            load.tasks(1, step).await
        }
        "bytes" => {
            let client = connect(at).await?;
            let bytes = Arc::new(mebibyte());
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
        other => unsupported(format!("no case {other} with jsonrpsee")),
    }
}

fn supported(over: &str) -> Result {
    match over {
        "websocket" => Ok(()),
        other => unsupported(format!("no {other} with jsonrpsee")),
    }
}

async fn connect(at: SocketAddr) -> Result<Arc<WsClient>> {
    let client = WsClientBuilder::default()
        .max_concurrent_requests(ROOM as usize)
        .set_tcp_no_delay(true)
        .build(format!("ws://{at}/"))
        .await?;
    Ok(Arc::new(client))
}

async fn add(client: Arc<WsClient>) -> Result {
    check(client.add(2.0, 3.0).await?, 5.0)
}

async fn echo(client: Arc<WsClient>, bytes: Arc<Vec<u8>>) -> Result {
    let answer = client.echo(BASE64_STANDARD.encode(&*bytes)).await?;
    check(BASE64_STANDARD.decode(answer)?, bytes.as_slice())
}
