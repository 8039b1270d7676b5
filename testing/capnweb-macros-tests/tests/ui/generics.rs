use capnweb::{Result, interface};

#[interface]
trait Api {
    async fn generic<T>(&self, value: T) -> Result<()>;
    async fn lifetime<'a>(&self, value: String) -> Result<()>;
    async fn conditions(&self) -> Result<()>
    where
        Self: Sized;
}

#[interface]
trait Borrowing<'a> {
    async fn fine(&self) -> Result<()>;
}

fn main() {}
