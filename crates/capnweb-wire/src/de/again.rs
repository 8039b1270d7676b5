//! Repeated reading of a value, for enums whose text does not start with the variant.
//!
//! serde reads such a value into its buffer, which loses information. `#[capnweb::value]` uses
//! [`read_enum`] instead. It reads the value once for the tag and then for the variant's content,
//! or for one variant after another until one fits. So a variant's fields are read like plain
//! fields.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
    marker::PhantomData,
};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
        Visitor,
        value::{
            BorrowedBytesDeserializer, BorrowedStrDeserializer, BytesDeserializer,
            MapAccessDeserializer, SeqAccessDeserializer,
        },
    },
    forward_to_deserialize_any,
};

use super::{
    flattened::{FLATTENED, is_flattened},
    members::Members,
    reader::Reader,
};
use crate::{DeError, sort::sort_by_key};

/// A newtype that is requested by types which read a value repeatedly. It is visited as a sequence
/// of which each element is the value.
const AGAIN: &str = "$capnweb::Again";

/// Returns whether a newtype with this name requests the value repeatedly.
pub(super) fn is_again(name: &str) -> bool {
    name == AGAIN
}

/// An enum that is requested to read one member of an object as an option. The only variant names
/// the member.
const MEMBER: &str = "$capnweb::Member";

/// An enum that is requested to read an object as a newtype, without the members that the variants
/// name.
const WITHOUT: &str = "$capnweb::Without";

/// The way to determine an enum's variant, other than a key around its content.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Tagging {
    /// By a member of the variant's own object. The only element is its name.
    Internal(&'static [&'static str; 1]),
    /// By trial: the variants are tried in order.
    None,
    /// By serde's default representation, or the type is a struct. Flattened fields are named
    /// `$capnweb::Flat…`, and a struct itself `$capnweb::Flattened`.
    External,
}

/// Reads an enum `T` whose variants are determined by `tagging`.
///
/// `V` reads the same enum in serde's default representation, and receives its variants' contents
/// from the value itself; `variant` converts it into a `T`. `B` reads the enum as serde does, with
/// a buffer, for deserializers other than this crate's.
///
/// # Errors
///
/// Returns an error if the value is none of the variants.
pub fn read_enum<'de, T, V, B, D>(
    tagging: Tagging,
    deserializer: D,
    variant: impl FnOnce(V) -> T,
    buffered: impl FnOnce(B) -> T,
) -> Result<T, D::Error>
where
    V: Deserialize<'de>,
    B: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let read = Read {
        tagging,
        types: PhantomData::<(V, B)>,
    };
    Ok(
        match deserializer.deserialize_newtype_struct(AGAIN, read)? {
            ReadEnum::Variant(value) => variant(value),
            ReadEnum::Buffered(value) => buffered(value),
        },
    )
}

/// An enum that was read in either way.
enum ReadEnum<V, B> {
    Variant(V),
    Buffered(B),
}

struct Read<T> {
    tagging: Tagging,
    types: PhantomData<T>,
}

