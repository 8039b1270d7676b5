//! Streams within this process, including those that peers write to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    task::{Context, Poll, Waker},
};

use crate::{
    graph::{
        engine::invoke::{Operation, Origin},
        error::{Error, Result},
        hook::Hook,
        hooks::{SessionHooks, StreamRecord},
        observe::Direction,
        payload::{Path, Payload, Reader, View},
        peer_call::{Charge, Resource},
        promise_state::PromiseState,
        stream::{Destination, Source, abort_reason},
    },
    util::{lock::LockExt, seq_table::SeqTable},
};

/// A queue of chunks between a writer and a reader.
///
/// The pipe does not bound a peer's writes; the peer's own window and the session's limits do.
/// These writes are queued, and answered when the reader takes them, or when the peer that they are
/// passed on to does. A writer in this process waits while there are [`ROOM`] chunks in the queue.
pub(crate) struct Pipe {
    state: Mutex<PipeState>,
}

/// The number of chunks that a writer in this process may be ahead.
const ROOM: usize = 8;

#[derive(Default)]
struct PipeState {
    queue: VecDeque<Chunk>,
    end: Option<WriterEnd>,
    /// The reason why the reader is gone.
    canceled: Option<Error>,
    /// True if the writer learns of the end only when the reader calls `finish`.
    hold_end: bool,
    /// True if the writer learns that a chunk was taken only from its [`Acknowledgement`].
    hold_acknowledgements: bool,
    /// The answers to writes whose chunks are on their way to the next reader.
    held: SeqTable<Arc<PromiseState>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The way in which the writer ended the stream.
enum WriterEnd {
    Closed(Close),
    Aborted {
        reason: Error,
        /// True once the reader has received the reason.
        told: bool,
        /// True if the writer was dropped without a reason.
        released: bool,
    },
}

enum Close {
    /// The reader has not reached the end.
    Waiting(Option<Arc<PromiseState>>),
    Done(Result<()>),
}

struct Chunk {
    payload: Payload,
    /// The answer to the write. It is due when the chunk is taken.
    written: Option<Arc<PromiseState>>,
    buffered: Option<Charge>,
}

/// A chunk that was read, and the key of its answer if that is held.
type TakenChunk = (Payload, Option<u64>);

/// The assumed cost of a chunk in addition to its content.
const CHUNK_COST: usize = 256;

/// Actions for after the lock is released.
#[derive(Default)]
#[must_use]
struct Later {
    dropped: VecDeque<Chunk>,
    /// The charge of a chunk that is no longer buffered.
    taken: Option<Charge>,
    answers: Vec<(Arc<PromiseState>, Result<()>)>,
    wakers: Vec<Waker>,
    stale: Vec<Waker>,
}

impl Later {
    fn answer(&mut self, deferred: Option<Arc<PromiseState>>, result: Result<()>) {
        self.answers
            .extend(deferred.map(|deferred| (deferred, result)));
    }

    fn run(self) {
        drop(self.taken);
        for waker in self.wakers {
            waker.wake();
        }
        for (deferred, result) in self.answers {
            settle(&deferred, result);
        }
        drop((self.dropped, self.stale));
    }
}

fn settle(deferred: &Arc<PromiseState>, result: Result<()>) {
    deferred.settle(outcome(result));
}

fn outcome(result: Result<()>) -> Hook {
    match result {
        Ok(()) => Hook::Value(Payload::undefined()),
        Err(error) => Hook::Broken(error),
    }
}

/// Creates a pipe, and returns its writer and its reader.
pub(crate) fn new_pipe() -> (Arc<PipeWriter>, PipeReader) {
    let pipe = Arc::new(Pipe {
        state: Mutex::default(),
    });
    (
        Arc::new(PipeWriter {
            pipe: pipe.clone(),
            record: OnceLock::new(),
        }),
        PipeReader {
            pipe,
            acknowledgement: None,
        },
    )
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.acquire()
    }

    fn change<R>(&self, change: impl FnOnce(&mut PipeState, &mut Later) -> R) -> R {
        let mut later = Later::default();
        let result = change(&mut self.lock(), &mut later);
        later.run();
        result
    }

