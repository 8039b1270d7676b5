//! Streams among the arguments of a call.

use crate::graph::{
    error::Result,
    payload::Cap,
    stream::{BoxDestination, BoxSource, Reserved, Slot, given_away},
};

/// A stream that was taken out of its slot, and which of the capabilities it is.
enum Taken {
    Readable(usize, Reserved<BoxSource>),
    Writable(usize, Reserved<BoxDestination>),
}

/// Takes the streams among `caps` from whoever has them: all, or none.
///
/// What is sent to a peer is taken as it is written. This is for calls that are queued here.
///
/// # Errors
///
/// If one is not there any more.
pub(crate) fn transfer(caps: &mut [Cap]) -> Result<()> {
    let mut taken = Vec::new();
    for (place, cap) in caps.iter().enumerate() {
        taken.push(match cap {
            Cap::Readable(slot) => Taken::Readable(place, slot.reserve().ok_or_else(given_away)?),
            Cap::Writable(slot) => Taken::Writable(place, slot.reserve().ok_or_else(given_away)?),
            Cap::Stub(_) | Cap::Promise(_) | Cap::Error(_) | Cap::Blob(_) | Cap::Bytes(..) => {
                continue;
            }
        });
    }
    for stream in taken {
        let (place, new) = match stream {
            Taken::Readable(place, stream) => (place, Cap::Readable(Slot::new(stream.commit()))),
            Taken::Writable(place, stream) => (place, Cap::Writable(Slot::new(stream.commit()))),
        };
        if let Some(cap) = caps.get_mut(place) {
            *cap = new;
        }
    }
    Ok(())
}
