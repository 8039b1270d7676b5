//! Streams as applications hold them: readers, writers and byte streams with the types of their chunks.

mod application;
mod byte_stream;
mod parameter;
mod readable;
mod writable;

pub use self::{
    byte_stream::ByteStream,
    readable::{IntoChunk, Readable},
    writable::{Writable, pipe},
};
