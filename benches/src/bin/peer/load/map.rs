//! A function that is sent to the server and applied to each element of a list.

use crate::{Result, load::progress::measure, options::Options, service::ServiceStub};

const ELEMENTS: u32 = 1_000;

pub(crate) async fn load(api: &ServiceStub, options: &Options) -> Result {
    measure(1, options, |progress| {
        let api = api.clone();
        async move {
            while progress.goes_on() {
                let doubled = api.numbers(ELEMENTS).map(|n| api.double(n)).await?;
                if !doubled.into_iter().eq((0..ELEMENTS).map(|n| 2 * n)) {
                    return Err("the numbers came back as others".into());
                }
                progress.add(ELEMENTS.into());
            }
            Ok(())
        }
    })
    .await
}
