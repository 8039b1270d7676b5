//! Support for applications' own error types, which `#[error]` reads and writes.

use std::fmt::{Debug, Display};

use serde::de::DeserializeOwned;

use super::parameter::ErrorMessage;
use crate::{
    graph::error::{self, Error},
    graph::payload::Payload,
};

/// Returns the message of an error.
pub fn error_message<E: ErrorMessage>(error: &E) -> String {
    error.to_string()
}

/// Returns whether an error has this code and, if `name` is set, this name. The error of a call
/// that has not run is not an answer of the application, whatever its code.
pub fn is_error(error: &Error, code: &str, name: Option<&str>) -> bool {
    // JavaScript knows few error names, so an error from there may be a plain `Error`.
    let fits = |name: &str| error.name() == name || error.name() == "Error";
    error.may_have_run() && error.code().as_deref() == Some(code) && name.is_none_or(fits)
}

/// Reads a property of an error. A missing one reads as `undefined`, which an `Option` accepts.
pub fn error_property<T: DeserializeOwned>(error: &Error, key: &str) -> Option<T> {
    let property = error.props().and_then(|props| props.pick(key));
    property.unwrap_or_else(Payload::undefined).decode().ok()
}

/// Logs an error whose details must not reach the peer, and returns the error to send instead.
pub fn stays_here<E: Display + Debug>(error: &E) -> Error {
    error::stays_here(error)
}
