use std::sync::Arc;

use capnweb::{Result, interface};

#[interface]
trait Api {
    async fn mutable(&mut self) -> Result<()>;
    async fn consuming(self) -> Result<()>;
    async fn shared(self: Arc<Self>) -> Result<()>;
    async fn none() -> Result<()>;
    async fn with_lifetime(&'static self) -> Result<()>;
    async fn fine(&self) -> Result<()>;
}

// The rest of the interface exists: only the mistakes are reported.
async fn use_it(api: ApiStub) -> Result<()> {
    api.fine().await
}

fn main() {}
