use capnweb::{Result, interface, value};

// On the item itself, the compiler evaluates it first.
#[value]
#[cfg_attr(all(), serde(rename_all = "kebab-case"))]
struct User {
    #[cfg_attr(all(), serde(rename = "n"))]
    name: String,
    #[cfg_attr(all(), doc = "Other attributes are fine.")]
    age: u32,
}

#[interface]
trait Api {
    #[cfg_attr(all(), cfg_attr(all(), rpc(name = "n")))]
    async fn name(&self) -> Result<String>;
}

fn main() {}
