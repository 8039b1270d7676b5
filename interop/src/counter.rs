//! The counter that `makeCounter` gives.

use std::sync::{Mutex, MutexGuard, PoisonError};

use capnweb::Result;

use crate::commons::{Commons, Member};

/// A number that is counted up.
#[capnweb::interface]
pub(crate) trait Counter {
    /// Adds `by`, or 1, and gives the new value.
    fn increment(&self, by: Option<f64>) -> Result<f64>;

    /// The current value.
    #[rpc(get)]
    fn value(&self) -> Result<f64>;
}

/// A new counter, which is counted itself for as long as it lives.
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
