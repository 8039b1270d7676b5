use capnweb::{Describe, Result, interface, value};

#[derive(Describe)]
#[rpc(rename = "x")]
struct Options {
    #[rpc(skip)]
    skipped: u32,
    #[rpc(as = 5)]
    number: u32,
}

#[derive(Describe)]
union Either {
    number: u32,
    other: f32,
}

#[derive(Describe)]
struct Borrowed<'a> {
    name: &'a str,
}

#[interface]
trait Api {
    #[rpc(as)]
    async fn result(&self, #[rpc(as = "String")] text: String) -> Result<()>;
}

#[value]
struct Value {
    #[rpc(as = )]
    name: String,
}

fn main() {}
