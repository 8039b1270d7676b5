//! A server: `cargo run --example server`. Its client is `cargo run --example client`.

use capnweb::Result;

#[capnweb::interface]
trait PublicApi {
    /// Returns a per-user API for a valid token.
    async fn authenticate(&self, token: String) -> Result<UserApiStub>;
    async fn get_profile(&self, id: u32) -> Result<Profile>;
}

#[capnweb::interface]
trait UserApi {
    async fn get_id(&self) -> Result<u32>;
    async fn get_friend_ids(&self) -> Result<Vec<u32>>;
}

#[capnweb::value]
struct Profile {
    name: String,
}

struct Server;

impl PublicApi for Server {
    async fn authenticate(&self, _token: String) -> Result<UserApiStub> {
        Ok(UserApiStub::new(User(7)))
    }

    async fn get_profile(&self, id: u32) -> Result<Profile> {
        let name = format!("user {id}");
        Ok(Profile { name })
    }
}

struct User(u32);

impl UserApi for User {
    async fn get_id(&self) -> Result<u32> {
        Ok(self.0)
    }

    async fn get_friend_ids(&self) -> Result<Vec<u32>> {
        Ok(vec![4, 5, 6])
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = axum::Router::new().route("/api", capnweb::axum::rpc(|| PublicApiStub::new(Server)));
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    capnweb::axum::serve(listener, app).await
}
