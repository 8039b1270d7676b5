use capnweb::{Callback, Result, interface, value};

#[value]
struct User {
    name: String,
}

#[interface]
trait Api {
    async fn profile(&self, id: u32) -> Result<User>;
    async fn names(&self, names: Vec<String>) -> Result<()>;
    async fn save(&self, user: User) -> Result<()>;
    async fn child(&self, child: ApiStub) -> Result<()>;
    async fn subscribe(&self, callback: Callback<u32>) -> Result<()>;
}

fn calls(api: &ApiStub) {
    let _ = api.profile("7");
    let _ = api.profile(api.profile(1));
    let _ = api.profile(api.profile(1).name());
    let _ = api.names(vec![1]);
    let _ = api.save("Ada");
    let _ = api.child(7);
    let _ = api.subscribe(|name: String| drop(name));
    let _ = api.profile();
}

fn main() {}
