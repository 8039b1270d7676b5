//! Interfaces and values with generic parameters.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use capnweb::{
    Promise, Result, interface,
    typed::{Json, WireType},
    value,
};

use crate::support::here_and_there;

#[interface]
trait Store<K, V = String>
where
    K: Ord,
{
    async fn put(&self, key: K, value: V) -> Result<Option<V>>;
    async fn all(&self) -> Result<Vec<Entry<K, V>>>;
    async fn best(&self, of: Vec<Entry<K, V>>) -> Result<Option<Entry<K, V>>>;
    async fn merge(&self, other: StoreStub<K, V>) -> Result<u32>;
}

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Entry<K: Ord, V> {
    key: K,
    /// A value.
    the_value: V,
}

struct Memory<K, V>(Mutex<BTreeMap<K, V>>);

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<K: WireType + Ord + Clone, V: WireType + Clone> Store<K, V> for Memory<K, V> {
    async fn put(&self, key: K, value: V) -> Result<Option<V>> {
        Ok(self.0.lock().unwrap().insert(key, value))
    }

    async fn all(&self) -> Result<Vec<Entry<K, V>>> {
        let entries = self.0.lock().unwrap();
        let entry = |(key, value): (&K, &V)| Entry {
            key: key.clone(),
            the_value: value.clone(),
        };
        Ok(entries.iter().map(entry).collect())
    }

    async fn best(&self, of: Vec<Entry<K, V>>) -> Result<Option<Entry<K, V>>> {
        Ok(of.into_iter().max_by(|a, b| a.key.cmp(&b.key)))
    }

    async fn merge(&self, other: StoreStub<K, V>) -> Result<u32> {
        let mut count = 0;
        for entry in other.all().await? {
            self.put(entry.key, entry.the_value).await?;
            count += 1;
        }
        Ok(count)
    }
}

