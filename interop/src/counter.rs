//! The counter that `makeCounter` gives.

use std::sync::{Arc, Mutex, PoisonError};

use capnweb::{Object, Stub};

use crate::commons::Commons;

/// A new counter: `increment(by = 1)` gives the new value, the property `value` the current one.
pub(crate) fn counter(commons: &Commons, start: f64) -> Stub {
    let member = commons.counters.join();
    let value = Arc::new(Mutex::new(start));
    let read = value.clone();
    Object::new()
        .sync_method("increment", move |by: Option<f64>| {
            let _ = &member; // counted as long as this method is there
            let mut value = value.lock().unwrap_or_else(PoisonError::into_inner);
            *value += by.unwrap_or(1.0);
            Ok(*value)
        })
        .getter("value", move |_| {
            Ok(*read.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .into_stub()
}
