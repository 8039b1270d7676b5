//! Interfaces and values that a `macro_rules!` writes, of its own tokens and of those it was given.

use capnweb::{Callback, Context, Promise, Result, interface, value};

use crate::support::here_and_there;

macro_rules! pass_on {
    ($($tokens:tt)*) => {
        #[interface]
        $($tokens)*
    };
}

pass_on! {
    /// All tokens are the caller's.
    trait Passed<T> {
        async fn echo(&self, call: T, target: u32) -> Result<(T, u32)>;
        fn sync(&self, get: u32) -> Result<u32>;
        fn promised(&self, answer: u32) -> Promise<u32>;
        #[rpc(get)]
        async fn property(&self, context: &Context) -> Result<u32>;
        #[rpc(cancel_on_release)]
        async fn cancelable(&self) -> Result<u32>;
        async fn defaulted(&self, n: u32) -> Result<u32> {
            let twice = self.sync(n)?;
            Ok(twice + 1)
        }
        #[rpc(catch_all)]
        async fn other(&self, method: String, args: Vec<u32>) -> Result<(String, Vec<u32>)>;
    }
}

struct Object;

impl Passed<String> for Object {
    async fn echo(&self, call: String, target: u32) -> Result<(String, u32)> {
        Ok((call, target))
    }

    fn sync(&self, get: u32) -> Result<u32> {
        Ok(get * 2)
    }

    fn promised(&self, answer: u32) -> Promise<u32> {
        Promise::ready(answer)
    }

    async fn property(&self, _: &Context) -> Result<u32> {
        Ok(7)
    }

    async fn cancelable(&self) -> Result<u32> {
        Ok(8)
    }

    async fn other(&self, method: String, args: Vec<u32>) -> Result<(String, Vec<u32>)> {
        Ok((method, args))
    }
}

#[tokio::test]
async fn the_tokens_of_a_trait_are_passed_on() {
    here_and_there(PassedStub::new(std::sync::Arc::new(Object)), async |api| {
        assert_eq!(api.echo("a", 1).await.unwrap(), ("a".to_owned(), 1));
        assert_eq!(api.sync(2).await.unwrap(), 4);
        assert_eq!(api.promised(3).await.unwrap(), 3);
        assert_eq!(api.property().await.unwrap(), 7);
        assert_eq!(api.cancelable().await.unwrap(), 8);
        assert_eq!(api.defaulted(4).await.unwrap(), 9);
        let other = api.other("some", (1, 2)).await.unwrap();
        assert_eq!(other, ("some".to_owned(), vec![1, 2]));
    })
    .await;
}

