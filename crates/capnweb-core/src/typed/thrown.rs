//! Error types of the application's own, as `#[error]` writes and reads them.

use std::fmt::{Debug, Display};

use serde::de::DeserializeOwned;

use super::parameter::ErrorMessage;
use crate::{
    graph::error::{self, Error},
    graph::payload::Payload,
};

/// Returns what an error says.
pub fn error_message<E: ErrorMessage>(error: &E) -> String {
    error.to_string()
}

/// Returns whether an error has this code and, if one is asked for, this name. That of a call that
/// has not run is no answer of the application, whatever its code.
pub fn is_error(error: &Error, code: &str, name: Option<&str>) -> bool {
    // Few errors have a name of their own in JavaScript: what arrives from there may be a plain
    // `Error`.
    let fits = |name: &str| error.name() == name || error.name() == "Error";
    error.may_have_run() && error.code().as_deref() == Some(code) && name.is_none_or(fits)
}

/// Reads a property of an error. One that is not there is `undefined`, which an `Option` takes.
pub fn error_property<T: DeserializeOwned>(error: &Error, key: &str) -> Option<T> {
    let property = error.props().and_then(|props| props.pick(key));
    property.unwrap_or_else(Payload::undefined).decode().ok()
}

/// Logs an error that the peer is to hear nothing of.
pub fn stays_here<E: Display + Debug>(error: &E) -> Error {
    error::stays_here(error)
}
