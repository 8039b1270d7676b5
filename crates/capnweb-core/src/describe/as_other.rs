//! Descriptions of types as other types.

/// Describes types with handwritten serde implementations as types of the same form on the wire.
///
/// The types must belong to the crate that uses this macro. If the feature `describe` is off, the
/// macro generates nothing.
///
/// ```
/// # use capnweb_core as capnweb;
/// /// Sent as a string: `"#ff8800"`.
/// struct Color(u8, u8, u8);
///
/// struct Sorted<T>(Vec<T>);
///
/// capnweb::describe!(Color as String);
/// capnweb::describe!(<T> Sorted<T> as Vec<T>);
/// ```
///
/// For a type of another crate, use `#[rpc(as = String)]` on the field or parameter.
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
