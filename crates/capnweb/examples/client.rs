//! A client for the example `server`: `cargo run --example client`.

use capnweb::Result;

#[capnweb::value]
struct Profile {
    name: String,
}

#[capnweb::interface]
trait PublicApi {
    async fn authenticate(&self, token: String) -> Result<UserApiStub>;
    async fn get_profile(&self, id: u32) -> Result<Profile>;
}

#[capnweb::interface]
trait UserApi {
    async fn get_id(&self) -> Result<u32>;
    async fn get_friend_ids(&self) -> Result<Vec<u32>>;
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let api: PublicApiStub = capnweb::ws::connect(format!("ws://{address}/api")).await?;

    // Dependent calls in one round trip: these calls do not wait for an answer …
    let user = api.authenticate("token");
    let profile = api.get_profile(user.get_id());
    let friends = user.get_friend_ids().map(|id| api.get_profile(id));

    // … but this does.
    let (profile, friends) = tokio::try_join!(profile, friends)?;
    println!("{} has {} friends", profile.name, friends.len());
    Ok(())
}
