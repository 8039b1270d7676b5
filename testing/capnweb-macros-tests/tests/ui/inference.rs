use capnweb::{Callback, Promise, Result, interface};

#[interface]
trait Search {
    async fn find(&self, ids: Vec<u32>, after: Option<u32>, order: Option<String>) -> Result<u32>;
    async fn watch(&self, on_change: Callback<String>) -> Result<()>;
}

fn nothing(search: &SearchStub) -> Promise<u32> {
    search.find([1], None, None)
}

fn no_ids(search: &SearchStub) -> Promise<u32> {
    search.find(vec![], (), ())
}

fn parsed(search: &SearchStub) -> Promise<u32> {
    search.find([1], "5".parse().unwrap(), ())
}

fn main() {}
