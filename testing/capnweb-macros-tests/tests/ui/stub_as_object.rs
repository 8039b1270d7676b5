use capnweb::{Result, interface};

#[interface]
trait Hello {
    async fn hello(&self) -> Result<String>;
}

impl Hello for HelloStub {
    async fn hello(&self) -> Result<String> {
        Ok("hello".to_owned())
    }
}

fn main() {}
