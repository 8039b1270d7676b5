use capnweb::{Callback, Context, Result, interface};

#[interface]
trait Api {
    async fn text(&self, text: &str) -> Result<()>;
    async fn list(&self, list: &[u32]) -> Result<()>;
    async fn user(&self, user: &User) -> Result<()>;
    async fn inside(&self, texts: Vec<&'static str>) -> Result<()>;
    async fn function(&self, function: impl Fn(u32)) -> Result<()>;
    async fn object(&self, object: Box<dyn Fn(u32)>) -> Result<()>;
    async fn any(&self, api: impl Api) -> Result<()>;
    async fn shared(&self, api: std::sync::Arc<dyn Api>) -> Result<()>;
    async fn itself(&self, other: Self) -> Result<()>;
    async fn pattern(&self, (a, b): (u32, u32)) -> Result<()>;
    async fn nameless(&self, _: u32) -> Result<()>;
    async fn attribute(&self, #[cfg(unix)] n: u32) -> Result<()>;
    async fn many(
        &self,
        a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8,
    ) -> Result<()>;
    async fn fine(&self, context: &Context, function: Callback<u32>) -> Result<()>;
}

struct User;

fn main() {}
