//! Arguments of calls.

use serde::Serialize;

use crate::{
    api::value::Value,
    graph::{
        error::{Error, Result},
        payload::{Draft, Payload},
    },
    util::tuples::for_tuples,
};

/// The arguments of a call: a tuple, a list, or a [`Payload`] that is an array.
///
/// `()` means no arguments, and `(x,)` is a single argument.
#[diagnostic::on_unimplemented(
    message = "the arguments of a call must be a tuple, and `{Self}` is not",
    label = "expected a tuple such as `()`, `(x,)` or `(x, y)`",
    note = "for a single argument write `(x,)`, with the comma"
)]
pub trait CallArgs {
    /// Writes the arguments.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument cannot be serialized.
    fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()>;
}

/// A writer for the arguments of a call.
pub struct ArgsWriter<'a> {
    draft: &'a mut Draft,
}

impl<'a> ArgsWriter<'a> {
    pub(crate) fn new(draft: &'a mut Draft) -> Self {
        Self { draft }
    }

    /// Writes a tuple or list as the arguments.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument cannot be serialized, or if `args` is neither a tuple nor a
    /// list.
    pub fn write(&mut self, args: &impl Serialize) -> Result<()> {
        self.draft.write_args(args)
    }
}

impl std::fmt::Debug for ArgsWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ArgsWriter")
            .field(&self.draft.text())
            .finish()
    }
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {
        $(
            impl<$($name: Serialize),*> CallArgs for ($($name,)*) {
                fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()> {
                    to.write(self)
                }
            }
        )*
    };
}

tuples!(;);
for_tuples!(tuples);

impl<T: Serialize> CallArgs for Vec<T> {
    fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()> {
        to.write(self)
    }
}

impl<T: Serialize> CallArgs for &[T] {
    fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()> {
        to.write(self)
    }
}

/// Passes arguments on undecoded. The payload must be an array, as [`Call::into_args`] returns it.
///
/// [`Call::into_args`]: crate::Call::into_args
impl CallArgs for Payload {
    fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()> {
        let items: Vec<Payload> = self
            .decode()
            .map_err(|_| Error::type_error("a payload of arguments must be an array"))?;
        to.write(&items)
    }
}

impl CallArgs for Value {
    fn write(&self, to: &mut ArgsWriter<'_>) -> Result<()> {
        match self {
            Self::Array(items) => to.write(items),
            _ => Err(Error::type_error("a value of arguments must be an array")),
        }
    }
}
