//! Test doubles: objects that implement only a part of their interface.

use capnweb::{Error, Promise, Result, interface};

use crate::support::here_and_there;

#[capnweb::error]
#[derive(Debug)]
enum Failure {
    #[rpc(message = "gone")]
    Gone,
    #[rpc(other)]
    Other(Error),
}

#[interface(default)]
trait Library {
    async fn find_book(&self, isbn: String) -> Result<u32>;
    fn size(&self) -> Result<u32, Failure>;
    fn promised(&self, n: u32) -> Promise<u32>;
    fn failing(&self) -> Promise<u32, Failure>;
    #[rpc(get)]
    async fn name(&self) -> Result<String>;
    async fn twice(&self, n: u32) -> Result<u32> {
        Ok(2 * n)
    }
}

struct OnlySize;

impl Library for OnlySize {
    fn size(&self) -> Result<u32, Failure> {
        Ok(3)
    }
}

#[interface]
trait Half {
    fn must(&self) -> Result<u32>;
    #[rpc(default)]
    async fn may(&self, n: u32) -> Result<u32>;
}

impl Half for OnlySize {
    fn must(&self) -> Result<u32> {
        Err(Failure::Gone.into())
    }
}

#[tokio::test]
async fn what_is_left_out_is_unimplemented() {
    here_and_there(LibraryStub::new(OnlySize), async |library| {
        assert_eq!(library.size().await.unwrap(), 3);
        assert_eq!(library.twice(4).await.unwrap(), 8);
        let error = library.find_book("1").await.unwrap_err();
        assert_eq!(error.message(), "findBook is not implemented");
        assert_eq!(error.code().as_deref(), Some("unimplemented"));
        assert!(library.promised(1).await.is_err());
        assert!(library.name().await.is_err());
        assert!(matches!(library.failing().await, Err(Failure::Other(_))));
    })
    .await;
    here_and_there(HalfStub::new(OnlySize), async |half| {
        assert_eq!(
            half.must().await.unwrap_err().code().as_deref(),
            Some("gone")
        );
        let error = half.may(1).await.unwrap_err();
        assert_eq!(error.code().as_deref(), Some("unimplemented"));
    })
    .await;
}
