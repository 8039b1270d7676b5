//! Transfer of capabilities through serde.
//!
//! serde has no notion of capabilities. So they are stashed in a list of the thread, while a token
//! that identifies the place in the list passes through serde. The token starts with bytes that are
//! random for each thread and never leave the process, so a peer cannot forge one.

use std::{cell::RefCell, fmt, marker::PhantomData};

use capnweb_wire::TOKEN_LEN;
use serde::{
    Deserializer, Serialize, Serializer,
    de::{Error as _, Visitor},
    ser::Error as _,
};

use crate::{
    graph::payload::{Cap, Payload},
    runtime::fill_random,
};

/// An item that is stashed.
#[derive(Clone)]
pub(crate) enum Item {
    Cap(Cap),
    Payload(Payload),
}

struct Handover {
    nonce: Option<[u8; NONCE_LEN]>,
    /// The number of the next item.
    next: u64,
    /// The stashed items with their numbers, in ascending order.
    items: Vec<(u64, Item)>,
}

const NONCE_LEN: usize = 16;

/// The capacity that the list keeps, in items.
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

/// Stashes `item` and returns its token. Returns `None` if the system has no random numbers.
pub(crate) fn put(item: Item) -> Option<Token> {
    HANDOVER.with_borrow_mut(|handover| {
        let nonce = match handover.nonce {
            Some(nonce) => nonce,
            None => {
                let mut nonce = [0; NONCE_LEN];
                fill_random(&mut nonce).then_some(())?;
                *handover.nonce.insert(nonce)
            }
        };
        let number = handover.next;
        handover.next += 1;
        handover.items.push((number, item));
        let mut token = Token::default();
        let (head, tail) = token.split_at_mut(NONCE_LEN);
        head.copy_from_slice(&nonce);
        tail.copy_from_slice(&number.to_le_bytes());
        Some(token)
    })
}

/// Returns the item that `token` identifies, if it is a valid token. It can be resolved repeatedly
/// until it is cleared. serde does so when one variant of an enum does not fit and it tries the
/// next.
pub(crate) fn resolve(token: &[u8]) -> Option<Item> {
    let (nonce, number) = token.split_at_checked(NONCE_LEN)?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    HANDOVER.with_borrow_mut(|handover| {
        if handover.nonce?.as_slice() != nonce {
            return None;
        }
        let items = &handover.items;
        let index = items.binary_search_by_key(&number, |(number, _)| *number);
        items.get(index.ok()?).map(|(_, item)| item.clone())
    })
}

/// Returns the current length of the list, for [`clear`].
#[inline]
pub(crate) fn mark() -> usize {
    HANDOVER.with_borrow(|handover| handover.items.len())
}

/// Drops the items that were stashed since `mark`. Their numbers are not reused.
#[inline]
pub(crate) fn clear(mark: usize) {
    let left = HANDOVER.with_borrow_mut(|handover| {
        // Usually there are none, and splitting off an empty list would allocate.
        (handover.items.len() > mark).then(|| split_off(&mut handover.items, mark))
    });
    // Drop the items after the borrow, since dropping a stub may run any code.
    drop(left);
}

#[cold]
fn split_off<T>(items: &mut Vec<T>, mark: usize) -> Vec<T> {
    let left = items.split_off(mark);
    // A value with a great many capabilities does not leave the list large.
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

/// Serializes a token for `item` under one of the reserved names.
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
    let token = put(item).ok_or_else(|| S::Error::custom("the system has no random numbers"))?;
    serializer.serialize_newtype_struct(name, &TokenBytes(&token))
}

/// Deserializes a token under one of the reserved names, and returns its item.
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
        // A token can be resolved any number of times.
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
        // It is not a token on another thread either.
        let elsewhere = std::thread::spawn(move || {
            assert!(resolve(&token).is_none());
            let mine = put(item()).unwrap();
            assert!(resolve(&token).is_none() && resolve(&mine).is_some());
        });
        elsewhere.join().unwrap();
        clear(outer);
    }
}
