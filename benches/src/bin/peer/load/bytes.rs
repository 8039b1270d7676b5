//! A mebibyte there and back, one after another.

use crate::{
    Result,
    load::progress::measure,
    options::Options,
    service::{ServiceStub, pattern},
};

const LEN: usize = 1 << 20;

pub(crate) async fn load(api: &ServiceStub, options: &Options) -> Result {
    let bytes = pattern(LEN);
    measure(1, options, |progress| {
        let (api, bytes) = (api.clone(), bytes.clone());
        async move {
            while progress.goes_on() {
                if api.echo(&bytes).await? != bytes {
                    return Err("the bytes came back as others".into());
                }
                progress.add(LEN as u64);
            }
            Ok(())
        }
    })
    .await
}
