//! A server with metrics and health checks on a port of its own: `cargo run --example monitoring
//! --features prometheus`.
//!
//! It makes some calls, and prints what `/metrics` answers.

use axum::Router;
use capnweb::{
    Error, OrInternal, Result, SessionOptions, Sessions,
    axum::{Prometheus, Rpc, monitoring, serve},
    http::reqwest,
};
use tokio::net::TcpListener;

#[capnweb::interface]
trait Api {
    async fn greet(&self, name: String) -> Result<String>;
    async fn fail(&self) -> Result<()>;
}

struct Server;

impl Api for Server {
    async fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Hello, {name}!"))
    }

    async fn fail(&self) -> Result<()> {
        Err(Error::new("as promised"))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let (sessions, prometheus) = (Sessions::new(), Prometheus::install()?);
    let options = SessionOptions::new().with_observer(prometheus.observer());
    let api = Rpc::new(|| ApiStub::new(Server))
        .tracked(&sessions)
        .options(options);
    let app = Router::new().route("/api", api.route());
    let listener = TcpListener::bind("127.0.0.1:0").await.or_internal()?;
    let url = format!("{}/api", listener.local_addr().or_internal()?);
    tokio::spawn(serve(listener, app).into_future());

    // Strangers must not reach this one.
    let listener = TcpListener::bind("127.0.0.1:0").await.or_internal()?;
    let inside = listener.local_addr().or_internal()?;
    let for_operators: Router = monitoring(&sessions, &prometheus);
    tokio::spawn(serve(listener, for_operators).into_future());

    let api: ApiStub = capnweb::ws::connect(format!("ws://{url}")).await?;
    api.greet("Ada").await?;
    api.fail().await.expect_err("it fails");
    capnweb::StubType::as_stub(&api)
        .call("madeUp", ())
        .await
        .expect_err("there is no such method");
    let batch: ApiStub = capnweb::http::batch(format!("http://{url}"));
    batch.greet("Eve").await?;

    let client = capnweb::http::client_builder().build().or_internal()?;
    let url = format!("http://{inside}/metrics");
    let answer: reqwest::Response = client.get(url).send().await.or_internal()?;
    println!("{}", answer.text().await.or_internal()?);
    Ok(())
}