/// Each part of the trait is a fragment of its own, and `self` is the macro's.
macro_rules! write_interface {
    (
        $(#[$meta:meta])*
        $vis:vis trait $name:ident $(: $super:ident)? {
            $($method:ident($($param:ident: $ty:ty),*) -> $result:ty;)*
        }
    ) => {
        #[interface]
        $(#[$meta])*
        $vis trait $name $(: $super)? {
            $(async fn $method(&self, $($param: $ty),*) -> Result<$result>;)*
        }
    };
}

write_interface! {
    /// The base of the other.
    pub(crate) trait Base {
        base(n: u32) -> u32;
    }
}

write_interface! {
    /// Types of parameters and results are fragments, contexts and options among them.
    #[rpc(strict)]
    pub(crate) trait Written: Base {
        optional(a: u32, b: Option<u32>) -> Option<u32>;
        with_context(context: Context, n: u32) -> u32;
        with_callback(callback: Callback<u32, u32>) -> u32;
        later(n: u32) -> Promise<u32>;
        stub() -> BaseStub;
    }
}

#[derive(Clone)]
struct Both;

impl Base for Both {
    async fn base(&self, n: u32) -> Result<u32> {
        Ok(n + 1)
    }
}

impl Written for Both {
    async fn optional(&self, a: u32, b: Option<u32>) -> Result<Option<u32>> {
        Ok(b.map(|b| a + b))
    }

    async fn with_context(&self, _: Context, n: u32) -> Result<u32> {
        Ok(n)
    }

    async fn with_callback(&self, callback: Callback<u32, u32>) -> Result<u32> {
        callback.call(20).await
    }

    async fn later(&self, n: u32) -> Result<Promise<u32>> {
        Ok(Promise::ready(n))
    }

    async fn stub(&self) -> Result<BaseStub> {
        Ok(BaseStub::new(Both))
    }
}

#[tokio::test]
async fn a_trait_is_written_of_fragments() {
    here_and_there(WrittenStub::new(Both), async |api| {
        assert_eq!(api.base(1).await.unwrap(), 2);
        assert_eq!(api.optional(1, 2).await.unwrap(), Some(3));
        // The option is known to be one, though it is a fragment: it can be left out.
        let left_out = api.call("optional", (1,)).fetch::<Option<u32>>();
        assert_eq!(left_out.await.unwrap(), None);
        assert_eq!(api.with_context(4).await.unwrap(), 4);
        assert_eq!(api.with_callback(|n: u32| n + 1).await.unwrap(), 21);
        assert_eq!(api.later(5).await.unwrap(), 5);
        assert_eq!(api.stub().base(6).await.unwrap(), 7);
        assert!(api.call("base", (1, 2)).await.is_ok());
        assert!(api.call("stub", (1,)).await.is_err());
    })
    .await;
}

/// The trait is one fragment, in the place of an item; or its receivers are the caller's, and the rest
/// the macro's.
macro_rules! wrap {
    ($name:ident, $this:ident, $block:block) => {
        #[interface]
        trait $name {
            fn number(&$this) -> Result<u32>;
            async fn defaulted(&$this) -> Result<u32> $block
        }
    };
    ($item:item) => {
        #[interface]
        $item
    };
}

wrap! {
    trait Item {
        async fn item(&self, n: u32) -> Result<u32>;
    }
}

wrap!(Mixed, self, { self.number() });

impl Item for Both {
    async fn item(&self, n: u32) -> Result<u32> {
        Ok(n)
    }
}

impl Mixed for Both {
    fn number(&self) -> Result<u32> {
        Ok(9)
    }
}

#[tokio::test]
async fn a_trait_is_an_item_or_has_receivers_of_the_caller() {
    here_and_there(ItemStub::new(Both), async |api| {
        assert_eq!(api.item(3).await.unwrap(), 3);
    })
    .await;
    here_and_there(MixedStub::new(Both), async |api| {
        assert_eq!(api.defaulted().await.unwrap(), 9);
    })
    .await;
}

/// The attribute comes with the trait, through two macros.
macro_rules! again {
    ($($tokens:tt)*) => { pass_on! { $($tokens)* } };
}

macro_rules! whole {
    ($($tokens:tt)*) => { $($tokens)* };
}

again! {
    trait Twice {
        async fn twice(&self, n: u32) -> Result<u32>;
    }
}

whole! {
    #[interface]
    trait Whole: Twice {
        async fn whole(&self, n: u32) -> Result<u32>;
    }
}

impl Twice for Both {
    async fn twice(&self, n: u32) -> Result<u32> {
        Ok(2 * n)
    }
}

impl Whole for Both {
    async fn whole(&self, n: u32) -> Result<u32> {
        Ok(n)
    }
}

#[tokio::test]
async fn a_trait_passes_two_macros() {
    here_and_there(WholeStub::new(std::sync::Arc::new(Both)), async |api| {
        assert_eq!(api.twice(3).await.unwrap(), 6);
        assert_eq!(api.whole(3).await.unwrap(), 3);
    })
    .await;
}

/// Values, of passed tokens and of fragments.
macro_rules! write_value {
    ($name:ident<$($param:ident),*> { $($field:ident: $ty:ty),* }) => {
        #[value]
        #[derive(Debug, PartialEq, Clone)]
        struct $name<$($param),*> { $($field: $ty),* }
    };
    ($($tokens:tt)*) => {
        #[value]
        $($tokens)*
    };
}

write_value! {
    Pair<A> { first_one: A, second: Option<u32> }
}

write_value! {
    #[derive(Debug, PartialEq, Clone)]
    struct Plain { itself: Option<Box<Self>>, photo_url: String }
}

write_value! {
    #[derive(Debug, PartialEq, Clone)]
    #[serde(transparent)]
    struct Wrapped(Vec<u32>);
}

#[tokio::test]
async fn values_are_written_by_macros() {
    let pair = Pair {
        first_one: "a".to_owned(),
        second: None,
    };
    let promise: Promise<Pair<String>> = Promise::ready(pair);
    assert_eq!(promise.first_one().await.unwrap(), "a");
    let plain = Plain {
        itself: None,
        photo_url: "b".to_owned(),
    };
    let promise: Promise<Plain> = Promise::ready(plain.clone());
    assert_eq!(promise.photo_url().await.unwrap(), "b");
    assert_eq!(promise.await.unwrap(), plain);
    let promise: Promise<Wrapped> = Promise::ready(Wrapped(vec![1, 2]));
    assert_eq!(promise.at(1).await.unwrap(), 2);
}
