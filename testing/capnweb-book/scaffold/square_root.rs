struct Server;
impl Calculator for Server {
    async fn square_root(&self, of_number: f64) -> capnweb::Result<f64> {
        Ok(of_number.sqrt())
    }
}