impl<'de, V: Deserialize<'de>, B: Deserialize<'de>> Visitor<'de> for Read<(V, B)> {
    type Value = ReadEnum<V, B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an enum")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
        buffered(inner)
    }

    // Some deserializers do not support newtypes, and visit the inner value.
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        buffered(value.into_deserializer())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        buffered(value.into_deserializer())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        buffered(value.into_deserializer())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        buffered(value.into_deserializer())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        buffered(value.into_deserializer())
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        buffered(BorrowedStrDeserializer::new(value))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Self::Value, E> {
        buffered(BytesDeserializer::new(value))
    }

    fn visit_borrowed_bytes<E: Error>(self, value: &'de [u8]) -> Result<Self::Value, E> {
        buffered(BorrowedBytesDeserializer::new(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        buffered(().into_deserializer())
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
        buffered(inner)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        buffered(MapAccessDeserializer::new(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut again: A) -> Result<Self::Value, A::Error> {
        if again.size_hint() != Some(ENDLESS) {
            return buffered(SeqAccessDeserializer::new(again));
        }
        let value = match self.tagging {
            Tagging::Internal(tag) => {
                let Some(Some(Tag(name))) = again.next_element_seed(Member(tag, PhantomData))?
                else {
                    return Err(A::Error::missing_field(tag[0]));
                };
                V::deserialize(Variant::new(&mut again, Chosen::Named(name, tag)))
            }
            Tagging::None => first_that_fits(&mut again),
            Tagging::External => again
                .next_element()?
                .ok_or_else(|| A::Error::custom("expected a value")),
        };
        value.map(ReadEnum::Variant)
    }
}

/// Reads an enum as serde does.
fn buffered<'de, V, B, D>(deserializer: D) -> Result<ReadEnum<V, B>, D::Error>
where
    B: Deserialize<'de>,
    D: Deserializer<'de>,
{
    B::deserialize(deserializer).map(ReadEnum::Buffered)
}

/// The length of the sequence that repeats one value.
const ENDLESS: usize = usize::MAX;

/// Reads the first variant that fits the value.
fn first_that_fits<'de, V, A>(again: &mut A) -> Result<V, A::Error>
where
    V: Deserialize<'de>,
    A: SeqAccess<'de>,
{
    let mut errors = String::new();
    let count = Cell::new(0);
    for index in 0.. {
        match V::deserialize(Variant::new(&mut *again, Chosen::Tried(index, &count))) {
            Ok(value) => return Ok(value),
            Err(error) => {
                note(&mut errors, &error);
            }
        }
        if index + 1 >= count.get() {
            break;
        }
    }
    Err(A::Error::custom(format_args!(
        "no variant of the enum fits: {errors}"
    )))
}

/// The maximum length of the errors of an enum's variants, each of which may include those of
/// another enum.
const MAX_ERRORS: usize = 512;

/// Appends an error to others, if there is room.
fn note(errors: &mut String, error: &impl fmt::Display) {
    if errors.len() >= MAX_ERRORS {
        return;
    }
    let separator = if errors.is_empty() { "" } else { "; " };
    // Writing to a string cannot fail.
    let _ = write!(errors, "{separator}{error}");
    if errors.len() >= MAX_ERRORS {
        let is_boundary = |at: &usize| errors.is_char_boundary(*at);
        let end = (0..=MAX_ERRORS).rev().find(is_boundary).unwrap_or(0);
        errors.truncate(end);
        errors.push('…');
    }
}

/// A tag, which is a string.
struct Tag(String);

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Reads one member of an object.
struct Member<T>(&'static [&'static str; 1], PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Member<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_enum(MEMBER, self.0, self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Member<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the tag `{}`", self.0[0])
    }

    fn visit_none<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, member: D) -> Result<Option<T>, D::Error> {
        T::deserialize(member).map(Some)
    }
}

/// The variant that a value is read as.
#[derive(Clone)]
enum Chosen<'a> {
    /// The variant with this name. The tag is not part of its content.
    Named(String, &'static [&'static str]),
    /// The variant with this index. The number of variants is stored in the cell.
    Tried(usize, &'a Cell<usize>),
}

/// The deserializer of an enum whose variant is chosen.
struct Variant<'a, A> {
    again: &'a mut A,
    chosen: Chosen<'a>,
}

impl<'a, A> Variant<'a, A> {
    fn new(again: &'a mut A, chosen: Chosen<'a>) -> Self {
        Self { again, chosen }
    }
}

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for Variant<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        if let Chosen::Tried(_, count) = self.chosen {
            count.set(variants.len());
        }
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, 'a, A: SeqAccess<'de>> EnumAccess<'de> for Variant<'a, A> {
    type Error = A::Error;
    type Variant = Content<'a, A>;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Content<'a, A>), A::Error> {
        let again = self.again;
        Ok(match self.chosen {
            Chosen::Named(name, tag) => (
                seed.deserialize(IntoDeserializer::<A::Error>::into_deserializer(name))?,
                Content {
                    again,
                    tag: Some(tag),
                },
            ),
            Chosen::Tried(index, _) => {
                let index = u64::try_from(index).unwrap_or(u64::MAX);
                (
                    seed.deserialize(IntoDeserializer::<A::Error>::into_deserializer(index))?,
                    Content { again, tag: None },
                )
            }
        })
    }
}

/// The content of a variant.
struct Content<'a, A> {
    again: &'a mut A,
    /// The name of the member that is not part of the content.
    tag: Option<&'static [&'static str]>,
}

impl<'de, A: SeqAccess<'de>> Content<'_, A> {
    fn read<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let value = match self.tag {
            Some(tag) => self.again.next_element_seed(Without(tag, seed))?,
            None => self.again.next_element_seed(seed)?,
        };
        value.ok_or_else(|| A::Error::custom("expected a value"))
    }
}

