//! The macros without the facade, on `capnweb-core` alone.

use capnweb_core::Result;
use capnweb_macros::{interface, value};

use crate::support::here_and_there;

#[interface(crate = "capnweb_core", strict)]
trait Adder {
    async fn add(&self, a: Number<u32>, b: u32) -> Result<Number<u32>>;
}

#[value(crate = "::capnweb_core")]
struct Number<T> {
    the_value: T,
}

struct Plain;

impl Adder for Plain {
    async fn add(&self, a: Number<u32>, b: u32) -> Result<Number<u32>> {
        Ok(Number {
            the_value: a.the_value + b,
        })
    }
}

#[tokio::test]
async fn the_expansion_uses_the_crate_path_it_is_given() {
    here_and_there(AdderStub::new(Plain), |adder| async move {
        let three = adder.add(Number { the_value: 1 }, 2).the_value();
        let six = adder.add(Number { the_value: &three }, three.clone());
        assert_eq!(six.await.unwrap().the_value, 6);
        assert!(adder.call("add", (1, 2, 3)).await.is_err());
    })
    .await;
}
