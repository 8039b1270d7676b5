//! JavaScript's `null`.

use serde::{Serialize, Serializer};

/// JavaScript's `null` as an argument, where a bare `None` would leave its type open.
///
/// A parameter of an interface that is an `Option` takes it, as it takes a `None`: both are left out,
/// as `undefined`. In a call by name it is `null`, and `()` is `undefined`. Either reads as `None`.
///
/// ```
/// use capnweb::{Null, Object, Result};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let api = Object::new()
///     .method("isAbsent", async |name: Option<String>| Ok(name.is_none()))
///     .into_stub();
/// assert!(api.call("isAbsent", (Null,)).fetch::<bool>().await?);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Null;

impl Serialize for Null {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;

    #[test]
    fn it_is_null_wherever_it_stands() {
        assert_eq!(Payload::encode(&Null).unwrap().as_json(), "null");
        assert_eq!(Payload::encode(&[Null]).unwrap().as_json(), "[[null]]");
    }
}
