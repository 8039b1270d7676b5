use std::{sync::MutexGuard, thread::JoinHandle};

use capnweb::{Result, interface};

#[interface]
trait Api {
    async fn wait(&self, thread: JoinHandle<u32>) -> Result<()>;
    async fn start(&self) -> Result<JoinHandle<u32>>;
}

#[interface]
trait Store<K> {
    async fn put(&self, key: K) -> Result<()>;
}

fn use_it(_: StoreStub<JoinHandle<u32>>) {}

fn store(stub: &StoreStub<JoinHandle<u32>>, thread: JoinHandle<u32>) {
    let _ = stub.put(thread);
}

fn guard(_: MutexGuard<'static, u32>) {}

fn main() {}
