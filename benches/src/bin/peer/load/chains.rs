//! Chains of ten calls, each on the result of the one before, awaited once.

use crate::{Result, load::progress::measure, options::Options, service::ServiceStub};

/// So many objects are between the main one and the one that is asked.
const CHILDREN: u32 = 9;

pub(crate) async fn load(api: &ServiceStub, options: &Options) -> Result {
    measure(options.in_flight, options, |progress| {
        let api = api.clone();
        async move {
            while progress.goes_on() {
                let mut child = api.child();
                for _ in 1..CHILDREN {
                    child = child.child();
                }
                let depth = child.value().await?;
                if depth != CHILDREN {
                    return Err(format!("the object at {CHILDREN} says {depth}").into());
                }
                progress.add(1);
            }
            Ok(())
        }
    })
    .await
}
