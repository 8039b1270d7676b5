use capnweb::{Callback, Result, interface};

#[interface]
trait Api {
    async fn subscribe(&self, callback: Callback<String>) -> Result<()>;
}

fn calls(api: &ApiStub) {
    let _ = api.subscribe(|event| println!("{}", event.len()));
}

fn main() {}
