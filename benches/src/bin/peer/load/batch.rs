//! HTTP batches with a number of calls each, one batch after another.

use crate::{
    Result, connect,
    load::{Unsupported, calls, progress::measure},
    options::{Options, Over},
};

pub(crate) async fn load(options: &Options) -> Result {
    if options.over != Over::Batch {
        return Err(Unsupported::new("batches go over HTTP").into());
    }
    let url = format!("http://{}/", options.at);
    let calls = options.in_flight;
    measure(1, options, |progress| {
        let url = url.clone();
        async move {
            while progress.goes_on() {
                let api = connect::batch(&url);
                let sums = capnweb::join_all((0..calls).map(|_| api.add(2.0, 3.0))).await;
                for sum in sums {
                    calls::check(sum?)?;
                }
                progress.add(calls as u64);
            }
            Ok(())
        }
    })
    .await
}