impl<'de, A: SeqAccess<'de>> VariantAccess<'de> for Content<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        match self.tag {
            Some(_) => self.read(Struct(&[], NoContent)),
            None => self.read(PhantomData::<()>),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.read(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.read(Tuple(length, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.read(Struct(fields, visitor))
    }
}

/// Reads a tuple.
struct Tuple<V>(usize, V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Tuple<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_tuple(self.0, self.1)
    }
}

/// Reads a struct.
struct Struct<V>(&'static [&'static str], V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Struct<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let name = if is_flattened(self.0) { FLATTENED } else { "" };
        deserializer.deserialize_struct(name, self.0, self.1)
    }
}

/// The visitor of an object of which only the tag matters.
struct NoContent;

impl<'de> Visitor<'de> for NoContent {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Ok(())
    }
}

/// Reads an object without some of its members.
struct Without<T>(&'static [&'static str], T);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Without<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        deserializer.deserialize_enum(WITHOUT, self.0, self)
    }
}

impl<'de, T: DeserializeSeed<'de>> Visitor<'de> for Without<T> {
    type Value = T::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        self.1.deserialize(inner)
    }
}

/// The value, as often as it is requested.
struct Repeated<'r, 's, 'de> {
    reader: &'r mut Reader<'s, 'de>,
    start: usize,
    /// True if the value has been read before, as a part of another value that is read again.
    is_reread: bool,
    /// The end of the value, or its start if only a part was read.
    end: usize,
}

impl<'de> SeqAccess<'de> for Repeated<'_, '_, 'de> {
    type Error = DeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DeError> {
        let value = self.reader.trying(|reader| {
            reader.rereading(self.start, self.is_reread, |reader| {
                seed.deserialize(&mut *reader)
            })
        })?;
        self.end = self.reader.at();
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(ENDLESS)
    }
}

impl<'de> Reader<'_, 'de> {
    /// Visits the value as a sequence of itself.
    pub(super) fn visit_again<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DeError> {
        let start = self.at();
        let is_reread = self.rereads().begin(start);
        let mut repeated = Repeated {
            reader: self,
            start,
            is_reread,
            end: start,
        };
        let value = visitor.visit_seq(&mut repeated)?;
        let end = repeated.end;
        self.set_at(end);
        if end == start {
            self.skip_member()?;
        }
        Ok(value)
    }

    /// Visits the part that an enum with a reserved name requests.
    pub(super) fn visit_part<V: Visitor<'de>>(
        &mut self,
        name: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        if self.hole().is_some() || self.peek() != b'{' {
            return Err(DeError::mismatch(&visitor, self.describe()));
        }
        match name {
            MEMBER => self.visit_member(keys, visitor),
            _ => self.visit_without(keys, visitor),
        }
    }

    /// Visits the member with one of these names as an option.
    fn visit_member<V: Visitor<'de>>(
        &mut self,
        keys: &[&str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let start = self.at();
        let mut members = Members::open(self)?;
        let mut is_there = false;
        while let Some(key) = members.next(self)? {
            // If the same key follows, this is noticed when the others are read.
            is_there = keys.contains(&&*key);
            if is_there {
                break;
            }
            self.skip_member()?;
        }
        self.leave();
        let value = if is_there {
            visitor.visit_some(&mut *self)?
        } else {
            visitor.visit_none()?
        };
        self.set_at(start);
        Ok(value)
    }

    /// Visits the object without the members with these names.
    fn visit_without<V: Visitor<'de>>(
        &mut self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        let shadowed = self.shadowed();
        let outer = self.hidden();
        if outer.is_empty() {
            return self.hiding(shadowed, keys, |reader| {
                visitor.visit_newtype_struct(&mut *reader)
            });
        }
        // This is the content of a variant whose own tag is a member of the same object.
        let start = self.at();
        let places = self.hiding(shadowed, &[], |reader| reader.places_of(outer))?;
        self.set_at(start);
        let mut shadowed = shadowed.to_vec();
        shadowed.extend(places.iter().flat_map(|(place, ..)| u32::try_from(*place)));
        sort_by_key(&mut shadowed, |place| *place);
        self.hiding(&shadowed, keys, |reader| {
            visitor.visit_newtype_struct(&mut *reader)
        })
    }
}
