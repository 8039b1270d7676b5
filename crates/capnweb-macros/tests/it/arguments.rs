//! The checks before a handler runs, and the errors that callers receive.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use capnweb::{Error, Promise, Result, Undefined, interface};

use crate::support::here_and_there;

#[interface]
trait Shop {
    async fn order(&self, item_id: u32, amounts: Vec<u32>, _note: Option<String>) -> Result<u32>;
    fn order_now(&self, item_id: u32) -> Result<u32>;
    async fn options(&self, first: Option<u32>, rest: u32, last: Option<u32>) -> Result<String>;
    #[rpc(name = "mapPrices")]
    async fn map(&self, prices: HashMap<String, f64>) -> Result<usize>;
    async fn custom_error(&self) -> Result<(), ShopError>;
}

struct ShopError;

impl From<ShopError> for Error {
    fn from(_: ShopError) -> Self {
        Self::new("sold out").with_prop("code", "E_SOLD_OUT")
    }
}

impl From<Error> for ShopError {
    fn from(_: Error) -> Self {
        Self
    }
}

#[derive(Default)]
struct Counting(AtomicU32);

impl Shop for Counting {
    async fn order(&self, item_id: u32, amounts: Vec<u32>, _note: Option<String>) -> Result<u32> {
        self.0.fetch_add(1, SeqCst);
        Ok(item_id * amounts.iter().sum::<u32>())
    }

    fn order_now(&self, item_id: u32) -> Result<u32> {
        self.0.fetch_add(1, SeqCst);
        Ok(item_id)
    }

    async fn options(&self, first: Option<u32>, rest: u32, last: Option<u32>) -> Result<String> {
        Ok(format!("{first:?} {rest} {last:?}"))
    }

    async fn map(&self, prices: HashMap<String, f64>) -> Result<usize> {
        Ok(prices.len())
    }

    async fn custom_error(&self) -> Result<(), ShopError> {
        Err(ShopError)
    }
}

#[tokio::test]
async fn wrong_arguments_are_refused_before_the_handler_runs() {
    let shop = Arc::new(Counting::default());
    here_and_there(ShopStub::new(shop.clone()), |stub| async move {
        for (error, expected) in [
            (
                stub.call("order", ("7", [1])).await,
                "order: parameter `itemId`: expected u32, got a string (in Rust: `item_id` of `Shop::order`)",
            ),
            (
                stub.call("order", (7, 1)).await,
                "order: parameter `amounts`: expected a sequence, got a number",
            ),
            (
                stub.call("order", (7, ["a"])).await,
                "order: parameter `amounts[0]`: expected u32, got a string",
            ),
            (
                stub.call("order", (7, [1], 5)).await,
                "order: parameter `note`: expected a string, got a number (in Rust: `_note` of `Shop::order`)",
            ),
            (
                stub.call("order", (7,)).await,
                "order: parameter `amounts`: expected a sequence, got undefined",
            ),
            (
                stub.call("orderNow", (-1,)).await,
                "orderNow: parameter `itemId`: expected u32, got -1 (in Rust: `item_id` of `Shop::order_now`)",
            ),
            (
                stub.call("orderNow", ()).await,
                "orderNow: parameter `itemId`: expected u32, got undefined (in Rust: `item_id` of `Shop::order_now`)",
            ),
        ] {
            let error = error.unwrap_err();
            assert!(error.is_type_error(), "{error}");
            assert_eq!(error.message(), expected);
        }
    })
    .await;
    assert_eq!(shop.0.load(SeqCst), 0);
}

#[tokio::test]
async fn superfluous_arguments_are_ignored() {
    here_and_there(ShopStub::new(Counting::default()), |stub| async move {
        let order = stub.call("order", (7, [1, 2], (), "more", 5));
        assert_eq!(order.fetch::<u32>().await.unwrap(), 21);
    })
    .await;
}

#[tokio::test]
async fn optional_arguments_can_be_omitted() {
    here_and_there(ShopStub::new(Counting::default()), |stub| async move {
        assert_eq!(stub.order(7, [1], ()).await.unwrap(), 7);
        assert_eq!(stub.order(7, vec![1], Some("quickly")).await.unwrap(), 7);
        assert_eq!(stub.order(7, vec![1], None::<String>).await.unwrap(), 7);
        assert_eq!(stub.options(1, 2, 3).await.unwrap(), "Some(1) 2 Some(3)");
        assert_eq!(stub.options((), 2, ()).await.unwrap(), "None 2 None");
        let left_out = stub.options(None::<u32>, 2, None::<u32>);
        assert_eq!(left_out.await.unwrap(), "None 2 None");
        let dynamic = stub.call("options", (Undefined, 2));
        assert_eq!(dynamic.fetch::<String>().await.unwrap(), "None 2 None");
    })
    .await;
}

#[tokio::test]
async fn promises_stand_in_for_their_values() {
    here_and_there(ShopStub::new(Counting::default()), |stub| async move {
        let item = stub.order_now(3);
        let order = stub.order(&item, vec![stub.order_now(1), item.clone()], ());
        assert_eq!(order.await.unwrap(), 12);
        let options = stub.options(item, Promise::<u32>::ready(4), stub.order_now(5));
        assert_eq!(options.await.unwrap(), "Some(3) 4 Some(5)");
        let prices = HashMap::from([("tea".to_owned(), 2.5)]);
        assert_eq!(stub.map(&prices).await.unwrap(), 1);
        // A promise that is rejected makes the call fail.
        let failing = Promise::<u32>::rejected(Error::range_error("no such item"));
        assert!(stub.order_now(failing).await.unwrap_err().is_range_error());
    })
    .await;
}

#[tokio::test]
async fn custom_errors_become_library_errors() {
    here_and_there(ShopStub::new(Counting::default()), |stub| async move {
        let error = stub.call("customError", ()).await.unwrap_err();
        assert_eq!(error.message(), "sold out");
        assert_eq!(error.prop::<String>("code").as_deref(), Some("E_SOLD_OUT"));
    })
    .await;
}
