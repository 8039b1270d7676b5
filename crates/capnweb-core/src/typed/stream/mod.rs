//! Streams for applications: readers, writers and byte streams with typed chunks.

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
