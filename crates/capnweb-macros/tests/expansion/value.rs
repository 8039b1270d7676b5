// The user's code. `value.expanded.rs` is its expansion by `#[value]`.
#[capnweb::value]
/// A book, or the promise of one.
#[derive(Clone, Debug)]
pub struct Book<A> {
    /// The text on the cover.
    pub title: String,
    pub written_by: A,
    #[serde(rename = "ISBN")]
    isbn: Option<String>,
}
