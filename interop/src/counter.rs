//! The counter that `makeCounter` returns.

use std::sync::{Mutex, MutexGuard, PoisonError};

use capnweb::Result;

use crate::commons::{Commons, Member};

/// A number that can be incremented.
#[capnweb::interface]
pub(crate) trait Counter {
    /// Adds `by`, or 1, and returns the new value.
    fn increment(&self, by: Option<f64>) -> Result<f64>;

    /// Returns the current value.
    #[rpc(get)]
    fn value(&self) -> Result<f64>;
}

/// Creates a counter, which is counted as alive until it is dropped.
pub(crate) fn counter(commons: &Commons, start: f64) -> CounterStub {
    CounterStub::new(Count {
        value: Mutex::new(start),
        _member: commons.counters.join(),
    })
}

struct Count {
    value: Mutex<f64>,
    _member: Member,
}

impl Count {
    fn lock(&self) -> MutexGuard<'_, f64> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counter for Count {
    fn increment(&self, by: Option<f64>) -> Result<f64> {
        let mut value = self.lock();
        *value += by.unwrap_or(1.0);
        Ok(*value)
    }

    fn value(&self) -> Result<f64> {
        Ok(*self.lock())
    }
}
