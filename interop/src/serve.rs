//! `capnweb-interop serve`.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    http::Method,
    response::Response,
    routing::{MethodRouter, any},
};
use capnweb::{
    Encoding, Session, SessionOptions, StubType,
    axum::{Peer, Rpc, serve_with_shutdown},
    lines::{self, Listener, Server},
    webtransport::{self, Identity, Request, http::StatusCode},
    ws::Upgrade,
};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    arguments::Arguments, commons::Commons, main_object::main_object, ready, sessions::Sessions,
    signal,
};

/// The time limit for pending calls once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves a new main object to each connection. On every path, a POST is a batch and an upgrade is
/// a WebSocket; other methods return 405. At `/message-pack`, the messages of a WebSocket are
/// MessagePack. Pages of any origin may read the answers. If `webtransport` is an address, the
/// server also listens there, with a self-signed certificate. At the address `tcp` and the path
/// `unix`, it serves byte streams.
///
/// When it is told to stop, it accepts no more clients, answers pending calls, closes the
/// WebSockets with code 1012, and returns.
pub(crate) async fn serve(mut arguments: Arguments) -> Result<(), String> {
    let webtransport = arguments.take("webtransport");
    let (tcp, unix) = (arguments.take("tcp"), arguments.take("unix"));
    let service = Service {
        commons: Arc::default(),
        sessions: Sessions::default(),
        options: (arguments.session_options()?).with_peer_version(arguments.peer_version()?),
    };
    let app = Router::new()
        .route("/message-pack", service.packed())
        .fallback_service(service.rpc());
    let stop = stop()?;
    let (listener, bound) = ready::listen(&arguments.listen()).await?;
    let serving = serve_with_shutdown(listener, app, told(stop.clone()));
    let draining = async {
        told(stop.clone()).await;
        service.sessions.drain(GRACE).await;
    };
    let mut addresses = json!({ "addr": bound });
    if let Some(address) = tcp {
        let (listener, bound) = ready::listen(&address).await?;
        addresses["tcp"] = json!(bound);
        tokio::spawn(until(service.lines(listener), stop.clone()));
    }
    if let Some(path) = unix {
        let listener = unix::listen(&path)?;
        addresses["unix"] = json!(path);
        tokio::spawn(until(service.lines(listener), stop.clone()));
    }
    let served = match webtransport {
        None => {
            ready::tell(&addresses)?;
            tokio::join!(serving, draining).0
        }
        Some(address) => {
            let (at, serving_too) = service.webtransport(&address, told(stop.clone()))?;
            addresses["webtransport"] = at;
            ready::tell(&addresses)?;
            tokio::join!(serving, draining, serving_too).0
        }
    };
    // These are the connections that were accepted last.
    service.sessions.drain(GRACE).await;
    served.map_err(|error| format!("the server failed: {error}"))
}

/// Returns a receiver that becomes true when the process is told to stop.
fn stop() -> Result<watch::Receiver<bool>, String> {
    let stopped =
        signal::stopped().map_err(|error| format!("no signal can be awaited: {error}"))?;
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        stopped.await;
        stop.send_replace(true);
    });
    Ok(stopping)
}

/// Serves until the process is told to stop.
async fn until(serving: impl Future, stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = serving => {}
        () = told(stop) => {}
    }
}

/// Unix sockets, where there are some.
mod unix {
    #[cfg(unix)]
    pub(super) fn listen(path: &str) -> Result<tokio::net::UnixListener, String> {
        tokio::net::UnixListener::bind(path)
            .map_err(|error| format!("cannot listen on {path}: {error}"))
    }

    #[cfg(not(unix))]
    pub(super) fn listen(_: &str) -> Result<tokio::net::TcpListener, String> {
        Err("there are no Unix sockets here".to_owned())
    }
}

async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The sessions of a server, and their shared state.
struct Service {
    commons: Arc<Commons>,
    sessions: Sessions,
    options: SessionOptions,
}

impl Service {
    fn rpc(&self) -> MethodRouter {
        let (commons, sessions) = (self.commons.clone(), self.sessions.clone());
        Rpc::new(move |method: Method, Peer(peer): Peer| {
            // A batch ends by itself.
            if method != Method::POST
                && let Some(session) = peer.session()
            {
                sessions.add(session);
            }
            main_object(&commons)
        })
        .options(self.options.clone())
        .allow_origin("*")
        .route()
    }

    /// The same main object on a byte stream, a message a line.
    fn lines<L: Listener + Send + Sync + 'static>(
        &self,
        listener: L,
    ) -> impl Future + Send + 'static {
        let (commons, sessions) = (self.commons.clone(), self.sessions.clone());
        let server = Server::new(move |session: &Session| {
            sessions.add(session.clone());
            main_object(&commons)
        });
        lines::serve_with(listener, server.options(self.options.clone()))
    }

    fn packed(&self) -> MethodRouter {
        let (commons, sessions) = (self.commons.clone(), self.sessions.clone());
        let options = self.options.clone();
        any(async move |upgrade: Upgrade| -> Response {
            let (session, mut connection) = Session::server(options);
            sessions.add(session);
            connection.set_main(main_object(&commons).as_stub().clone());
            upgrade.encoding(Encoding::MessagePack).serve(connection)
        })
    }

    /// Serves the same main object on every path except `/refuse/STATUS`, which refuses with that
    /// status.
    fn webtransport(
        &self,
        address: &str,
        stopped: impl Future<Output = ()> + Send,
    ) -> Result<(serde_json::Value, impl Future<Output = ()>), String> {
        let identity =
            Identity::self_signed(["127.0.0.1", "localhost"]).map_err(|error| error.to_string())?;
        let commons = self.commons.clone();
        let listener = webtransport::Server::new(&identity)
            .options(self.options.clone())
            .fallback(move |request: Request| match refused(&request) {
                Some(status) => Err(status),
                None => Ok(main_object(&commons)),
            })
            .bind(address)
            .map_err(|error| format!("cannot listen on UDP {address}: {error}"))?;
        let at = json!({
            "addr": listener.local_addr().to_string(),
            "hash": identity.certificate_hash().to_string(),
        });
        Ok((at, listener.serve_until(stopped, GRACE)))
    }
}

fn refused(request: &Request) -> Option<StatusCode> {
    request.path().strip_prefix("/refuse/")?.parse().ok()
}
