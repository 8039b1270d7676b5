//! The contents of a payload's holes.

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

/// A capability in a payload, or something else that is kept out of its text.
#[derive(Clone)]
pub(crate) enum Cap {
    /// A stub. It is delivered at once, whatever it will turn out to be.
    Stub(Located),
    /// A promise. It is replaced by its outcome before an application sees it.
    Promise(Located),
    /// An error of this side. It is encoded when it is sent, since the session decides what the
    /// peer may see of it.
    Error(Error),
    /// A stream to read from. It belongs to whatever takes it out of its slot first.
    Readable(Arc<Slot<BoxSource>>),
    /// A stream to write to. It belongs to whatever takes it out of its slot first.
    Writable(Arc<Slot<BoxDestination>>),
    /// The content of a blob. It is complete before an application sees it.
    Blob(Arc<BlobContent>),
    /// Bytes, which are plain data. There are so many that base64 is left to the transports that
    /// need it.
    Bytes(Bytes, Container),
}

/// A hook with a path to the property that is meant.
#[derive(Clone)]
pub(crate) struct Located {
    pub(crate) hook: Hook,
    pub(crate) path: Path,
}

impl Located {
    /// Returns a hook for the located property, which is read if the path is not empty.
    pub(crate) fn resolve(&self) -> Hook {
        if self.path.is_empty() {
            self.hook.clone()
        } else {
            invoke(self.hook.clone(), &self.path, Operation::Get, &Origin::App)
        }
    }
}

impl Cap {
    /// The memory that a capability takes, in bytes: its place in a payload, and the object or
    /// import that it leads to.
    pub(crate) const COST: usize = 192;

    /// The maximum length of a capability in a message, in UTF-16 code units.
    pub(crate) const MESSAGE_SIZE: usize = 32;

    /// The length from which bytes are kept out of the text.
    pub(crate) const BYTES_FROM: usize = 1024;

    /// Returns whether this is plain data rather than a capability.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Bytes(..))
    }

    /// Returns the length that this adds to the text if it is inserted. Capabilities add nothing.
    pub(crate) fn text_len(&self) -> usize {
        match self {
            Self::Bytes(bytes, _) => capnweb_wire::base64_len(bytes.len()),
            _ => 0,
        }
    }

    /// Returns a description of the kind of content.
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

    /// Returns whether this must settle before an application sees it.
    pub(crate) fn is_awaited(&self) -> bool {
        match self {
            Self::Promise(_) => true,
            Self::Blob(content) => content.bytes().is_none(),
            _ => false,
        }
    }

    /// Returns whether this stands for a value within a recorded function.
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
        // Include the counters of an `Arc`, and a small object of the application behind another
        // `Arc`.
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
