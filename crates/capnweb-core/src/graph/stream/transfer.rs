//! Streams among the arguments of a call.

use crate::graph::{
    error::Result,
    payload::Cap,
    stream::{BoxDestination, BoxSource, Reserved, Slot, given_away},
};

/// A stream that was taken out of its slot, with the index of its capability.
enum Taken {
    Readable(usize, Reserved<BoxSource>),
    Writable(usize, Reserved<BoxDestination>),
}

/// Takes all streams among `caps` out of their slots, or none of them.
///
/// Streams for a peer are taken when they are encoded. This is for calls that are queued in this
/// process.
///
/// # Errors
///
/// Returns an error if a stream is not there any more.
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
