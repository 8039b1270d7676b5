//! Messages that wait to be sent.

mod attachments;
mod backlog;
mod queue;

pub(crate) use self::backlog::Backlog;
pub use self::queue::Outgoing;
