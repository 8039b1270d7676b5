//! Lists, tuples, maps and options as parameters. They accept promises and other accepted arguments
//! as their elements.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
    marker::PhantomData,
};

use capnweb_wire::Undefined;
use indexmap::IndexMap;
use serde::{Serialize, Serializer};

use crate::{
    api::{null::Null, promise::Pipelined},
    typed::{accepts::Accepts, pipeline::TypedPipeline},
};

/// Marks implementations for containers whose elements are accepted by way of `M`.
#[derive(Debug)]
pub struct ViaElements<M>(M);

/// Marks implementations that accept the inner value of a container such as an option.
#[derive(Debug)]
pub struct ViaSome<M>(M);

/// Marks implementations that accept an omitted option.
#[derive(Debug)]
pub struct ViaNothing(());

#[diagnostic::do_not_recommend]
impl<T, A, M> Accepts<Option<A>, ViaElements<M>> for Option<T>
where
    T: Accepts<A, M>,
{
    type Wire = Option<T::Wire>;

    fn wire(argument: Option<A>) -> Self::Wire {
        argument.map(T::wire)
    }
}

#[diagnostic::do_not_recommend]
impl<'a, T, A, M> Accepts<&'a Option<A>, ViaElements<M>> for Option<T>
where
    T: Accepts<&'a A, M>,
{
    type Wire = Option<T::Wire>;

    fn wire(argument: &'a Option<A>) -> Self::Wire {
        argument.as_ref().map(T::wire)
    }
}

/// Accepts a value without the `Some`. Types that accept anything are excluded, since they would
/// accept a `Some` in two ways.
#[diagnostic::do_not_recommend]
impl<T, A, M> Accepts<A, ViaSome<M>> for Option<T>
where
    T: Accepts<A, M> + Pipelined<Pipeline: TypedPipeline>,
{
    type Wire = T::Wire;

    fn wire(argument: A) -> T::Wire {
        T::wire(argument)
    }
}

/// Accepts `()` for an option, as JavaScript's `undefined`.
#[diagnostic::do_not_recommend]
impl<T> Accepts<(), ViaNothing> for Option<T> {
    type Wire = Undefined;

    fn wire((): ()) -> Undefined {
        Undefined
    }
}

/// Accepts a `None` that needs no type.
#[diagnostic::do_not_recommend]
impl<T> Accepts<Null, ViaNothing> for Option<T> {
    type Wire = Null;

    fn wire(argument: Null) -> Null {
        argument
    }
}

#[diagnostic::do_not_recommend]
impl<T, A, M> Accepts<Vec<A>, ViaElements<M>> for Vec<T>
where
    T: Accepts<A, M>,
{
    type Wire = Vec<T::Wire>;

    fn wire(argument: Vec<A>) -> Self::Wire {
        argument.into_iter().map(T::wire).collect()
    }
}

#[diagnostic::do_not_recommend]
impl<T, A, M, const N: usize> Accepts<[A; N], ViaElements<M>> for Vec<T>
where
    T: Accepts<A, M>,
{
    type Wire = Vec<T::Wire>;

    fn wire(argument: [A; N]) -> Self::Wire {
        argument.into_iter().map(T::wire).collect()
    }
}

#[diagnostic::do_not_recommend]
impl<T, A, M, const N: usize> Accepts<[A; N], ViaElements<M>> for [T; N]
where
    T: Accepts<A, M>,
{
    type Wire = Vec<T::Wire>;

    fn wire(argument: [A; N]) -> Self::Wire {
        argument.into_iter().map(T::wire).collect()
    }
}

/// Elements that are serialized in place.
pub struct Elements<'a, T, A, M> {
    elements: &'a [A],
    marker: PhantomData<fn(T, M)>,
}

impl<T, A, M> fmt::Debug for Elements<'_, T, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elements")
            .field("len", &self.elements.len())
            .finish()
    }
}

impl<'a, T, A, M> Serialize for Elements<'a, T, A, M>
where
    T: Accepts<&'a A, M>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.elements.iter().map(T::wire))
    }
}

macro_rules! borrowed {
    ($($argument:ty, [$($size:tt)*];)*) => {
        $(#[diagnostic::do_not_recommend]
        impl<'a, T, A, M, $($size)*> Accepts<$argument, ViaElements<M>> for Vec<T>
        where
            T: Accepts<&'a A, M>,
        {
            type Wire = Elements<'a, T, A, M>;

            fn wire(argument: $argument) -> Self::Wire {
                Elements {
                    elements: argument,
                    marker: PhantomData,
                }
            }
        })*
    };
}

borrowed! {
    &'a [A], [];
    &'a Vec<A>, [];
    &'a [A; N], [const N: usize];
}

