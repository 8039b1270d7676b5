//! Measures the server's cost of a call without a socket: `server_only [CALLS]`.

use std::error::Error;

use capnweb_benches::parts::{self, ServerOnly};

fn main() -> Result<(), Box<dyn Error>> {
    let calls = std::env::args().nth(1);
    let calls = calls.map_or(Ok(1_000_000), |calls| calls.parse())?;
    let (calls, time) = parts::measure(&mut ServerOnly::default(), calls);
    let nanoseconds = time.as_nanos() / calls.max(1) as u128;
    println!("{calls} calls, {nanoseconds} ns each");
    Ok(())
}