    /// Queues a peer's chunk.
    fn write(&self, chunk: Chunk) -> Result<()> {
        let refused = self.change(|state, later| {
            let refusal = match (&state.canceled, &state.end) {
                (Some(reason), _) | (None, Some(WriterEnd::Aborted { reason, .. })) => {
                    reason.clone()
                }
                (None, Some(_)) => Error::type_error("Cannot write to a closing WritableStream"),
                (None, None) => {
                    state.queue.push_back(chunk);
                    later.wakers.extend(state.reader.take());
                    return None;
                }
            };
            // Dropped after the lock is released.
            later.dropped.push_back(chunk);
            Some(refusal)
        });
        refused.map_or(Ok(()), Err)
    }

    /// Closes the stream. `answer` settles when everything has been read.
    fn close(&self, answer: Option<Arc<PromiseState>>) {
        self.change(|state, later| {
            let result = match (&state.canceled, &state.end) {
                (Some(reason), _) | (None, Some(WriterEnd::Aborted { reason, .. })) => {
                    Err(reason.clone())
                }
                (None, Some(_)) => Err(Error::type_error("Cannot close a closed WritableStream")),
                (None, None) => {
                    let close = if state.queue.is_empty() && !state.hold_end {
                        later.answer(answer, Ok(()));
                        Close::Done(Ok(()))
                    } else {
                        Close::Waiting(answer)
                    };
                    state.end = Some(WriterEnd::Closed(close));
                    later.wakers.extend(state.reader.take());
                    return;
                }
            };
            later.answer(answer, result);
        });
    }

    /// Breaks the stream off. Unread chunks are lost.
    pub(crate) fn abort(&self, reason: Error) {
        self.end_early(reason, false);
    }

    /// Breaks the stream off because the writer was dropped, unless it has closed the stream.
    fn release(&self) {
        if self.lock().end.is_none() {
            let reason = "the writable end of the stream was dropped before it was closed";
            self.end_early(Error::canceled(reason), true);
        }
    }

    fn end_early(&self, reason: Error, released: bool) {
        let reason = reason.without_stubs();
        // A clone is stored, so that an unused `reason` is dropped after the lock is released.
        self.change(|state, later| {
            match &mut state.end {
                Some(WriterEnd::Aborted { .. } | WriterEnd::Closed(Close::Done(_))) => return,
                Some(WriterEnd::Closed(Close::Waiting(answer))) => {
                    later.answer(answer.take(), Err(reason.clone()));
                }
                _ => {}
            }
            state.drop_queue(&reason, later);
            later.wakers.extend(state.reader.take());
            later.wakers.extend(state.writer.take());
            state.end = Some(WriterEnd::Aborted {
                reason: reason.clone(),
                told: false,
                released,
            });
        });
    }

    /// Breaks the stream off unless the writer has closed it.
    pub(crate) fn break_off(&self, reason: &Error) {
        if self.lock().end.is_none() {
            self.abort(reason.clone());
        }
    }

    /// Handles the end of the writer's session. Capabilities in chunks are of no use any more, and
    /// could hold the very pipe that holds them. The same goes for calls on the answer to a write.
    /// Nothing is left to receive it, whether or not the chunk has been read.
    pub(crate) fn session_ended(&self, reason: &Error) {
        let has_capabilities = (self.lock().queue.iter()).any(|chunk| !chunk.payload.is_plain());
        if has_capabilities {
            self.abort(reason.clone());
        }
        self.change(|state, later| {
            for chunk in &mut state.queue {
                later.answer(chunk.written.take(), Err(reason.clone()));
            }
            if let Some(WriterEnd::Closed(Close::Waiting(answer))) = &mut state.end {
                later.answer(answer.take(), Err(reason.clone()));
            }
            for written in state.held.take_all() {
                later.answer(Some(written), Err(reason.clone()));
            }
        });
    }

