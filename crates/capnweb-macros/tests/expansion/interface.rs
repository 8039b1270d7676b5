// What a user writes; `interface.expanded.rs` is what `#[interface]` makes of it.
#[capnweb::interface]
/// A library.
pub trait Library: Named {
    /// Looks a book up.
    async fn find_book(&self, isbn: String, edition: Option<u32>) -> Result<BookStub>;

    /// How many books there are.
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
