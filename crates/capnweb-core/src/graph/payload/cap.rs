//! What sits in a hole of a payload.

use std::sync::Arc;

use bytes::Bytes;
use capnweb_wire::Container;

use crate::graph::{
    engine::invoke::{Operation, Origin, invoke},
    error::Error,
    hook::Hook,
    payload::Path,
    stream::{BlobContent, BoxDestination, BoxSource, Slot},
};

/// A capability in a payload, or what is kept out of its text for another reason.
#[derive(Clone)]
pub(crate) enum Cap {
    /// Delivered at once, whatever it will turn out to be.
    Stub(Located),
    /// Replaced by its outcome before an application sees it.
    Promise(Located),
    /// An error of ours. It is written when it is sent, since what a peer may see of it is a
    /// question for that session.
    Error(Error),
    /// The end of a stream that is read from. Whoever takes it out of its slot first has it.
    Readable(Arc<Slot<BoxSource>>),
    /// The end of a stream that is written to, likewise.
    Writable(Arc<Slot<BoxDestination>>),
    /// What a blob holds. It is there before an application sees it.
    Blob(Arc<BlobContent>),
    /// Bytes. They are plain data, and so many that base64 is left to the transport that needs it.
    Bytes(Bytes, Container),
}

/// A hook, and the way from it to what is meant.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) hook: Hook,
    pub(crate) path: Path,
}

impl Located {
    /// A hook for what is meant: a property is asked for.
    pub(crate) fn resolve(&self) -> Hook {
        if self.path.is_empty() {
            self.hook.clone()
        } else {
            invoke(self.hook.clone(), &self.path, Operation::Get, &Origin::App)
        }
    }
}

impl Cap {
    /// The memory that one takes, in bytes: its place in a payload, and an object or import of its
    /// own that it leads to.
    pub(crate) const COST: usize = 192;

    /// The most that one takes in a message, in UTF-16 code units.
    pub(crate) const MESSAGE_SIZE: usize = 32;

    /// From this length on, bytes are kept out of the text.
    pub(crate) const BYTES_FROM: usize = 1024;

    /// Whether this is plain data, and no capability.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Bytes(..))
    }

    /// How much longer the text would be with this in it, which is no capability.
    pub(crate) fn text_len(&self) -> usize {
        match self {
            Self::Bytes(bytes, _) => capnweb_wire::base64_len(bytes.len()),
            _ => 0,
        }
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Stub(_) => "a stub",
            Self::Promise(_) => "a promise",
            Self::Error(_) => "an error",
            Self::Readable(_) => "a readable stream",
            Self::Writable(_) => "a writable stream",
            Self::Blob(_) => "the content of a blob",
            Self::Bytes(..) => "bytes",
        }
    }

    pub(crate) fn stub(hook: Hook) -> Self {
        Self::Stub(Located {
            hook,
            path: Path::default(),
        })
    }

    /// Whether this has to settle before an application sees it.
    pub(crate) fn is_awaited(&self) -> bool {
        match self {
            Self::Promise(_) => true,
            Self::Blob(content) => content.bytes().is_none(),
            _ => false,
        }
    }

    /// Whether this stands for a value inside of a recorded function.
    pub(crate) fn is_placeholder(&self) -> bool {
        match self {
            Self::Stub(located) | Self::Promise(located) => {
                matches!(located.hook, Hook::Placeholder(_))
            }
            _ => false,
        }
    }

    pub(crate) fn promise(hook: Hook) -> Self {
        Self::Promise(Located {
            hook,
            path: Path::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use capnweb_wire::Span;

    use super::*;
    use crate::graph::{import::Import, local_object::LocalObject};

    #[test]
    fn the_cost_is_that_of_the_memory() {
        // The counters of an `Arc`, and a small object of the application's behind another one.
        let counters = 2 * size_of::<usize>();
        let place = size_of::<Cap>() + size_of::<Span>();
        let object = place + counters + size_of::<LocalObject>() + counters + 16;
        let import = place + counters + size_of::<Import>();
        for memory in [object, import] {
            let is_near = Cap::COST * 3 >= memory * 2 && Cap::COST * 2 <= memory * 3;
            assert!(is_near, "{memory} bytes");
        }
    }
}
