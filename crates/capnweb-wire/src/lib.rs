//! The Cap'n Web wire format: reading and writing of messages and expressions, with limits.
//!
//! A Cap'n Web session is a stream of *messages*, each a JSON array, for instance `["push",
//! ["pipeline", 0, ["add"], [2, 3]]]`. A message contains an *expression*: JSON in which every
//! array is either an escaped array, such as `[[1, 2]]`, or a form with a meaning, such as
//! `["date", 0]` or `["import", -1]`.
//!
//! This crate only deals with text. It has no sockets, no async, no clock, and no tables of IDs.
//!
//! # Reading messages
//!
//! [`scan_frame`] is the hot path. One pass over a message's text checks everything that can be
//! checked without a session (JSON syntax, every form, and the [`Limits`]), determines the
//! [`Frame`], and lists its *holes*: the positions of capabilities in its expression. It builds no
//! tree. The accepted text can be read later by [`pick`] (one step of a property path) and decoded
//! directly into Rust types.
//!
//! ```
//! use capnweb_wire::{Form, Frame, Limits, scan_frame};
//!
//! let mut holes = Vec::new();
//! let text = r#"["push",["pipeline",0,["add"],[2,3]]]"#;
//! let Frame::Push(expr) = scan_frame(text, &Limits::default(), &mut holes)? else { panic!() };
//! assert_eq!(expr, r#"["pipeline",0,["add"],[2,3]]"#);
//!
//! let hole = holes[0];
//! assert_eq!((hole.form, hole.id), (Form::Pipeline, 0));
//! assert_eq!(hole.path.map(|path| path.of(expr)), Some(r#"["add"]"#));
//! assert_eq!(hole.args.map(|args| args.of(expr)), Some("[2,3]"));
//! # Ok::<(), capnweb_wire::WireError>(())
//! ```
//!
//! # Writing messages
//!
//! [`encode`] writes every message that the scanner reads, around content that the caller writes.
//!
//! # Rust values
//!
//! [`to_expr`] and [`to_args`] write any type that implements serde's `Serialize` as an expression
//! or as the arguments of a call. [`from_expr`] and [`from_args`] read scanned text into any type
//! that implements `Deserialize`. There are types for values that serde does not know: [`Date`],
//! [`BigInt`], [`Undefined`], [`TypedArray`], [`Binary`]. Capabilities pass through as tokens that
//! a [`CapabilitySink`] resolves.
//!
//! ```
//! use capnweb_wire::{NoCapabilities, to_args};
//!
//! let mut args = Vec::new();
//! to_args(&("ann", vec![1.5, f64::INFINITY]), &mut args, &mut NoCapabilities)?;
//! assert_eq!(args, br#"["ann",[[1.5,["inf"]]]]"#);
//! # Ok::<(), capnweb_wire::SerError>(())
//! ```
//!
//! # Other encodings
//!
//! With the feature `message-pack`, `message_pack` translates messages to and from MessagePack,
//! with raw bytes.
//!
//! # Plain trees
//!
//! [`Message`] and [`Expr`] are for proxies, recorders and tools that prefer trees to scanning.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attachment;
mod bigint;
mod binary;
mod byte_buf;
mod bytes;
mod compat;
mod container;
mod date;
mod de;
mod decimal;
pub mod encode;
mod entries;
mod error;
mod frame;
mod hole;
mod index;
#[doc(hidden)]
pub mod invariant;
mod kind;
mod lex;
mod limits;
mod message;
#[cfg(feature = "message-pack")]
pub mod message_pack;
mod path;
mod pick;
mod reserved;
mod scan;
mod ser;
mod serde_error;
mod sort;
mod span;
mod token;
mod typed_array;
mod undefined;
mod url;
mod write;

pub use attachment::{Attachment, write_form};
pub use bigint::{BigInt, BigIntOutOfRange, ParseBigIntError};
pub use binary::{BadLength, Binary};
pub use bytes::{base64_len, read_form, write_base64};
#[doc(hidden)]
pub use compat::{UnknownForms, replace_forms};
pub use container::Container;
pub use date::{Date, InvalidDate};
pub use de::{ArgsReader, Restore, Source, Tagging, from_args, from_expr, is_buffered, read_enum};
pub use decimal::parse_f64;
#[doc(hidden)]
pub use decimal::{Decimal, InSeconds};
pub use error::WireError;
pub use frame::{Frame, push_note, scan_attached, scan_frame};
pub use hole::{Form, Hole};
pub use index::Index;
pub use kind::{Kind, kind};
pub use lex::unescape;
pub use limits::Limits;
pub use message::{
    Capture, ErrorValue, Expr, JsString, Message, PathStep, RawJson, Reference, RemapValue,
    RequestValue, ResponseValue,
};
pub use path::{Step, Steps, is_prototype_name, steps};
pub use pick::{Elements, Picked, elements, pick};
pub use reserved::{BIGINT, CAPABILITY, DATE, OPTIONAL, RAW, UNDEFINED, URL, VALUE};
pub use scan::{scan_expr, scan_list};
pub use ser::{to_args, to_expr, to_expr_within};
pub use serde_error::{DeError, SerError};
#[doc(hidden)]
pub use sort::sort_by_key;
pub use span::Span;
pub use token::{CapabilitySink, CapabilitySource, NoCapabilities, TOKEN_LEN};
pub use typed_array::{Element, TypedArray};
pub use undefined::Undefined;
pub use write::{write_f64, write_i64, write_string};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
