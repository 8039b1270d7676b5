//! Errors of our own type, which `moody` throws.

use capnweb::Error;

/// The errors of `moody`. `node/main-object.mjs` throws the same ones in JavaScript.
#[capnweb::error]
#[derive(Debug)]
pub(crate) enum Mood {
    #[rpc(message = "busy, try again in {retry_after} s", code = "unavailable")]
    Busy { retry_after: f64 },
    #[rpc(message = "no such mood", code = "not_found", name = "RangeError")]
    Lost { retry_after: Option<f64> },
    #[rpc(message = "the secret is {0}", internal)]
    Secretive(u32),
    #[rpc(other)]
    Other(Error),
}

/// Returns the error with the code `kind`. Any other code is not of our type.
pub(crate) fn moody(kind: &str) -> Mood {
    match kind {
        "unavailable" => Mood::Busy { retry_after: 30.0 },
        "not_found" => Mood::Lost {
            retry_after: Some(5.0),
        },
        "internal" => Mood::Secretive(42),
        kind => {
            let error = Error::new(format!("in a mood: {kind}"));
            Mood::Other(error.with_code(kind).with_prop("retryAfter", 1))
        }
    }
}
