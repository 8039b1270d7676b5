use capnweb::{Promise, Result, interface};

#[interface]
trait Api {
    async fn nothing(&self);
    async fn number(&self) -> u32;
    async fn maybe(&self) -> Option<Vec<u32>>;
    async fn text(&self) -> Result<&str>;
    async fn any(&self) -> Result<impl Sized>;
    async fn opaque(&self) -> Result<impl Api>;
    async fn object(&self) -> Result<std::sync::Arc<dyn Api>>;
    async fn itself(&self) -> Result<Self>;
    async fn empty(&self) -> Result;
    async fn promise(&self) -> Promise<u32>;
    fn future(&self) -> impl Future<Output = Result<u32>> + Send;
    async fn fine(&self) -> Result<Promise<u32>>;
}

fn main() {}
