//! A trait, and copies of it with one change each. They show what happens to a page when its Rust
//! trait changes.
//!
//! The page `typescript/drift.ts` was written against the declarations of `kept`. Those of every
//! copy must break it. `typescript/run.mjs` prints them with `capnweb-interop dts --of drift-NAME`.

use capnweb::typescript::{self, Declarations};

macro_rules! boards {
    ($($name:ident $text:literal {
        $(#[$method:meta])* $get:ident($($of:ident: $ty:ty)?) -> $note:ty;
        listen($heard:ty);
        struct { $(#[$title_attribute:meta])* $title:ident: $title_type:ty }
        enum { $red:ident }
    })*) => {
        $(mod $name {
            use capnweb::{Callback, Result};

            #[capnweb::interface]
            pub(super) trait Board {
                $(#[$method])*
                async fn $get(&self, $($of: $ty)?) -> Result<$note>;
                async fn listen(&self, on_note: Callback<$heard>) -> Result<()>;
            }

            #[capnweb::value]
            pub(super) struct Note {
                $(#[$title_attribute])*
                $title: $title_type,
                color: Color,
            }

            #[capnweb::value]
            pub(super) enum Color {
                $red,
                Green,
            }
        })*

        /// Returns the declarations of one of the copies.
        pub(crate) fn declarations(name: &str) -> Option<Declarations> {
            match name {
                $($text => Some(typescript::of::<$name::BoardStub>()),)*
                _ => None,
            }
        }
    };
}

boards! {
    kept "kept" {
        note(id: u32) -> Note;
        listen(Note);
        struct { title: String }
        enum { Red }
    }
    method_renamed "method-renamed" {
        find_note(id: u32) -> Note;
        listen(Note);
        struct { title: String }
        enum { Red }
    }
    method_renamed_on_the_wire "method-renamed-on-the-wire" {
        #[rpc(name = "find")]
        note(id: u32) -> Note;
        listen(Note);
        struct { title: String }
        enum { Red }
    }
    parameter_changed "parameter-changed" {
        note(id: String) -> Note;
        listen(Note);
        struct { title: String }
        enum { Red }
    }
    parameter_gone "parameter-gone" {
        note() -> Note;
        listen(Note);
        struct { title: String }
        enum { Red }
    }
    result_optional "result-optional" {
        note(id: u32) -> Option<Note>;
        listen(Note);
        struct { title: String }
        enum { Red }
    }
    callback_changed "callback-changed" {
        note(id: u32) -> Note;
        listen(Vec<Note>);
        struct { title: String }
        enum { Red }
    }
    field_renamed "field-renamed" {
        note(id: u32) -> Note;
        listen(Note);
        struct { heading: String }
        enum { Red }
    }
    field_renamed_on_the_wire "field-renamed-on-the-wire" {
        note(id: u32) -> Note;
        listen(Note);
        struct { #[serde(rename = "heading")] title: String }
        enum { Red }
    }
    field_changed "field-changed" {
        note(id: u32) -> Note;
        listen(Note);
        struct { title: u64 }
        enum { Red }
    }
    field_optional "field-optional" {
        note(id: u32) -> Note;
        listen(Note);
        struct { title: Option<String> }
        enum { Red }
    }
    variant_renamed "variant-renamed" {
        note(id: u32) -> Note;
        listen(Note);
        struct { title: String }
        enum { Crimson }
    }
}
