use capnweb::{Result, interface};

#[interface]
trait Api {
    async fn name(&self) -> Result<String>;
    #[rpc(get)]
    async fn size(&self) -> Result<u32>;
}

async fn calls(api: &ApiStub) -> Result<()> {
    api.size;
    let length = api.name().len();
    api.nam().await?;
    Ok(())
}

fn main() {}
