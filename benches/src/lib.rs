//! The service that the benchmarks share, in a typed and a dynamic version.

pub mod parts;

use capnweb::{Object, Result, Session, SessionOptions, Stub, pair};

/// A service with a few methods.
#[capnweb::interface]
pub trait Service {
    /// Returns the sum at once.
    fn add(&self, a: f64, b: f64) -> Result<f64>;
    /// Returns the sum, like [`add`](Service::add), through a future.
    async fn add_later(&self, a: f64, b: f64) -> Result<f64>;
    /// Returns the user with another name.
    fn rename(&self, user: User, name: String) -> Result<User>;
    /// Takes and returns nothing.
    fn nothing(&self) -> Result<()>;
    /// Returns `n` values.
    fn users(&self, n: usize) -> Result<Vec<User>>;
    /// Returns the number of values.
    fn count(&self, users: Vec<User>) -> Result<usize>;
    /// Returns an object.
    fn another(&self) -> Result<ServiceStub>;
}

/// A value with a few fields.
#[capnweb::value]
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// A number.
    pub id: u32,
    /// A string.
    pub name: String,
    /// A list.
    pub tags: Vec<String>,
}

impl User {
    /// Returns an example.
    pub fn example() -> Self {
        Self {
            id: 7,
            name: "Ada".to_owned(),
            tags: vec!["x".to_owned(), "y".to_owned()],
        }
    }
}

/// The implementation of the service.
#[derive(Debug)]
pub struct Server;

impl Service for Server {
    fn add(&self, a: f64, b: f64) -> Result<f64> {
        Ok(a + b)
    }

    async fn add_later(&self, a: f64, b: f64) -> Result<f64> {
        Ok(a + b)
    }

    fn rename(&self, user: User, name: String) -> Result<User> {
        Ok(User { name, ..user })
    }

    fn nothing(&self) -> Result<()> {
        Ok(())
    }

    fn users(&self, n: usize) -> Result<Vec<User>> {
        Ok(vec![User::example(); n])
    }

    fn count(&self, users: Vec<User>) -> Result<usize> {
        Ok(users.len())
    }

    fn another(&self) -> Result<ServiceStub> {
        Ok(typed())
    }
}

/// Returns the typed service.
pub fn typed() -> ServiceStub {
    ServiceStub::new(Server)
}

/// Returns the service made of closures.
pub fn dynamic() -> Stub {
    Object::new()
        .sync_method("add", |a: f64, b: f64| Ok(a + b))
        .method("addLater", |a: f64, b: f64| async move { Ok(a + b) })
        .sync_method("rename", |user: User, name: String| {
            Ok(User { name, ..user })
        })
        .into_stub()
}

/// Returns the main stub of a client, connected to a server in this process that offers `main`.
/// Requires a Tokio runtime.
pub fn connect(main: impl capnweb::StubType) -> Stub {
    let (left, right) = pair();
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(main.into_stub());
    tokio::spawn(server.drive(left));
    let (session, client) = Session::client(SessionOptions::new());
    tokio::spawn(client.drive(right));
    session.main()
}

/// Creates the runtime for the benchmarks, with one thread.
///
/// # Panics
///
/// Panics if the system cannot provide it.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