    /// Takes the next chunk.
    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Result<TakenChunk>>> {
        let waker = cx.waker().clone();
        self.change(|state, later| {
            if let Some(chunk) = state.queue.pop_front() {
                later.taken = chunk.buffered;
                let held = if state.hold_acknowledgements {
                    chunk.written.map(|written| state.held.push(written))
                } else {
                    later.answer(chunk.written, Ok(()));
                    None
                };
                if state.queue.is_empty() && !state.hold_end {
                    state.finish(Ok(()), later);
                }
                later.wakers.extend(state.writer.take());
                return Poll::Ready(Some(Ok((chunk.payload, held))));
            }
            match &mut state.end {
                Some(WriterEnd::Aborted { told: true, .. } | WriterEnd::Closed(_)) => {
                    Poll::Ready(None)
                }
                Some(WriterEnd::Aborted { reason, told, .. }) => {
                    *told = true;
                    Poll::Ready(Some(Err(reason.clone())))
                }
                None => {
                    later.stale.extend(state.reader.replace(waker));
                    Poll::Pending
                }
            }
        })
    }

    fn finish(&self, result: Result<()>) {
        self.change(|state, later| state.finish(result, later));
    }

    fn cancel(&self, reason: &Error) {
        let reason = &reason.clone().without_stubs();
        self.change(|state, later| {
            if state.canceled.is_some() {
                return;
            }
            state.canceled = Some(reason.clone());
            state.drop_queue(reason, later);
            state.finish(Err(reason.clone()), later);
            later.wakers.extend(state.writer.take());
        });
    }
}

impl PipeState {
    fn finish(&mut self, result: Result<()>, later: &mut Later) {
        if let Some(WriterEnd::Closed(close @ Close::Waiting(_))) = &mut self.end {
            if let Close::Waiting(answer) = std::mem::replace(close, Close::Done(result.clone())) {
                later.answer(answer, result);
            }
            later.wakers.extend(self.writer.take());
        }
    }

    fn drop_queue(&mut self, reason: &Error, later: &mut Later) {
        let mut queue = std::mem::take(&mut self.queue);
        for chunk in &mut queue {
            later.answer(chunk.written.take(), Err(reason.clone()));
        }
        later.dropped = queue;
    }
}

/// The answer to a peer's write, due when the chunk has been taken at the other end. Dropping it
/// rejects the write.
///
/// The answer itself is stored in the pipe, so that it can be settled when the writer's session
/// ends.
pub(crate) struct Acknowledgement {
    pipe: Arc<Pipe>,
    key: u64,
}

impl Acknowledgement {
    /// Answers the write.
    pub(crate) fn settle(self, result: Result<()>) {
        self.answer(result);
    }

    fn answer(&self, result: Result<()>) {
        let written = self.pipe.lock().held.remove(self.key);
        if let Some(written) = written {
            settle(&written, result);
        }
    }
}

impl Drop for Acknowledgement {
    fn drop(&mut self) {
        self.answer(Err(Error::canceled("the stream was broken off")));
    }
}

/// The end of a pipe that is read from.
pub(crate) struct PipeReader {
    pipe: Arc<Pipe>,
    /// The acknowledgement that is owed for the last chunk, if it is held.
    acknowledgement: Option<Acknowledgement>,
}

impl Source for PipeReader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload>>> {
        self.pipe.poll_next(cx).map_ok(|(chunk, held)| {
            self.acknowledgement = held.map(|key| Acknowledgement {
                pipe: self.pipe.clone(),
                key,
            });
            chunk
        })
    }

    fn hold_end(&mut self) {
        self.pipe.lock().hold_end = true;
    }

    fn hold_acknowledgements(&mut self) {
        self.pipe.lock().hold_acknowledgements = true;
    }

    fn take_acknowledgement(&mut self) -> Option<Acknowledgement> {
        self.acknowledgement.take()
    }

    fn is_released(&self) -> bool {
        let state = self.pipe.lock();
        matches!(state.end, Some(WriterEnd::Aborted { released: true, .. }))
    }

    fn finish(&mut self, result: Result<()>) {
        self.pipe.finish(result);
    }

    fn cancel(self: Box<Self>, reason: Error) {
        self.pipe.cancel(&reason);
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.cancel(&Error::canceled(
            "the readable end of the stream was dropped before it was read to its end",
        ));
    }
}

/// The end of a pipe that is written to, which a peer can refer to. Dropping it without closing
/// breaks the stream off.
pub(crate) struct PipeWriter {
    pipe: Arc<Pipe>,
    /// Reports the use of the stream by a peer.
    record: OnceLock<Box<StreamRecord>>,
}