#[tokio::test]
async fn a_generic_interface_works_at_a_type() {
    let store = || StoreStub::<u32>::new(Memory::default());
    here_and_there(store(), |store| async move {
        store.put(1, "one").await.unwrap();
        let old = store.put(1, Promise::<String>::ready("uno")).await;
        assert_eq!(old.unwrap().as_deref(), Some("one"));
        let entries = store.all();
        assert_eq!(entries.at(0).the_value().await.unwrap(), "uno");
        assert_eq!(entries.at(0).key().await.unwrap(), 1);
        // An object, a stub and a reference to a stub can all be passed.
        assert_eq!(store.merge(Memory::default()).await.unwrap(), 0);
        assert_eq!(store.merge(&store).await.unwrap(), 1);
        assert_eq!(store.merge(store.clone()).await.unwrap(), 1);
        assert_eq!(store.merge(Arc::new(Memory::default())).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn values_may_hold_promises() {
    let store = StoreStub::<u32, f64>::new(Memory::default());
    here_and_there(store, |store| async move {
        let key = store.merge(Memory::default());
        let best = store.best(vec![Entry {
            key: 1,
            the_value: 0.5,
        }]);
        assert_eq!(best.await.unwrap().unwrap().key, 1);
        let wrapped = Friend {
            user_id: &key,
            profile: Profile { name: "Ada" },
        };
        let _ = wrapped;
        store.put(key, 2.5).await.unwrap();
        let mapped = store.all().map(|entry| Friend {
            user_id: entry.key(),
            profile: entry.the_value(),
        });
        let expected = Friend {
            user_id: 0,
            profile: 2.5,
        };
        assert_eq!(mapped.await.unwrap(), [expected]);
        let best = store.best(Vec::<Entry<u32, f64>>::new());
        let mapped = best.map(|entry| Profile { name: entry.key() });
        assert_eq!(mapped.await.unwrap(), None);
    })
    .await;
}

#[value]
#[derive(Debug, PartialEq)]
struct Friend<I, P> {
    user_id: I,
    profile: P,
}

#[value]
#[derive(Debug, PartialEq)]
struct Profile<N> {
    name: N,
}

#[interface]
trait Friends {
    async fn describe(&self, friend: Friend<u32, Profile<String>>) -> Result<String>;
    async fn friend(&self) -> Result<Friend<u32, Profile<String>>>;
    async fn id(&self) -> Result<u32>;
    async fn name(&self) -> Result<String>;
    async fn raw(&self, value: Json<Profile<u8>>) -> Result<u8>;
}

struct Club;

impl Friends for Club {
    async fn describe(&self, friend: Friend<u32, Profile<String>>) -> Result<String> {
        Ok(format!("{} is {}", friend.profile.name, friend.user_id))
    }

    async fn friend(&self) -> Result<Friend<u32, Profile<String>>> {
        Ok(Friend {
            user_id: 7,
            profile: Profile {
                name: "Ada".to_owned(),
            },
        })
    }

    async fn id(&self) -> Result<u32> {
        Ok(7)
    }

    async fn name(&self) -> Result<String> {
        Ok("Grace".to_owned())
    }

    async fn raw(&self, value: Json<Profile<u8>>) -> Result<u8> {
        Ok(value.0.name)
    }
}

#[tokio::test]
async fn generic_values_nest() {
    here_and_there(FriendsStub::new(Club), |club| async move {
        let friend = Friend {
            user_id: club.id(),
            profile: Profile { name: club.name() },
        };
        assert_eq!(club.describe(&friend).await.unwrap(), "Grace is 7");
        assert_eq!(club.describe(friend).await.unwrap(), "Grace is 7");
        let friend = Friend {
            user_id: 8,
            profile: club.friend().profile(),
        };
        assert_eq!(club.describe(friend).await.unwrap(), "Ada is 8");
        assert_eq!(club.describe(club.friend()).await.unwrap(), "Ada is 7");
        assert_eq!(club.friend().profile().name().await.unwrap(), "Ada");
        assert_eq!(club.raw(Profile { name: 3u8 }).await.unwrap(), 3);
    })
    .await;
}

#[value]
#[derive(Debug, PartialEq)]
struct Wrapper<T>(T);

#[value]
struct Grid<const W: usize> {
    width: usize,
}

#[interface]
trait Grids<const W: usize> {
    async fn width(&self, grid: Grid<W>) -> Result<usize>;
    async fn wrapped(&self) -> Result<Wrapper<Profile<u32>>>;
}

struct Maker;

impl Grids<3> for Maker {
    async fn width(&self, grid: Grid<3>) -> Result<usize> {
        Ok(grid.width)
    }

    async fn wrapped(&self) -> Result<Wrapper<Profile<u32>>> {
        Ok(Wrapper(Profile { name: 1 }))
    }
}

#[tokio::test]
async fn const_parameters_and_generic_newtypes_cross() {
    here_and_there(GridsStub::<3>::new(Maker), |grids| async move {
        assert_eq!(grids.width(Grid { width: 3 }).await.unwrap(), 3);
        assert_eq!(grids.wrapped().name().await.unwrap(), 1);
        let mapped = Promise::<Option<Wrapper<u32>>>::ready(Wrapper(4)).map(Wrapper);
        assert_eq!(mapped.await.unwrap().unwrap().0.0, 4);
    })
    .await;
}

/// Names that the expansion would otherwise use.
mod taken {
    #![allow(non_snake_case)]

    use capnweb::{Result, interface};

    #[interface]
    pub(super) trait Shelf<S, D> {
        async fn swap(&self, s: S, d: D) -> Result<(D, S)>;
        async fn constant(&self, NAME: u32) -> Result<u32>;
    }

    pub(super) struct Swapping;

    impl Shelf<u32, String> for Swapping {
        async fn swap(&self, s: u32, d: String) -> Result<(String, u32)> {
            Ok((d, s))
        }

        async fn constant(&self, NAME: u32) -> Result<u32> {
            Ok(NAME)
        }
    }
}

/// Bytes inside a value are written as bytes too.
#[value]
struct Upload<Content> {
    content: Content,
}

#[tokio::test]
async fn generated_names_do_not_clash_with_parameters() {
    here_and_there(
        taken::ShelfStub::<u32, String>::new(taken::Swapping),
        |shelf| async move {
            assert_eq!(shelf.swap(1, "a").await.unwrap(), ("a".to_owned(), 1));
            assert_eq!(shelf.constant(7).await.unwrap(), 7);
        },
    )
    .await;
}

#[deprecated = "for the test"]
#[interface]
trait Old {
    #[deprecated = "for the test"]
    async fn old(&self) -> Result<u32>;
}

#[test]
fn fields_are_written_as_they_are_alone() {
    fn accepts<T: capnweb::typed::Accepts<A, M>, A, M>(_: A) {}
    accepts::<Upload<capnweb::Bytes>, _, _>(Upload {
        content: capnweb::Bytes::from_static(b"a"),
    });
    accepts::<Upload<String>, _, _>(Upload { content: "a" });
    accepts::<Upload<u32>, _, _>(Upload {
        content: Promise::<u32>::ready(1),
    });
}
