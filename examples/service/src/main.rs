//! A server as it is shipped: notes of several users, in SQLite. See `docs/deployment.md`.
//!
//! - `service` serves. The environment configures it: see [`config`].
//! - `service add-user NAME` adds a user, whose password it reads from standard input, and prints a
//!   token for programs.

mod api;
mod config;
mod sign_in;
mod store;

use std::{error::Error, io, pin::Pin, sync::Arc};

use axum::{Router, routing::post};
use capnweb::{
    KeepAlive, SessionOptions, Sessions,
    axum::{Prometheus, Rpc, TlsListener, monitoring, serve, shutdown_signal},
};
use mimalloc::MiMalloc;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::{config::Config, store::Store};

/// It returns memory to the system after a burst, which the allocator of glibc mostly does not.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What all requests share.
#[derive(Clone)]
struct App {
    store: Arc<Store>,
    sessions: Sessions,
    /// True if browsers reach the server over TLS, by itself or a proxy.
    is_secure: bool,
}

type Serving = Pin<Box<dyn Future<Output = io::Result<()>>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let config = Config::from_env()?;
    let store = Arc::new(Store::open(&config.database)?);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => Ok(run(config, store).await?),
        [command, name] if command == "add-user" => {
            let password = io::read_to_string(io::stdin())?;
            store.add_user(name, password.trim_end())?;
            println!("{}", store.add_token(name)?);
            Ok(())
        }
        _ => Err("usage: service [add-user NAME]".into()),
    }
}

async fn run(config: Config, store: Arc<Store>) -> Result<(), Box<dyn Error>> {
    let (sessions, prometheus) = (Sessions::new(), Prometheus::install()?);

    // Health checks and metrics, on an address that strangers cannot reach.
    let monitor = TcpListener::bind(&config.monitor).await?;
    let monitor_address = monitor.local_addr()?;
    let for_operators: Router = monitoring(&sessions, &prometheus);
    tokio::spawn(serve(monitor, for_operators).into_future());

    let options = SessionOptions::new()
        .with_observer(prometheus.observer())
        .with_keep_alive(KeepAlive::new().with_interval(config.ping_interval));
    // A browser sends the cookie with requests of any page, so others must be refused.
    let api = Rpc::new(sign_in::connect)
        .only_from(config.origins)
        .options(options)
        .tracked(&sessions);
    let app = Router::new()
        .route("/api", api.route())
        .route("/login", post(sign_in::login))
        .route("/logout", post(sign_in::logout))
        .with_state(App {
            store,
            sessions: sessions.clone(),
            is_secure: config.is_secure,
        });
    let signal = shutdown_signal();
    let stop = async {
        signal.await;
        notify::stopping();
        tracing::info!("shutting down");
    };
    let listener = TcpListener::bind(&config.listen).await?;
    let address = listener.local_addr()?;
    let serving: Serving = match config.tls {
        Some(tls) => {
            let listener = TlsListener::from_pem_files(listener, tls.certificates, tls.key)?;
            Box::pin(serve(listener, app).drain_on(stop, &sessions, config.drain))
        }
        None => Box::pin(serve(listener, app).drain_on(stop, &sessions, config.drain)),
    };
    println!("listening on {address}, monitored on {monitor_address}");
    notify::ready();
    serving.await?;
    tracing::info!("all sessions have ended");
    Ok(())
}

/// Messages to systemd, for units with `Type=notify`.
mod notify {
    #[cfg(target_os = "linux")]
    pub(crate) fn ready() {
        send(sd_notify::NotifyState::Ready);
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn stopping() {
        send(sd_notify::NotifyState::Stopping);
    }

    #[cfg(target_os = "linux")]
    fn send(state: sd_notify::NotifyState<'_>) {
        // Without systemd, nothing is sent and there is no error.
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::warn!(%error, "systemd cannot be notified");
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn ready() {}

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn stopping() {}
}
