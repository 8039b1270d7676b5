#[capnweb::interface]
trait Library {
    async fn find_book(&self, isbn: String) -> capnweb::Result<String>;
    fn size(&self) -> capnweb::Result<u32>;
}
