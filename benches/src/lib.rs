//! What is measured, for the benchmarks to share: the same small service with types and without.

pub mod parts;

use capnweb::{Object, Result, Session, SessionOptions, Stub, pair};

/// A service of a few methods.
#[capnweb::interface]
pub trait Service {
    /// Answers at once.
    fn add(&self, a: f64, b: f64) -> Result<f64>;
    /// As [`add`](Service::add), by a future.
    async fn add_later(&self, a: f64, b: f64) -> Result<f64>;
    /// A value from a value.
    fn rename(&self, user: User, name: String) -> Result<User>;
    /// Neither takes nor gives anything.
    fn nothing(&self) -> Result<()>;
    /// So many values.
    fn users(&self, n: usize) -> Result<Vec<User>>;
    /// How many values there are.
    fn count(&self, users: Vec<User>) -> Result<usize>;
    /// An object.
    fn another(&self) -> Result<ServiceStub>;
}

/// A value of a few fields.
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
    /// One to send.
    pub fn example() -> Self {
        Self {
            id: 7,
            name: "Ada".to_owned(),
            tags: vec!["x".to_owned(), "y".to_owned()],
        }
    }
}

/// Implements the service.
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

/// The service with types.
pub fn typed() -> ServiceStub {
    ServiceStub::new(Server)
}

/// The service from closures.
pub fn dynamic() -> Stub {
    Object::new()
        .sync_method("add", |a: f64, b: f64| Ok(a + b))
        .method("addLater", |a: f64, b: f64| async move { Ok(a + b) })
        .sync_method("rename", |user: User, name: String| {
            Ok(User { name, ..user })
        })
        .into_stub()
}

/// The main stub of a client whose server, in this process, offers `main`. Needs a Tokio runtime.
pub fn connect(main: impl capnweb::StubType) -> Stub {
    let (left, right) = pair();
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(main.into_stub());
    tokio::spawn(server.drive(left));
    let (session, client) = Session::client(SessionOptions::new());
    tokio::spawn(client.drive(right));
    session.main()
}

/// The runtime that the benchmarks run on: one thread.
///
/// # Panics
///
/// If the system gives none.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
