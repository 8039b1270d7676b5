#[capnweb::interface]
trait Library {
    fn size(&self) -> capnweb::Result<u32>;
}
struct Shelf;
impl Library for Shelf {
    fn size(&self) -> capnweb::Result<u32> {
        Ok(1)
    }
}
