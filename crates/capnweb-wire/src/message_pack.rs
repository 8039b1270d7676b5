//! Messages as MessagePack, in place of JSON text.
//!
//! The TypeScript library lets a transport carry messages as trees with raw bytes: the *encoding
//! level* `jsonCompatibleWithBytes`. Such a tree equals the JSON text, except that the second item
//! of `["bytes", …]` is bytes rather than base64. [`from_json`] writes one as
//! [MessagePack](https://msgpack.org), and [`to_json`] reads one, so a transport can translate at
//! its edge. [`pack`] and [`unpack`] do the same with attachments: long byte strings alongside the
//! text, which are not translated at all. [`pack_around`] leaves the attachments to the caller.
//!
//! ```
//! use capnweb_wire::{Limits, message_pack};
//!
//! let text = r#"["resolve",1,{"data":["bytes","AQID"]}]"#;
//! let mut packed = Vec::new();
//! message_pack::from_json(text, &mut packed)?;
//! assert!(packed.ends_with(b"\xc4\x03\x01\x02\x03"));
//!
//! let mut back = Vec::new();
//! message_pack::to_json(&packed, &Limits::default(), &mut back)?;
//! assert_eq!(back, text.as_bytes());
//! # Ok::<(), message_pack::PackError>(())
//! ```

mod error;
mod pack;
mod unpack;

pub use self::{
    error::PackError,
    pack::{from_json, pack, pack_around},
    unpack::{to_json, unpack},
};

#[cfg(test)]
mod tests;
