//! A server: `cargo run --example server`. Its client is `cargo run --example client`.

use capnweb::{Object, Stub};

fn user(id: u32) -> Stub {
    Object::new().property("id", id).into_stub()
}

fn api() -> Stub {
    Object::new()
        .method("authenticate", |_token: String| async { Ok(user(7)) })
        .method("getProfile", |id: u32| async move {
            Ok(format!("profile of user {id}"))
        })
        .into_stub()
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = axum::Router::new().route("/api", capnweb::axum::rpc(api));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    capnweb::axum::serve(listener, app).await
}
