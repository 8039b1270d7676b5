use capnweb::{Promise, Result, interface};

#[interface]
trait Api {
    async fn friends(&self) -> Result<Vec<u32>>;
    async fn best(&self) -> Result<Option<u32>>;
    async fn groups(&self) -> Result<Option<Vec<u32>>>;
    async fn is_online(&self, id: u32) -> Result<bool>;
    async fn name(&self, id: u32) -> Result<String>;
}

fn calls(api: &ApiStub) {
    let _ = api.friends().map(async |id| api.name(id).await);
    let _ = api.friends().map(|id| if api.is_online(id) { 1 } else { 2 });
    let _ = api.friends().map(|id| if id > 3 { 1 } else { 2 });
    let _ = api.friends().map(|id: u32| api.name(id));
    let _ = api.friends().map(|id| format!("{id}"));
    let _ = api.groups().map(|id| id);
    let _: Promise<Option<String>> = api.best().map(|id| api.name(id));
}

fn main() {}
