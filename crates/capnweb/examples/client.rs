//! A client: `cargo run --example client`, while `cargo run --example server` runs.

#[tokio::main]
async fn main() -> capnweb::Result<()> {
    let api: capnweb::Stub = capnweb::ws::connect("ws://127.0.0.1:8080/api").await?;

    // Dependent calls, one round trip: none waits for the one before.
    let user = api.call("authenticate", ("token",));
    let profile = api.call("getProfile", (user.get("id"),));

    println!("{}", profile.fetch::<String>().await?);
    Ok(())
}
