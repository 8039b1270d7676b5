use std::rc::Rc;

use capnweb::{Result, interface};

#[interface]
trait Api {
    async fn name(&self) -> Result<String>;
    async fn greet(&self) -> Result<String> {
        let name = Rc::new(self.name().await?);
        self.name().await?;
        Ok(format!("Hello, {name}!"))
    }
}

struct Server;

impl Api for Server {
    async fn name(&self) -> Result<String> {
        let name = Rc::new("Ada".to_owned());
        std::future::ready(()).await;
        Ok((*name).clone())
    }
}

fn main() {}
