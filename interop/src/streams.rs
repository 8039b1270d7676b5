//! The streams of the main object and the probe. `node/streams.mjs` and `node/troubled-streams.mjs`
//! implement them in JavaScript.

use std::{sync::Arc, time::Duration};

use capnweb::{
    Bytes, Error, Object, Promise, Result, Stub, Value,
    stream::{Readable, Writable},
};
use futures_util::{SinkExt, StreamExt, sink, stream};
use tokio::sync::Notify;

use crate::{commons::Commons, counter::counter};

/// Returns a stream of `n` chunks of `size` bytes.
pub(crate) fn readable(n: usize, size: usize) -> Readable<Bytes> {
    let counting = (0..=u8::MAX).cycle().take(n);
    let chunks = counting.map(move |n| Bytes::from(vec![n; size]));
    Readable::from_stream(stream::iter(chunks))
}

/// Returns a stream that discards everything.
pub(crate) fn writable() -> Writable<Value> {
    Writable::from_sink(sink::drain().sink_map_err(|never| -> Error { match never {} }))
}

/// Returns a stream with one chunk "hi".
pub(crate) fn hi() -> Readable<String> {
    Readable::from_stream(stream::iter(["hi".to_owned()]))
}

/// Writes one "hi".
pub(crate) async fn write_hi(mut to: Writable<String>) -> Result<()> {
    to.send("hi".to_owned()).await?;
    to.close().await
}

/// Returns the property `streams` of the probe: streams with problems, or with problematic content.
pub(crate) fn troubled_streams(commons: &Arc<Commons>) -> Stub {
    let commons = commons.clone();
    let go = Arc::new(Notify::new());
    let going = go.clone();
    Object::new()
        .sync_method("failingStream", |n: u32| {
            let chunks = (0..n)
                .map(|n| Ok(format!("chunk {n}")))
                .chain([Err(Error::range_error("out of chunks"))]);
            Ok(Readable::<String>::from_stream(stream::iter(chunks)))
        })
        .sync_method("counterStream", move |n: u32| {
            let commons = commons.clone();
            let counters = (0..n).map(move |n| counter(&commons, f64::from(n)));
            Ok(Readable::from_stream(stream::iter(counters)))
        })
        .method("sumCounters", |mut counters: Readable<Stub>| async move {
            let mut sum = 0.0;
            while let Some(counter) = counters.next().await.transpose()? {
                let value: Promise<f64> = counter.call("increment", (1,)).cast();
                sum += value.await?;
            }
            Ok(sum)
        })
        .method(
            "readSlowly",
            |mut stream: Readable<Value>, ms: u64| async move {
                let mut total = 0;
                while let Some(chunk) = stream.next().await.transpose()? {
                    total += len(&chunk)?;
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                Ok(total)
            },
        )
        .method("readWhenTold", move |stream: Readable<Value>| {
            let going = going.clone();
            async move {
                going.notified().await;
                count_bytes(stream).await
            }
        })
        .sync_method("go", move || {
            go.notify_one();
            Ok(())
        })
        .method(
            "readThenCancel",
            |mut stream: Readable<Value>, n: u32| async move {
                for _ in 0..n {
                    stream.next().await.transpose()?;
                }
                stream.cancel(Error::range_error("seen enough"));
                Ok(())
            },
        )
        .method(
            "writeThenAbort",
            |mut to: Writable<String>, n: u32| async move {
                for n in 0..n {
                    to.send(format!("chunk {n}")).await?;
                }
                to.abort(Error::range_error("gave up"));
                Ok(())
            },
        )
        .sync_method("failingWritable", |n: u32| {
            let sink = sink::unfold(n, |left: u32, _: Value| async move {
                left.checked_sub(1)
                    .ok_or_else(|| Error::range_error("no more room"))
            });
            Ok(Writable::from_sink(sink))
        })
        .into_stub()
}

fn len(chunk: &Value) -> Result<usize> {
    match chunk {
        Value::Bytes(bytes) => Ok(bytes.len()),
        Value::String(text) => Ok(text.len()),
        other => Err(Error::type_error(format!("{other} has no length"))),
    }
}

pub(crate) async fn count_bytes(mut stream: Readable<Value>) -> Result<usize> {
    let mut total = 0;
    while let Some(chunk) = stream.next().await.transpose()? {
        total += len(&chunk)?;
    }
    Ok(total)
}

pub(crate) async fn read_all(mut stream: Readable<Value>) -> Result<String> {
    let mut text = String::new();
    while let Some(chunk) = stream.next().await.transpose()? {
        match chunk {
            Value::Bytes(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            other => text.push_str(&other.to_string()),
        }
    }
    Ok(text)
}
