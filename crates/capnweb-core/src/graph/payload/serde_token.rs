//! Capabilities on their way through serde.
//!
//! serde knows no capabilities, so they step aside: into a list of the thread, while a token that
//! names the place in the list goes in band. The token starts with bytes that are random for each
//! thread and never leave the process, so that no peer can make one up.

use std::{cell::RefCell, fmt, marker::PhantomData};

use capnweb_wire::TOKEN_LEN;
use serde::{
    Deserializer, Serialize, Serializer,
    de::{Error as _, Visitor},
    ser::Error as _,
};

use crate::graph::payload::{Cap, Payload};

/// What steps aside.
#[derive(Clone)]
pub(crate) enum Item {
    Cap(Cap),
    Payload(Payload),
}

struct Handover {
    nonce: Option<[u8; NONCE_LEN]>,
    /// The number of the next item.
    next: u64,
    /// What has been set aside, each with its number, in ascending order.
    items: Vec<(u64, Item)>,
}

const NONCE_LEN: usize = 16;

/// The room that the list keeps, in items.
const KEEP: usize = 1024;

pub(crate) type Token = [u8; TOKEN_LEN];

thread_local! {
    static HANDOVER: RefCell<Handover> = const {
        RefCell::new(Handover {
            nonce: None,
            next: 0,
            items: Vec::new(),
        })
    };
}

/// Sets `item` aside. `None` if the system has no random numbers to give.
pub(crate) fn put(item: Item) -> Option<Token> {
    HANDOVER.with_borrow_mut(|serde_token| {
        let nonce = match serde_token.nonce {
            Some(nonce) => nonce,
            None => {
                let mut nonce = [0; NONCE_LEN];
                getrandom::fill(&mut nonce).ok()?;
                *serde_token.nonce.insert(nonce)
            }
        };
        let number = serde_token.next;
        serde_token.next += 1;
        serde_token.items.push((number, item));
        let mut token = Token::default();
        let (head, tail) = token.split_at_mut(NONCE_LEN);
        head.copy_from_slice(&nonce);
        tail.copy_from_slice(&number.to_le_bytes());
        Some(token)
    })
}

/// What `token` names, if it is one of ours. It can be asked for again until it is cleared away, as
/// serde does where one variant of an enum does not fit and the next is tried.
pub(crate) fn resolve(token: &[u8]) -> Option<Item> {
    let (nonce, number) = token.split_at_checked(NONCE_LEN)?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    HANDOVER.with_borrow_mut(|serde_token| {
        if serde_token.nonce?.as_slice() != nonce {
            return None;
        }
        let items = &serde_token.items;
        let index = items.binary_search_by_key(&number, |(number, _)| *number);
        items.get(index.ok()?).map(|(_, item)| item.clone())
    })
}

/// Where the list stands now: for [`clear`].
#[inline]
pub(crate) fn mark() -> usize {
    HANDOVER.with_borrow(|serde_token| serde_token.items.len())
}

/// Drops what was set aside since `mark`. Its numbers are not used again.
#[inline]
pub(crate) fn clear(mark: usize) {
    let left = HANDOVER.with_borrow_mut(|serde_token| {
        // Mostly nothing was, and splitting nothing off allocates.
        (serde_token.items.len() > mark).then(|| split_off(&mut serde_token.items, mark))
    });
    // Outside the borrow: dropping a stub may run anything.
    drop(left);
}

#[cold]
fn split_off<T>(items: &mut Vec<T>, mark: usize) -> Vec<T> {
    let left = items.split_off(mark);
    // A value with very many capabilities leaves no room behind.
    if items.capacity() > KEEP {
        items.shrink_to(KEEP);
    }
    left
}

struct TokenBytes<'a>(&'a [u8]);

impl Serialize for TokenBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Serializes `item` under one of the reserved names.
pub(crate) fn stash<S: Serializer>(
    item: Item,
    name: &'static str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if !crate::graph::payload::draft::is_encoding() {
        return Err(S::Error::custom(
            "a stub, promise or payload can only be serialized into a Cap'n Web message",
        ));
    }
    let token = put(item).ok_or_else(|| S::Error::custom("no random numbers to be had"))?;
    serializer.serialize_newtype_struct(name, &TokenBytes(&token))
}

/// Deserializes what was set aside under one of the reserved names.
pub(crate) fn receive<'de, D: Deserializer<'de>>(
    name: &'static str,
    expected: &'static str,
    deserializer: D,
) -> Result<Item, D::Error> {
    deserializer.deserialize_newtype_struct(
        name,
        Receive {
            expected,
            marker: PhantomData::<D>,
        },
    )
}

struct Receive<D> {
    expected: &'static str,
    marker: PhantomData<D>,
}

impl<'de, D: Deserializer<'de>> Visitor<'de> for Receive<D> {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_newtype_struct<E: Deserializer<'de>>(self, inner: E) -> Result<Item, E::Error> {
        inner.deserialize_bytes(self)
    }

    fn visit_bytes<E: serde::de::Error>(self, token: &[u8]) -> Result<Item, E> {
        resolve(token)
            .ok_or_else(|| E::custom(format_args!("expected {}, got bytes", self.expected)))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Item, A::Error> {
        Err(A::Error::custom(format_args!(
            "expected {}, got an array",
            self.expected
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph::error::Error, graph::hook::Hook};

    #[test]
    fn numbers_are_not_used_again() {
        let item = || Item::Payload(Payload::undefined());
        for outer in [0, 2] {
            let start = mark();
            for _ in 0..outer {
                put(item()).unwrap();
            }
            let kept = put(item()).unwrap();
            let inner = mark();
            let dropped = put(item()).unwrap();
            clear(inner);
            let new = put(item()).unwrap();
            assert_ne!(dropped, new);
            assert!(resolve(&dropped).is_none());
            assert!(resolve(&kept).is_some() && resolve(&new).is_some());
            clear(start);
            assert!(resolve(&kept).is_none() && resolve(&new).is_none());
            assert_eq!(mark(), start);
        }
    }

    fn item() -> Item {
        Item::Cap(Cap::stub(Hook::Broken(Error::new("here"))))
    }

    #[test]
    fn a_token_names_what_it_was_given_for_until_that_is_cleared_away() {
        let outer = mark();
        let first = put(item()).unwrap();
        let inner = mark();
        let second = put(Item::Payload(Payload::undefined())).unwrap();
        assert!(matches!(resolve(&first), Some(Item::Cap(_))));
        assert!(matches!(resolve(&second), Some(Item::Payload(_))));
        // As often as it is asked for.
        assert!(resolve(&second).is_some());
        clear(inner);
        assert!(resolve(&first).is_some() && resolve(&second).is_none());
        clear(outer);
        assert!(resolve(&first).is_none());
    }

    #[test]
    fn nothing_else_is_a_token() {
        let outer = mark();
        let token = put(item()).unwrap();
        for (index, flip) in (0..TOKEN_LEN).flat_map(|index| [(index, 1), (index, 0x80)]) {
            let mut forged = token;
            forged[index] ^= flip;
            assert!(resolve(&forged).is_none(), "{index}");
        }
        assert!(resolve(&[]).is_none());
        assert!(resolve(&token[..TOKEN_LEN - 1]).is_none());
        assert!(resolve(&[&token[..], &[0]].concat()).is_none());
        // Nor is it one on another thread.
        let elsewhere = std::thread::spawn(move || {
            assert!(resolve(&token).is_none());
            let mine = put(item()).unwrap();
            assert!(resolve(&token).is_none() && resolve(&mine).is_some());
        });
        elsewhere.join().unwrap();
        clear(outer);
    }
}
