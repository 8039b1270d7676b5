//! Refusal of clients.

use std::convert::Infallible;

/// A response with which a factory refuses a client.
///
/// Implemented for a status code, for a status code with a text, and for [`worker::Error`]. The
/// latter is logged, and answered with 500.
pub trait Refuse {
    /// Returns the status code and the text of the response.
    fn refuse(self) -> (u16, String);
}

impl Refuse for Infallible {
    fn refuse(self) -> (u16, String) {
        match self {}
    }
}

impl Refuse for u16 {
    fn refuse(self) -> (u16, String) {
        (self, String::new())
    }
}

impl Refuse for (u16, &str) {
    fn refuse(self) -> (u16, String) {
        (self.0, self.1.to_owned())
    }
}

impl Refuse for (u16, String) {
    fn refuse(self) -> Self {
        self
    }
}

impl Refuse for worker::Error {
    fn refuse(self) -> (u16, String) {
        worker::console_error!("a factory of Cap'n Web failed: {self}");
        (500, "internal error".to_owned())
    }
}
