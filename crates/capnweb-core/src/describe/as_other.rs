//! Types that are described as others.

/// Describes types with serde implementations of their own, by types of the same form on the wire.
///
/// The types are of the crate in which this stands. Without the feature `describe` it makes nothing.
///
/// ```
/// # use capnweb_core as capnweb;
/// /// Travels as a string: `"#ff8800"`.
/// struct Color(u8, u8, u8);
///
/// struct Sorted<T>(Vec<T>);
///
/// capnweb::describe!(Color as String);
/// capnweb::describe!(<T> Sorted<T> as Vec<T>);
/// ```
///
/// For a type of another crate there is `#[rpc(as = String)]` on the field or parameter that has it.
#[macro_export]
macro_rules! describe {
    (<$($parameter:ident),+ $(,)?> $type:ty as $as:ty $(,)?) => {
        impl<$($parameter: $crate::describe::Describe),+> $crate::describe::Describe for $type {
            fn describe(describer: &mut $crate::describe::Describer) -> $crate::describe::Type {
                <$as as $crate::describe::Describe>::describe(describer)
            }
        }
    };
    ($($type:ty as $as:ty),+ $(,)?) => {
        $(impl $crate::describe::Describe for $type {
            fn describe(describer: &mut $crate::describe::Describer) -> $crate::describe::Type {
                <$as as $crate::describe::Describe>::describe(describer)
            }
        })+
    };
}
