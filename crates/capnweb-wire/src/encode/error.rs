//! Errors as expressions.

use crate::write::write_string;

/// The `["error", name, message, stack?, props?]` form.
///
/// ```
/// use capnweb_wire::encode::Error;
///
/// let error = Error { name: "TypeError", message: "no \"x\"", stack: None };
/// let mut out = Vec::new();
/// error.write(&mut out);
/// assert_eq!(out, br#"["error","TypeError","no \"x\""]"#);
///
/// out.clear();
/// error.write_with(&mut out, |out| out.extend_from_slice(br#"{"code":7}"#));
/// assert_eq!(out, br#"["error","TypeError","no \"x\"",null,{"code":7}]"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// The name, such as `TypeError`.
    pub name: &'a str,
    /// The message.
    pub message: &'a str,
    /// The stack, if the application chose to reveal it.
    pub stack: Option<&'a str>,
}

impl Error<'_> {
    /// Appends an error without properties.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.open(out);
        if let Some(stack) = self.stack {
            out.push(b',');
            write_string(out, stack);
        }
        out.push(b']');
    }

    /// Appends an error with the properties that `props` appends, as an object of expressions.
    pub fn write_with(&self, out: &mut Vec<u8>, props: impl FnOnce(&mut Vec<u8>)) {
        self.open(out);
        out.push(b',');
        match self.stack {
            Some(stack) => write_string(out, stack),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b',');
        props(out);
        out.push(b']');
    }

    fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"["error","#);
        write_string(out, self.name);
        out.push(b',');
        write_string(out, self.message);
    }
}
