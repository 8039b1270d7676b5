//! Calls of an object in this process.

use tokio::runtime::Runtime;

use super::Part;
use crate::{ServiceStub, runtime, typed};

/// Awaits typed calls of a method that returns at once, one after another.
#[derive(Debug)]
pub struct Local {
    runtime: Runtime,
    api: ServiceStub,
    calls: usize,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            runtime: runtime(),
            api: typed(),
            calls: 0,
        }
    }
}

impl Part for Local {
    fn prepare(&mut self, calls: usize) {
        self.calls = calls;
    }

    fn run(&mut self) {
        self.runtime.block_on(async {
            for _ in 0..self.calls {
                let sum = self.api.add(2.0, 3.0).await.expect("a sum");
                assert_eq!(sum, 5.0);
            }
        });
    }
}
