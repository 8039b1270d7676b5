//! Errors that do not convert, and enums that cannot be errors.

use capnweb::{Error, Result};

struct MyError;

#[capnweb::interface]
trait Api {
    async fn fails(&self) -> Result<u32, MyError>;
    async fn io(&self) -> Result<u32, std::io::Error>;
}

#[capnweb::error]
#[derive(Debug)]
enum NoOther {
    Closed,
}

#[capnweb::error]
#[derive(Debug)]
enum NoMessages {
    Closed,
    #[rpc(other)]
    Other(Error),
}

#[capnweb::error]
enum Many {
    Pair(u32, u32),
    Named { code: u32 },
    #[rpc(other, code = "x")]
    Other,
    #[rpc(strange)]
    Strange,
}

#[capnweb::error]
struct NoEnum;

fn main() {}
