use capnweb::{Context, Payload, Promise, Result, interface, value};

#[interface(strickt)]
#[rpc(name = "api")]
trait Api {
    #[rpc(nam = "other")]
    async fn unknown(&self) -> Result<()>;
    #[rpc(get)]
    async fn property(&self, context: Context, of: u32) -> Result<u32>;
    #[rpc(get, strict)]
    async fn strict_property(&self) -> Result<u32>;
    #[rpc(cancel_on_release)]
    fn sync(&self) -> Result<u32>;
    #[rpc(cancel_on_release)]
    fn promise(&self) -> Promise<u32>;
    async fn on_parameter(&self, #[rpc(name = "n")] n: u32) -> Result<()>;
}

#[interface]
trait CatchAlls {
    #[rpc(catch_all, get)]
    async fn property(&self, method: String, args: Payload) -> Result<()>;
    #[rpc(catch_all, idempotent)]
    async fn no_arguments(&self, method: String) -> Result<()>;
    #[rpc(catch_all)]
    async fn one(&self, method: String, args: Payload) -> Result<()>;
    #[rpc(catch_all)]
    async fn another(&self, method: String, args: Payload) -> Result<()>;
}

#[value(strict)]
#[rpc(skip)]
struct User {
    #[rpc(name = "userName")]
    name: String,
}

// The correct parts are generated nevertheless.
fn ask(user: &UserPipeline) -> Promise<String> {
    user.name()
}

#[value]
enum Event {
    #[rpc(skip)]
    LoggedIn {
        #[rpc(skip)]
        name: String,
    },
}

#[interface(crate = "no path")]
trait Elsewhere {
    async fn fine(&self) -> Result<()>;
}

fn main() {}
