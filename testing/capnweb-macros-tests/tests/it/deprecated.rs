//! Deprecated items warn their users. The expansion itself does not warn.
#![deny(warnings, reason = "any warning here is of the expansion's making")]

use capnweb::{Result, interface, value};

use crate::support::here_and_there;

#[value]
#[deprecated]
pub(crate) struct Old<T> {
    inside: T,
}

#[value]
#[deprecated]
pub(crate) struct OldId(u32);

#[value]
#[deprecated]
pub(crate) enum OldEvent {
    #[deprecated]
    Gone,
    Named {
        name: String,
    },
}

#[value]
struct Mixed {
    kept: u32,
    #[deprecated]
    gone: u32,
}

#[value]
enum Event {
    #[deprecated]
    Gone,
    Kept(u32),
}

#[interface]
#[deprecated]
#[allow(
    deprecated,
    reason = "the compiler takes the names in a trait for used"
)]
pub(crate) trait OldApi<T> {
    async fn old(&self, old: Old<T>, id: Option<OldId>) -> Result<OldEvent>;
    #[rpc(get)]
    fn id(&self) -> Result<OldId>;
    #[rpc(catch_all)]
    async fn rest(&self, method: String, args: Old<T>) -> Result<OldApiStub<T>>;
}

#[interface]
trait Api {
    #[deprecated]
    async fn gone(&self, event: Event) -> Result<Mixed>;
    async fn kept(&self) -> Result<u32>;
}

struct Object;

#[allow(
    deprecated,
    reason = "an implementation has to name what it implements"
)]
impl Api for Object {
    async fn gone(&self, event: Event) -> Result<Mixed> {
        let kept = match event {
            Event::Gone => 0,
            Event::Kept(kept) => kept,
        };
        Ok(Mixed { kept, gone: 0 })
    }

    async fn kept(&self) -> Result<u32> {
        Ok(2)
    }
}

#[tokio::test]
async fn deprecated_items_expand_without_warnings() {
    here_and_there(ApiStub::new(Object), |api| async move {
        assert_eq!(api.kept().await.unwrap(), 2);
        #[expect(deprecated, reason = "users are warned")]
        let mixed = api.gone(Event::Kept(3));
        assert_eq!(mixed.kept().await.unwrap(), 3);
    })
    .await;
}
