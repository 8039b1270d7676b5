//! Streams of chunks in either direction.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use capnweb::{Bytes, stream::Readable};
use futures_util::{StreamExt, stream};

use crate::{
    Result,
    load::progress::measure,
    options::Options,
    service::{CHUNK, ServiceStub, chunk},
};

/// Sends one stream until the time is up. A chunk counts once the session has taken it, which means
/// that there is room in the window.
pub(crate) async fn up(api: &ServiceStub, options: &Options) -> Result {
    let chunk = chunk();
    measure(1, options, |progress| {
        let (api, chunk) = (api.clone(), chunk.clone());
        async move {
            let sent = Arc::new(AtomicU64::new(0));
            let sending = sent.clone();
            let chunks = stream::iter(std::iter::from_fn(move || {
                let next = progress.goes_on().then(|| chunk.clone());
                if next.is_some() {
                    progress.add(CHUNK as u64);
                    sending.fetch_add(CHUNK as u64, Ordering::Relaxed);
                }
                next
            }));
            let chunks = Readable::<Bytes>::from_stream(chunks);
            let (arrived, sent) = (api.upload(chunks).await?, sent.load(Ordering::Relaxed));
            if arrived != sent {
                return Err(format!("of {sent} bytes {arrived} have arrived").into());
            }
            Ok(())
        }
    })
    .await
}

/// Receives one stream, until the time is up.
pub(crate) async fn down(api: &ServiceStub, options: &Options) -> Result {
    /// A size that is never reached.
    const ALL: u64 = 1 << 44;
    measure(1, options, |progress| {
        let api = api.clone();
        async move {
            let expected = chunk();
            let mut chunks = api.download(ALL).await?;
            while progress.goes_on() {
                let chunk = chunks.next().await.ok_or("the stream has ended")??;
                if chunk != expected {
                    return Err("a chunk is not the one that was sent".into());
                }
                progress.add(chunk.len() as u64);
            }
            Ok(())
        }
    })
    .await
}
