//! User names that collide with those of the expansion, and traits that other macros generate.

use capnweb::{Result, interface, value};

use crate::support::here_and_there;

/// A name that the expansion would otherwise use for a generic parameter.
#[value]
#[derive(Debug, PartialEq)]
struct A0 {
    r#type: u32,
    /// The pipeline has no method for this field, since every promise has one of that name.
    clone: u32,
}

#[value]
#[derive(Debug, PartialEq)]
struct M0<T, A> {
    t: T,
    a: A,
}

#[interface]
trait H<T> {
    async fn r#type(&self, r#fn: u32) -> Result<u32>;
    async fn locals(&self, target: u32, call: u32, get: u32, answer: u32, stub: u32)
    -> Result<u32>;
    async fn parameters(&self, a: A0, m: M0<u32, T>, t: T) -> Result<A0>;
    #[rpc(name = "clone")]
    async fn duplicate(&self) -> Result<u32>;
    // The interface's methods take precedence over the stub's own.
    async fn call(&self, get: u32) -> Result<u32>;
    async fn as_stub(&self) -> Result<u32>;
    async fn from(&self, from: u32) -> Result<u32>;
}

struct Named;

impl H<String> for Named {
    async fn r#type(&self, r#fn: u32) -> Result<u32> {
        Ok(r#fn)
    }

    async fn locals(
        &self,
        target: u32,
        call: u32,
        get: u32,
        answer: u32,
        stub: u32,
    ) -> Result<u32> {
        Ok(target + 10 * call + 100 * get + 1000 * answer + 10_000 * stub)
    }

    async fn parameters(&self, a: A0, m: M0<u32, String>, t: String) -> Result<A0> {
        assert_eq!((m.t, &m.a), (2, &t));
        Ok(a)
    }

    async fn duplicate(&self) -> Result<u32> {
        Ok(2)
    }

    async fn call(&self, get: u32) -> Result<u32> {
        Ok(get)
    }

    async fn as_stub(&self) -> Result<u32> {
        Ok(3)
    }

    async fn from(&self, from: u32) -> Result<u32> {
        Ok(from)
    }
}

#[tokio::test]
async fn user_names_do_not_clash_with_generated_names() {
    here_and_there(HStub::new(Named), |stub| async move {
        assert_eq!(stub.r#type(1).await.unwrap(), 1);
        assert_eq!(stub.locals(1, 2, 3, 4, 5).await.unwrap(), 54_321);
        let a = || A0 {
            r#type: 1,
            clone: 2,
        };
        let m = M0 {
            t: 2,
            a: "x".to_owned(),
        };
        let promise = stub.parameters(a(), m, "x");
        assert_eq!(promise.r#type().await.unwrap(), 1);
        assert_eq!(promise.clone().await.unwrap(), a());
        assert_eq!(stub.duplicate().await.unwrap(), 2);
        assert_eq!(stub.call(5).await.unwrap(), 5);
        assert_eq!(stub.as_stub().await.unwrap(), 3);
        assert_eq!(stub.from(4).await.unwrap(), 4);
        let dynamic = capnweb::StubType::as_stub(&stub).call("type", (6,));
        assert_eq!(dynamic.fetch::<u32>().await.unwrap(), 6);
    })
    .await;
}

macro_rules! counters {
    ($($name:ident: $number:ty),*) => {
        $(#[interface]
        trait $name {
            async fn add(&self, by: $number, at: Option<$number>) -> Result<$number>;
            async fn twice(&self, n: $number) -> Result<$number> {
                let once = n;
                Ok(once + n)
            }
        }

        impl $name for Named {
            async fn add(&self, by: $number, at: Option<$number>) -> Result<$number> {
                Ok(by + at.unwrap_or_default())
            }
        })*
    };
}

counters!(Small: u8, Large: u64);

#[tokio::test]
async fn another_macro_can_write_interfaces() {
    here_and_there(SmallStub::new(Named), |stub| async move {
        assert_eq!(stub.add(1, ()).await.unwrap(), 1);
        assert_eq!(stub.twice(2).await.unwrap(), 4);
    })
    .await;
    here_and_there(LargeStub::new(Named), |stub| async move {
        assert_eq!(stub.add(1, 2).await.unwrap(), 3);
    })
    .await;
}

#[expect(unreachable_pub, reason = "the interface is as public as can be")]
mod elsewhere {
    /// The public items of a public trait.
    #[capnweb::interface]
    pub trait Public {
        async fn value(&self) -> capnweb::Result<Shown>;
    }

    #[capnweb::value]
    pub struct Shown {
        pub seen: u32,
        hidden: u32,
    }

    pub struct Object;

    impl Public for Object {
        async fn value(&self) -> capnweb::Result<Shown> {
            Ok(Shown { seen: 1, hidden: 2 })
        }
    }

    pub(super) async fn hidden(stub: PublicStub) -> capnweb::Result<u32> {
        stub.value().hidden().await
    }

    impl Shown {
        pub fn sum(&self) -> u32 {
            self.seen + self.hidden
        }
    }
}

#[tokio::test]
async fn generated_items_have_the_visibility_of_their_source() {
    here_and_there(
        elsewhere::PublicStub::new(elsewhere::Object),
        |stub| async move {
            assert_eq!(stub.value().seen().await.unwrap(), 1);
            assert_eq!(stub.value().await.unwrap().sum(), 3);
            assert_eq!(elsewhere::hidden(stub).await.unwrap(), 2);
        },
    )
    .await;
}

/// Parameters named like those of serde's functions, and lifetimes named like those of the
/// expansion.
#[value]
#[derive(Debug, PartialEq)]
struct Pair<S, D>
where
    S: for<'a> PartialEq<&'a str>,
    D: for<'a> PartialEq<&'a str>,
{
    s: S,
    d: D,
}

#[interface]
trait Pairs<S, D>
where
    S: for<'a> PartialEq<&'a str>,
    D: for<'de> PartialEq<&'de str> + for<'a> PartialEq<&'a str>,
{
    #[expect(non_snake_case, reason = "the expansion has a static of this name")]
    async fn pair(&self, NAME: S, d: D) -> Result<Pair<S, D>>;
}

impl Pairs<String, String> for Named {
    async fn pair(&self, s: String, d: String) -> Result<Pair<String, String>> {
        Ok(Pair { s, d })
    }
}

#[tokio::test]
async fn generated_names_are_fresh() {
    here_and_there(PairsStub::<String, String>::new(Named), |stub| async move {
        let pair = stub.pair("a", "b");
        assert_eq!(pair.s().await.unwrap(), "a");
        let expected = Pair {
            s: "a".to_owned(),
            d: "b".to_owned(),
        };
        assert_eq!(pair.await.unwrap(), expected);
    })
    .await;
}

/// The names that the macros refuse, because the library's reader of paths drops them.
#[test]
fn the_names_of_every_object_are_those_that_the_wire_drops() {
    let names = include!("../../../../crates/capnweb-macros/tests/names/of_every_object.rs");
    for name in names {
        assert!(capnweb_wire::is_prototype_name(name), "{name}");
    }
}
