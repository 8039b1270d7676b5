//! Calls of one method, so many at a time.

use crate::{Result, load::progress::measure, options::Options, service::ServiceStub};

pub(crate) async fn load(api: &ServiceStub, options: &Options) -> Result {
    measure(options.in_flight, options, |progress| {
        let api = api.clone();
        async move {
            while progress.goes_on() {
                check(api.add(2.0, 3.0).await?)?;
                progress.add(1);
            }
            Ok(())
        }
    })
    .await
}

/// Whether a call of `add(2, 3)` was answered with this.
pub(crate) fn check(sum: f64) -> Result {
    if sum == 5.0 {
        Ok(())
    } else {
        Err(format!("2 + 3 came back as {sum}").into())
    }
}
