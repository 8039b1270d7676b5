//! A limit on the calls of each user: `cargo run --example rate-limit`.
//!
//! A client signs in with its token, and may then make five calls at once and five more each
//! second. An interceptor counts them, over all sessions of the user, and before any code of the
//! methods runs.

use axum::{Router, http::HeaderMap};
use capnweb::{
    Error, Result, SessionOptions, Sessions,
    axum::{Rpc, Tracked},
    observe::{Direction, InterceptedCall, Interceptor, Verdict},
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;

#[capnweb::interface]
trait Api {
    async fn greet(&self, name: String) -> Result<String>;
}

struct Server;

impl Api for Server {
    async fn greet(&self, name: String) -> Result<String> {
        Ok(format!("Hello, {name}!"))
    }
}

/// The user of a session, which the factory attaches.
#[derive(Clone)]
struct User(String);

/// Counts the calls of each user.
struct PerUser {
    sessions: Sessions,
    limiter: DefaultKeyedRateLimiter<String>,
}

impl Interceptor for PerUser {
    fn before(&self, call: &InterceptedCall<'_>) -> Verdict {
        if call.info().side() == Direction::Outgoing {
            return Verdict::proceed();
        }
        let session = call.session().session();
        let tracked = session.and_then(|session| self.sessions.get(&session));
        let Some(User(user)) = tracked.and_then(|tracked| tracked.get()) else {
            return Verdict::reject(Error::unauthenticated("sign in first"));
        };
        match self.limiter.check_key(&user) {
            Ok(()) => Verdict::proceed(),
            Err(_) => Verdict::reject(Error::resource_exhausted("too many calls; slow down")),
        }
    }
}

/// The app, whose users may make `burst` calls at once and as many each second.
fn app(burst: NonZeroU32) -> Router {
    let sessions = Sessions::new();
    let per_user = PerUser {
        sessions: sessions.clone(),
        limiter: RateLimiter::keyed(Quota::per_second(burst)),
    };
    let connect = |headers: HeaderMap, Tracked(tracked): Tracked| {
        let token = headers.get("authorization").and_then(|it| it.to_str().ok());
        if let Some(user) = token.and_then(|token| token.strip_prefix("Bearer token-of-")) {
            tracked.attach(User(user.to_owned()));
        }
        ApiStub::new(Server)
    };
    let options = SessionOptions::new().with_interceptor(per_user);
    let api = Rpc::new(connect).tracked(&sessions).options(options);
    Router::new().route("/api", api.route())
}

/// Serves the app on a free port, and returns its address for clients.
async fn serve() -> std::io::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/api", listener.local_addr()?);
    let five = NonZeroU32::MIN.saturating_add(4);
    tokio::spawn(capnweb::axum::serve(listener, app(five)).into_future());
    Ok(url)
}

async fn connect(url: &str, user: &str) -> Result<ApiStub> {
    capnweb::ws::Connect::new(url)
        .header("authorization", format!("Bearer token-of-{user}"))
        .connect()
        .await
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = serve()
        .await
        .map_err(|error| Error::new(error.to_string()))?;
    let api = connect(&url, "ada").await?;
    for number in 1..=7 {
        match api.greet("Ada").await {
            Ok(greeting) => println!("{number}: {greeting}"),
            Err(error) => println!("{number}: {error}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_user_has_a_limit_over_all_sessions() {
    let url = serve().await.expect("a free port");
    let [first, second] = [
        connect(&url, "ada").await.expect("a session"),
        connect(&url, "ada").await.expect("a session"),
    ];
    let mut refused = 0;
    // The limiter's clock may let a few more pass on a slow machine, but not all.
    for api in [&first, &second].into_iter().cycle().take(1000) {
        if let Err(error) = api.greet("Ada").await {
            assert_eq!(error.code().as_deref(), Some("resource_exhausted"));
            refused += 1;
        }
    }
    assert!(refused > 0, "a thousand calls have passed");
    let other = connect(&url, "eve").await.expect("a session");
    other.greet("Eve").await.expect("a limit of her own");
    let nobody: ApiStub = capnweb::ws::connect(&url).await.expect("a session");
    let error = nobody.greet("?").await.expect_err("no user");
    assert_eq!(error.code().as_deref(), Some("unauthenticated"));
}