impl PipeWriter {
    /// Has the use of the stream by a peer reported.
    pub(crate) fn observe(&self, hooks: &Arc<SessionHooks>) {
        self.record
            .get_or_init(|| Box::new(StreamRecord::new(hooks, Direction::Incoming)));
    }

    pub(crate) fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// Breaks the stream off because its writer is gone.
    pub(crate) fn break_off(&self, reason: &Error) {
        self.pipe.break_off(reason);
    }

    /// Handles a call of `write`, `close` or `abort`. None of them runs application code.
    pub(crate) fn invoke(&self, path: &Path, operation: &Operation, origin: &Origin) -> Hook {
        let Operation::Call(args) = operation else {
            return Hook::Broken(Error::type_error(
                "a WritableStream has no properties, and cannot be mapped",
            ));
        };
        let mut steps = path.steps();
        let method = match (steps.next(), steps.next()) {
            (Some(step), None) => step.to_string(),
            _ => {
                return Hook::Broken(Error::type_error(
                    "only the methods of a WritableStream can be called",
                ));
            }
        };
        self.call(&method, args.view(), origin)
    }

    pub(crate) fn call(&self, method: &str, args: View<'_>, origin: &Origin) -> Hook {
        if let Some(record) = self.record.get() {
            record.announce();
        }
        match method {
            "write" => match Reader::new(args).next_payload() {
                Ok(chunk) => self.write(chunk, origin),
                Err(error) => Hook::Broken(error),
            },
            "close" => {
                let closed = PromiseState::new();
                self.pipe.close(Some(closed.clone()));
                Hook::Promise(closed)
            }
            "abort" => match Reader::new(args).next::<Payload>() {
                Ok(reason) => {
                    self.pipe.abort(abort_reason(reason));
                    outcome(Ok(()))
                }
                Err(error) => Hook::Broken(error.into()),
            },
            _ => Hook::Broken(Error::type_error(format!(
                "Unknown WritableStream method: {method}"
            ))),
        }
    }

    fn write(&self, payload: Payload, origin: &Origin) -> Hook {
        let buffered = match origin {
            Origin::Peer(call) => {
                Some(call.charge(Resource::StreamBytes, payload.cost() + CHUNK_COST))
            }
            Origin::App | Origin::Local => None,
        };
        let written = PromiseState::new();
        let chunk = Chunk {
            payload,
            written: Some(written.clone()),
            buffered,
        };
        match self.pipe.write(chunk) {
            Ok(()) => Hook::Promise(written),
            Err(error) => Hook::Broken(error),
        }
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.pipe.release();
    }
}

/// The end of a pipe that the application writes to.
pub(crate) struct PipeSink {
    pipe_writer: Arc<PipeWriter>,
    closing: bool,
}

impl PipeSink {
    pub(crate) fn new(pipe_writer: Arc<PipeWriter>) -> Self {
        Self {
            pipe_writer,
            closing: false,
        }
    }
}

impl Destination for PipeSink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let waker = cx.waker().clone();
        self.pipe_writer.pipe.change(|state, later| {
            if let Some(reason) = &state.canceled {
                return Poll::Ready(Err(reason.clone()));
            }
            later.stale.extend(state.writer.replace(waker));
            if state.queue.len() < ROOM {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
    }

    fn write(&mut self, payload: Payload) -> Result<()> {
        self.pipe_writer.pipe.write(Chunk {
            payload,
            written: None,
            buffered: None,
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.poll_ready(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !std::mem::replace(&mut self.closing, true) {
            self.pipe_writer.pipe.close(None);
        }
        let waker = cx.waker().clone();
        self.pipe_writer
            .pipe
            .change(|state, later| match &state.end {
                Some(WriterEnd::Closed(Close::Done(result))) => Poll::Ready(result.clone()),
                Some(WriterEnd::Closed(Close::Waiting(_))) => {
                    later.stale.extend(state.writer.replace(waker));
                    Poll::Pending
                }
                _ => Poll::Ready(Err(state
                    .canceled
                    .clone()
                    .unwrap_or_else(|| Error::canceled("the stream was broken off")))),
            })
    }

    fn abort(self: Box<Self>, reason: Error) {
        self.pipe_writer.pipe.abort(reason);
    }

    fn pipe_writer(&self) -> Option<Arc<PipeWriter>> {
        (!self.closing).then(|| self.pipe_writer.clone())
    }
}
