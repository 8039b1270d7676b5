//! The floors: the cost of a call without a framework. No framework can be faster than its floor.
//!
//! | over | |
//! |---|---|
//! | `raw-tcp` | lines over TCP, echoed |
//! | `raw-websocket` | messages over tokio-tungstenite, echoed, flushed once per wake |
//! | `raw-websocket-flush` | the same, flushed one by one |
//! | `responder` | a minimal Cap'n Web server for `add`, over tokio-tungstenite; its load is the program `raw` |

use std::process::ExitCode;

use capnweb_peers::{Load, Report, Result, Serve, listen, run, unsupported};
use tokio::net::{TcpListener, TcpStream};
use websocket::Flush;

mod message;
mod responder;
mod tcp;
mod websocket;

fn main() -> ExitCode {
    run(serve, load)
}

async fn serve(options: Serve) -> Result {
    match &*options.over {
        "raw-tcp" => accept(listen().await?, tcp::echo).await,
        "raw-websocket" => {
            let echo = |socket| websocket::echo(socket, Flush::OnceAWake);
            accept(listen().await?, echo).await
        }
        "raw-websocket-flush" => {
            let echo = |socket| websocket::echo(socket, Flush::EachMessage);
            accept(listen().await?, echo).await
        }
        "responder" => accept(listen().await?, responder::respond).await,
        other => unsupported(format!("no floor {other}")),
    }
}

async fn load(load: Load) -> Result<Report> {
    match (&*load.case, &*load.over) {
        ("calls", "raw-tcp") => tcp::load(&load).await,
        ("calls", "raw-websocket") => websocket::load(&load, Flush::OnceAWake).await,
        ("calls", "raw-websocket-flush") => websocket::load(&load, Flush::EachMessage).await,
        ("calls", "responder") => unsupported("the program `raw` is the responder's load"),
        (case, over) => unsupported(format!("no case {case} over {over}")),
    }
}

/// Serves each connection in a separate task.
async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) -> Result
where
    F: Future<Output = Result> + Send + 'static,
{
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let served = serve(socket);
        tokio::spawn(async move {
            if let Err(failure) = served.await {
                eprintln!("a connection ended: {failure}");
            }
        });
    }
}
