//! Calls of one method, with a number of them in flight.

use crate::{
    Result,
    load::{Unsupported, progress::measure},
    options::{Options, Over},
    service::ServiceStub,
};

pub(crate) async fn load(api: &ServiceStub, options: &Options) -> Result {
    let _held = hold(api, options.exports).await?;
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

/// Returns `count` objects of the server.
async fn hold(api: &ServiceStub, count: usize) -> Result<Vec<ServiceStub>> {
    /// The number of objects that are requested at a time.
    const AT_ONCE: usize = 1_000;
    let mut held = Vec::with_capacity(count);
    while held.len() < count {
        let more = AT_ONCE.min(count - held.len());
        for child in capnweb::join_all((0..more).map(|_| api.child())).await {
            held.push(child?);
        }
    }
    Ok(held)
}

/// Calls an object of this process without a session, one call after another.
pub(crate) async fn local(api: &ServiceStub, options: &Options) -> Result {
    /// The number of calls between checks of the clock. Such calls hardly wait, so no timer would
    /// run.
    const IN_A_ROW: u64 = 1_000;
    if options.over != Over::Local {
        return Err(Unsupported::new("local calls go over nothing but `local`").into());
    }
    measure(1, options, |progress| {
        let api = api.clone();
        async move {
            while progress.goes_on() {
                for _ in 0..IN_A_ROW {
                    check(api.add(2.0, 3.0).await?)?;
                }
                progress.add(IN_A_ROW);
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    })
    .await
}

/// Checks the answer to `add(2, 3)`.
pub(crate) fn check(sum: f64) -> Result {
    if sum == 5.0 {
        Ok(())
    } else {
        Err(format!("2 + 3 came back as {sum}").into())
    }
}
