use std::cell::Cell;

use capnweb::{Result, interface};

#[interface]
trait Counter {
    async fn increment(&self) -> Result<u32>;
}

struct Plain(Cell<u32>);

impl Counter for Plain {
    async fn increment(&self) -> Result<u32> {
        Ok(1)
    }
}

struct NoCounter;

fn stubs() -> CounterStub {
    CounterStub::new(NoCounter)
}

fn main() {}
