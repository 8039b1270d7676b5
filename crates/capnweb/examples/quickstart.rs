//! A tour of Cap'n Web in two scenes: `cargo run --example quickstart`.
//!
//! 1. Four calls, three of which depend on the previous one, in a single HTTP request.
//! 2. A WebSocket to the same address, through which the server calls the client back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use capnweb::{Callback, Error, Result};

/// The public API, which any client may call.
#[capnweb::interface]
trait PublicApi {
    /// Returns a per-user API for a valid token.
    async fn authenticate(&self, token: String) -> Result<UserApiStub>;
    async fn get_profile(&self, id: u32) -> Result<Profile>;
    /// Calls back once for each number on the way down.
    async fn count_down(&self, from: u32, tick: Callback<u32>) -> Result<String>;
}

/// The API of a single user. Only clients that have received this object can call it.
#[capnweb::interface]
trait UserApi {
    fn get_id(&self) -> Result<u32>;
    async fn get_friend_ids(&self) -> Result<Vec<u32>>;
}

/// A value, with camelCase names on the wire.
#[capnweb::value]
struct Profile {
    name: String,
    user_number: u32,
}

struct Server;

impl PublicApi for Server {
    async fn authenticate(&self, token: String) -> Result<UserApiStub> {
        match token.as_str() {
            "open sesame" => Ok(UserApiStub::new(User(7))),
            _ => Err(Error::new("wrong token")),
        }
    }

    async fn get_profile(&self, id: u32) -> Result<Profile> {
        Ok(Profile {
            name: format!("Ada the {id}th"),
            user_number: id,
        })
    }

    async fn count_down(&self, from: u32, tick: Callback<u32>) -> Result<String> {
        for n in (1..=from).rev() {
            tick.call(n).await?;
        }
        Ok("lift-off".to_owned())
    }
}

struct User(u32);

impl UserApi for User {
    fn get_id(&self) -> Result<u32> {
        Ok(self.0)
    }

    async fn get_friend_ids(&self) -> Result<Vec<u32>> {
        Ok(vec![4, 5, 6])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A server on a free port. It counts the requests, and creates a `Server` for each one.
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let app = axum::Router::new().route(
        "/api",
        capnweb::axum::rpc(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            PublicApiStub::new(Server)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(capnweb::axum::serve(listener, app));

    println!("1. Calls over HTTP, each of which needs the one before");
    let api: PublicApiStub = capnweb::http::batch(format!("http://{address}/api"));
    let user = api.authenticate("open sesame");
    let profile = api.get_profile(user.get_id());
    let friends = user.get_friend_ids().map(|id| api.get_profile(id).name());
    // Nothing has been sent so far. Now all calls go out together, without waiting for each other.
    let (profile, friends) = tokio::try_join!(profile, friends)?;
    println!(
        "   profile: {}, number {}",
        profile.name, profile.user_number
    );
    println!("   friends: {}", friends.join(", "));
    println!("   round trips: {}", requests.swap(0, Ordering::Relaxed));

    println!("2. A WebSocket, and a callback");
    let api: PublicApiStub = capnweb::ws::connect(format!("ws://{address}/api")).await?;
    let ticks = Arc::new(AtomicUsize::new(0));
    let counter = ticks.clone();
    let tick = move |n: u32| {
        counter.fetch_add(1, Ordering::Relaxed);
        println!("   the server calls: {n}");
    };
    let end = api.count_down(3, tick).await?;
    println!("   answer: {end}");
    println!(
        "   round trips: 1 from here, {} from the server, over {} connection",
        ticks.load(Ordering::Relaxed),
        requests.load(Ordering::Relaxed),
    );
    Ok(())
}
