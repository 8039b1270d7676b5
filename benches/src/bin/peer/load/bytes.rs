//! Large byte strings or texts that are echoed, one after another.

use capnweb::Bytes;

use crate::{Result, load::progress::measure, options::Options, service::ServiceStub};

pub(crate) async fn load(api: &ServiceStub, options: &Options) -> Result {
    let bytes: Bytes = (0..=u8::MAX).cycle().take(options.size).collect();
    measure(1, options, |progress| {
        let (api, bytes) = (api.clone(), bytes.clone());
        async move {
            while progress.goes_on() {
                if api.echo(&bytes).await? != bytes {
                    return Err("the bytes came back as others".into());
                }
                progress.add(bytes.len() as u64);
            }
            Ok(())
        }
    })
    .await
}

pub(crate) async fn text(api: &ServiceStub, options: &Options) -> Result {
    // Include line breaks, which must be escaped.
    let line = "All work and no play makes Jack a dull boy.\n";
    let text: String = line.chars().cycle().take(options.size).collect();
    measure(1, options, |progress| {
        let (api, text) = (api.clone(), text.clone());
        async move {
            while progress.goes_on() {
                if api.echo_text(&text).await? != text {
                    return Err("the text came back as another".into());
                }
                progress.add(text.len() as u64);
            }
            Ok(())
        }
    })
    .await
}
