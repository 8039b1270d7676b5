use capnweb::{Result, interface};

trait Named {
    fn name(&self) -> String;
}

#[interface]
trait Api: Named {
    async fn greet(&self) -> Result<String>;
}

fn main() {}
