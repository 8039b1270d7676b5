// The user's code. `interface.expanded.rs` is its expansion by `#[interface]`.
#[capnweb::interface]
/// A library.
pub trait Library: Named {
    /// Looks up a book.
    async fn find_book(&self, isbn: String, edition: Option<u32>) -> Result<BookStub>;

    /// Returns the number of books.
    #[rpc(get)]
    fn size(&self) -> Result<u32>;

    #[rpc(cancel_on_release, strict)]
    async fn watch(&self, context: &Context, on_book: Callback<String>) -> Result<()>;

    fn newest(&self) -> Promise<Book>;

    #[rpc(catch_all)]
    async fn other(&self, method: String, args: Payload) -> Result<Payload> {
        Err(Error::new(format!("no {method}({args:?}) here")))
    }
}
