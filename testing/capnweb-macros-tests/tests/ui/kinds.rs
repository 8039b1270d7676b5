use capnweb::{Result, interface, value};

#[interface]
unsafe trait Unsafe {
    async unsafe fn method(&self) -> Result<()>;
    extern "C" fn foreign(&self) -> Result<()>;
}

#[interface]
trait Items {
    type Item;
    const LIMIT: u32;
    async fn fine(&self) -> Result<()>;
}

macro_rules! methods {
    () => {};
}

#[interface]
trait Macros {
    methods!();
}

#[interface]
struct NoTrait;

#[interface]
impl NoTrait {}

#[interface]
fn function() {}

#[value]
trait NoValue {}

#[value]
union Union {
    a: u32,
    b: f32,
}

fn main() {}
