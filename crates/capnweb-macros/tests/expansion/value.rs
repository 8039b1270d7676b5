// What a user writes; `value.expanded.rs` is what `#[value]` makes of it.
#[capnweb::value]
/// A book, or one that is still being looked for.
#[derive(Clone, Debug)]
pub struct Book<A> {
    /// What is on the cover.
    pub title: String,
    pub written_by: A,
    #[serde(rename = "ISBN")]
    isbn: Option<String>,
}