/// Implements `Accepts` for containers that are written unchanged, since their elements are.
macro_rules! containers {
    ($($parameter:ty, $argument:ty, [$($more:ident),*];)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<T, A, M, $($more),*> Accepts<$argument, ViaElements<M>> for $parameter
            where
                T: Accepts<A, M, Wire = A>,
                A: Serialize,
                $argument: Serialize,
            {
                type Wire = $argument;

                fn wire(argument: $argument) -> $argument {
                    argument
                }
            }

            #[diagnostic::do_not_recommend]
            impl<'a, T, A, M, $($more),*> Accepts<&'a $argument, ViaElements<M>> for $parameter
            where
                T: Accepts<A, M, Wire = A>,
                A: Serialize,
                $argument: Serialize,
            {
                type Wire = &'a $argument;

                fn wire(argument: &'a $argument) -> &'a $argument {
                    argument
                }
            }
        )*
    };
}

containers! {
    VecDeque<T>, VecDeque<A>, [];
    HashSet<T, S>, HashSet<A, S>, [S];
    BTreeSet<T>, BTreeSet<A>, [];
    Box<T>, Box<A>, [];
}

/// Accepts a value without the box.
#[diagnostic::do_not_recommend]
impl<T, A, M> Accepts<A, ViaSome<M>> for Box<T>
where
    T: Accepts<A, M>,
{
    type Wire = T::Wire;

    fn wire(argument: A) -> T::Wire {
        T::wire(argument)
    }
}

/// Implements `Accepts` for maps, whose keys are accepted too.
macro_rules! maps {
    ($($parameter:ty, $argument:ty, [$($more:ident),*];)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<K, T, J, A, L, M, $($more),*> Accepts<$argument, ViaElements<(L, M)>> for $parameter
            where
                K: Accepts<J, L, Wire = J>,
                T: Accepts<A, M, Wire = A>,
                J: Serialize,
                A: Serialize,
                $argument: Serialize,
            {
                type Wire = $argument;

                fn wire(argument: $argument) -> $argument {
                    argument
                }
            }

            #[diagnostic::do_not_recommend]
            impl<'a, K, T, J, A, L, M, $($more),*> Accepts<&'a $argument, ViaElements<(L, M)>>
                for $parameter
            where
                K: Accepts<J, L, Wire = J>,
                T: Accepts<A, M, Wire = A>,
                J: Serialize,
                A: Serialize,
                $argument: Serialize,
            {
                type Wire = &'a $argument;

                fn wire(argument: &'a $argument) -> &'a $argument {
                    argument
                }
            }
        )*
    };
}

maps! {
    HashMap<K, T, S>, HashMap<J, A, S>, [S];
    BTreeMap<K, T>, BTreeMap<J, A>, [];
    IndexMap<K, T, S>, IndexMap<J, A, S>, [S];
}

macro_rules! tuples {
    ($($($part:ident $argument:ident $way:ident $value:ident)*;)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<$($part, $argument, $way),*> Accepts<($($argument,)*), ViaElements<($($way,)*)>>
                for ($($part,)*)
            where
                $($part: Accepts<$argument, $way>,)*
            {
                type Wire = ($($part::Wire,)*);

                fn wire(($($value,)*): ($($argument,)*)) -> Self::Wire {
                    ($($part::wire($value),)*)
                }
            }

            #[diagnostic::do_not_recommend]
            impl<'a, $($part, $argument, $way),*> Accepts<&'a ($($argument,)*), ViaElements<($($way,)*)>>
                for ($($part,)*)
            where
                $($part: Accepts<&'a $argument, $way>,)*
            {
                type Wire = ($($part::Wire,)*);

                fn wire(($($value,)*): &'a ($($argument,)*)) -> Self::Wire {
                    ($($part::wire($value),)*)
                }
            }
        )*
    };
}

tuples! {
    T0 A0 M0 a;
    T0 A0 M0 a T1 A1 M1 b;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e T5 A5 M5 f;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e T5 A5 M5 f T6 A6 M6 g;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e T5 A5 M5 f T6 A6 M6 g T7 A7 M7 h;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e T5 A5 M5 f T6 A6 M6 g T7 A7 M7 h T8 A8 M8 i;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e T5 A5 M5 f T6 A6 M6 g T7 A7 M7 h T8 A8 M8 i T9 A9 M9 j;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e T5 A5 M5 f T6 A6 M6 g T7 A7 M7 h T8 A8 M8 i T9 A9 M9 j T10 A10 M10 k;
    T0 A0 M0 a T1 A1 M1 b T2 A2 M2 c T3 A3 M3 d T4 A4 M4 e T5 A5 M5 f T6 A6 M6 g T7 A7 M7 h T8 A8 M8 i T9 A9 M9 j T10 A10 M10 k T11 A11 M11 l;
}
