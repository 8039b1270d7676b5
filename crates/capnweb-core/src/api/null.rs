//! JavaScript's `null`.

use serde::{Serialize, Serializer};

/// JavaScript's `null` as an argument. A bare `None` would leave its type open.
///
/// An `Option` parameter of an interface accepts it just as it accepts `None`: both are sent as
/// `undefined`. In a call by name, `Null` is sent as `null`, and `()` as `undefined`. Both decode
/// to `None`.
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
        assert_eq!(Payload::encode(&Null).unwrap().as_expression(), "null");
        assert_eq!(
            Payload::encode(&[Null]).unwrap().as_expression(),
            "[[null]]"
        );
    }
}
