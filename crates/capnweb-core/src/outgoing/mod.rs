//! Messages that wait to be sent.

mod attachments;
mod queue;

pub use self::queue::Outgoing;
