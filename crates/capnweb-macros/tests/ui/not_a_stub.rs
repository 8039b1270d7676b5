//! Objects where a stub is expected, and trait objects of an interface.

use std::sync::Arc;

use capnweb::{StubType, Result};

#[capnweb::interface]
trait Api {
    async fn hello(&self) -> Result<String>;
}

struct Server;

impl Api for Server {
    async fn hello(&self) -> Result<String> {
        Ok("hello".to_owned())
    }
}

/// Accepts a main object, like the settings of clients.
fn main_object(_main: impl StubType) {}

fn boxed(api: Arc<dyn Api>) {}

fn generic(api: impl Api) {
    main_object(api);
}

fn main() {
    main_object(Server);
    main_object(Arc::new(Server));
}
