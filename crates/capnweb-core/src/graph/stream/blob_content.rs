//! The content of blobs: streams that are collected before an application sees them.

use std::{
    future::poll_fn,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};

use crate::{
    graph::{
        error::{Error, Result},
        hook::{Hook, Settled, Waiter},
        payload::Payload,
        peer_call::{Charge, PeerCall, Resource},
        promise_state::PromiseState,
        stream::{BoxSource, Source},
    },
    limits::{Limit, LimitExceeded},
    runtime::AbortHandle,
};

/// The size of the chunks in which a blob is sent.
const CHUNK: usize = 64 * 1024;

/// The content of a blob, which may still be arriving. All copies of a payload share it.
pub(crate) struct BlobContent {
    state: Arc<BlobState>,
    /// The task that collects the content. It is stopped when the last reference to the blob is
    /// dropped, which tells the writer that the stream is not read.
    task: Option<AbortHandle>,
}

struct BlobState {
    whole: OnceLock<Whole>,
    /// Settles when the content is complete, or cannot be completed.
    done: Arc<PromiseState>,
}

struct Whole {
    bytes: Bytes,
    /// Counts the content as held for the peer that sent it.
    _held: Option<Charge>,
}

impl BlobContent {
    /// Creates a blob whose content is complete.
    #[cfg(feature = "fetch")]
    pub(crate) fn whole(bytes: Bytes) -> Arc<Self> {
        let state = BlobState::new();
        state.arrived(bytes, None);
        Arc::new(Self { state, task: None })
    }

    /// Creates a blob that a peer sends with `call`, and starts to collect its content.
    pub(crate) fn collect(source: BoxSource, call: &PeerCall) -> Arc<Self> {
        let state = BlobState::new();
        let collecting = Collecting {
            state: state.clone(),
            call: call.clone(),
        };
        // Without a runtime the task is dropped at once, which reports the error.
        let task =
            (call.runtime()).map(|runtime| runtime.spawn(collecting.run(source)).abort_handle());
        Arc::new(Self { state, task })
    }

    /// Returns the content, if it is complete.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        self.state.whole.get().map(|whole| &whole.bytes)
    }

    /// Returns the hook that settles when the content is complete, or cannot be completed.
    pub(crate) fn done(&self) -> Hook {
        Hook::Promise(self.state.done.clone())
    }

    /// Returns the content as a stream to send. It starts once the content is complete.
    pub(crate) fn source(self: &Arc<Self>) -> BoxSource {
        Box::new(BlobSource {
            content: self.clone(),
            sent: 0,
        })
    }
}

impl Drop for BlobContent {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl BlobState {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            whole: OnceLock::new(),
            done: PromiseState::new(),
        })
    }

    fn arrived(&self, bytes: Bytes, held: Option<Charge>) {
        let _ = self.whole.set(Whole { bytes, _held: held });
        self.done.settle(Hook::Value(Payload::undefined()));
    }
}

/// The state of the task that collects the content.
struct Collecting {
    state: Arc<BlobState>,
    call: PeerCall,
}

impl Collecting {
    async fn run(self, source: BoxSource) {
        match self.collect(source).await {
            Ok((bytes, held)) => self.state.arrived(bytes, Some(held)),
            Err(error) => self.state.done.settle(Hook::Broken(error)),
        }
    }

    async fn collect(&self, mut source: BoxSource) -> Result<(Bytes, Charge)> {
        let limit = self.call.limits().max_blob_bytes();
        let mut held = self.call.charge(Resource::RetainedBytes, 0);
        let mut all = BytesMut::new();
        while let Some(chunk) = poll_fn(|cx| source.poll_next(cx)).await {
            let chunk = chunk?.decode_chunk::<Bytes>();
            let refused = match chunk {
                Ok(chunk) if chunk.len() <= limit - all.len() => {
                    held.grow(chunk.len());
                    all.extend_from_slice(&chunk);
                    continue;
                }
                Ok(_) => LimitExceeded::new(
                    Limit::BlobBytes,
                    format!("a blob has more than {limit} bytes (limit max_blob_bytes)"),
                )
                .into(),
                Err(error) => error,
            };
            source.cancel(refused.clone());
            return Err(refused);
        }
        Ok((all.freeze(), held))
    }
}

impl Drop for Collecting {
    /// Reports that the runtime is shut down, or that there is none. Only the first outcome counts.
    fn drop(&mut self) {
        self.state.done.settle(Hook::Broken(Error::canceled(
            "a blob was not collected: its Tokio runtime was shut down, or there was none",
        )));
    }
}

/// A blob that is being sent.
struct BlobSource {
    content: Arc<BlobContent>,
    /// The number of bytes that have been sent.
    sent: usize,
}

impl Source for BlobSource {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload>>> {
        loop {
            if let Some(bytes) = self.content.bytes() {
                let end = bytes.len().min(self.sent + CHUNK);
                let chunk = bytes.slice(self.sent..end);
                self.sent = end;
                return Poll::Ready((!chunk.is_empty()).then(|| Ok(Payload::from_bytes(chunk))));
            }
            if let Settled::Yes(Hook::Broken(error)) = self.content.done().follow() {
                return Poll::Ready(Some(Err(error)));
            }
            let mut waiter = Some(Waiter::Task(cx.waker().clone()));
            if self.content.state.done.wait(&mut waiter) {
                return Poll::Pending;
            }
        }
    }
}
