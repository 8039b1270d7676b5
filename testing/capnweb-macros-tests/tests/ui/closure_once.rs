use capnweb::{Callback, Promise, Result, interface};

#[interface]
trait Document {
    async fn watch(&self, on_change: Callback<String>) -> Result<()>;
}

fn moved(document: &DocumentStub, names: Vec<String>) -> Promise<()> {
    document.watch(move |name: String| async move {
        let mut names = names;
        names.push(name);
    })
}

fn main() {}
