use capnweb::{Result, interface, value};

#[interface]
trait Api {
    async fn then(&self) -> Result<()>;
    async fn map(&self) -> Result<()>;
    async fn to_string(&self) -> Result<()>;
    #[rpc(name = "__proto__")]
    async fn proto(&self) -> Result<()>;
    #[rpc(name = "")]
    async fn nameless(&self) -> Result<()>;
    async fn clone(&self) -> Result<()>;
    async fn new(&self) -> Result<()>;
    async fn get_user(&self) -> Result<()>;
    #[rpc(name = "getUser")]
    async fn get_user_again(&self) -> Result<()>;
    #[rpc(name = "theUser")]
    async fn fine(&self) -> Result<()>;
}

#[value]
struct Object {
    value_of: u32,
    #[serde(rename = "constructor")]
    made_by: String,
}

fn main() {}
