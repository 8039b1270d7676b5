#[capnweb::interface]
trait Calculator {
    async fn square(&self, n: f64) -> capnweb::Result<f64>;
}
struct Squares;
impl Calculator for Squares {
    async fn square(&self, n: f64) -> capnweb::Result<f64> {
        Ok(n * n)
    }
}
