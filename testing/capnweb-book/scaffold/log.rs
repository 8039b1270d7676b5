#[capnweb::interface]
trait Log {
    async fn write(&self, line: String) -> capnweb::Result<()>;
}
struct Server;
impl Log for Server {
    async fn write(&self, _line: String) -> capnweb::Result<()> {
        Ok(())
    }
}
let log = LogStub::new(Server);
