//! Chains of ten calls. Each is made on the result of the previous one, and only the last is
//! awaited.

use crate::{Result, load::progress::measure, options::Options, service::ServiceStub};

/// The number of objects between the main object and the last one.
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
