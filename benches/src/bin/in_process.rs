//! Measures the parts of a call without a socket: `in_process PART [CALLS]`, for `local`,
//! `session`, `session-grouped`, `client-only`, `lasting`, `server-only` and `map`.

use std::error::Error;

use capnweb_benches::parts::{self, ClientOnly, InSession, Local, MapOnly, Part, ServerOnly, Way};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut part: Box<dyn Part> = match words.next().as_deref() {
        Some("local") => Box::new(Local::default()),
        Some("session") => Box::new(InSession::new(Way::OneByOne)),
        Some("session-grouped") => Box::new(InSession::new(Way::Grouped)),
        Some("client-only") => Box::new(ClientOnly::default()),
        Some("lasting") => Box::new(ClientOnly::lasting()),
        Some("server-only") => Box::new(ServerOnly::default()),
        Some("map") => Box::new(MapOnly::default()),
        _ => return Err("say which part".into()),
    };
    let calls = words.next().map_or(Ok(1_000_000), |calls| calls.parse())?;
    let (calls, time) = parts::measure(part.as_mut(), calls);
    let nanoseconds = time.as_nanos() / calls.max(1) as u128;
    println!("{calls} calls, {nanoseconds} ns each");
    Ok(())
}
