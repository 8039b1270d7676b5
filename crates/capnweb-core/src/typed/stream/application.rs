//! Stream ends that the application provides.

use std::{
    any::Any,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_sink::Sink;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    api::{promise::PromiseFuture, stub::Stub},
    graph::{
        asked::Asked,
        error::{Error, Result},
        payload::Payload,
        stream::{Destination, Source},
    },
    typed::stream::readable::IntoChunk,
};

/// A chunk of the application's type, which is ready once the promises in it have settled.
pub(crate) enum Decoding<T> {
    Ready(Result<T>),
    Waiting(PromiseFuture<T>),
}

impl<T: DeserializeOwned + 'static> Decoding<T> {
    pub(crate) fn start(chunk: Payload) -> Self {
        if chunk.view().has_promises() {
            Self::Waiting(PromiseFuture::new(Stub::outcome(
                chunk.into_hook(),
                Asked::Chunk,
            )))
        } else {
            Self::Ready(chunk.decode_chunk())
        }
    }
}

/// A source made of any stream.
pub(crate) struct FromStream<S, T> {
    stream: Pin<Box<S>>,
    marker: PhantomData<fn() -> T>,
}

impl<S, T> FromStream<S, T> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: Box::pin(stream),
            marker: PhantomData,
        }
    }
}

impl<S, T> Source for FromStream<S, T>
where
    S: Stream<Item: IntoChunk<T>> + Send,
    T: Serialize + 'static,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload>>> {
        let item = ready!(self.stream.as_mut().poll_next(cx));
        Poll::Ready(item.map(|item| encode_chunk(&item.into_chunk()?)))
    }
}

/// Encodes a chunk as a payload. Bytes are not copied.
fn encode_chunk<T: Serialize + 'static>(chunk: &T) -> Result<Payload> {
    match (chunk as &dyn Any).downcast_ref::<Bytes>() {
        Some(bytes) => Ok(Payload::from_bytes(bytes.clone())),
        None => Payload::encode(chunk),
    }
}

/// A source made of any reader.
pub(crate) struct FromReader<R> {
    reader: Pin<Box<R>>,
    buffer: Box<[u8]>,
}

/// The maximum size of one read, which becomes one chunk.
const CHUNK: usize = 32 * 1024;

impl<R> FromReader<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: Box::pin(reader),
            buffer: vec![0; CHUNK].into(),
        }
    }
}

impl<R: AsyncRead + Send> Source for FromReader<R> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Payload>>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        Poll::Ready(
            match ready!(self.reader.as_mut().poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => None,
                Ok(()) => {
                    let chunk = Bytes::copy_from_slice(buffer.filled());
                    Some(Ok(Payload::from_bytes(chunk)))
                }
                Err(error) => Some(Err(io_failed(&error))),
            },
        )
    }
}

fn io_failed(error: &std::io::Error) -> Error {
    Error::new(error.to_string())
}

/// A destination made of any sink.
pub(crate) struct FromSink<S, T> {
    sink: Pin<Box<S>>,
    /// A chunk that has not been handed to the sink yet.
    next: Option<Decoding<T>>,
}

impl<S, T> FromSink<S, T> {
    pub(crate) fn new(sink: S) -> Self {
        Self {
            sink: Box::pin(sink),
            next: None,
        }
    }
}

impl<S, T> FromSink<S, T>
where
    S: Sink<T, Error: Into<Error>> + Send,
    T: DeserializeOwned + 'static,
{
    /// Hands the pending chunk to the sink.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some(Decoding::Waiting(pull)) = &mut self.next {
            let chunk = ready!(Pin::new(pull).poll(cx));
            self.next = Some(Decoding::Ready(chunk));
        }
        ready!(self.sink.as_mut().poll_ready(cx)).map_err(Into::into)?;
        if let Some(Decoding::Ready(chunk)) = self.next.take() {
            self.sink.as_mut().start_send(chunk?).map_err(Into::into)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S, T> Destination for FromSink<S, T>
where
    S: Sink<T, Error: Into<Error>> + Send,
    T: DeserializeOwned + Send + 'static,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.next.is_some() {
            ready!(self.poll_next(cx))?;
        }
        self.sink.as_mut().poll_ready(cx).map_err(Into::into)
    }

    fn write(&mut self, chunk: Payload) -> Result<()> {
        match Decoding::start(chunk) {
            Decoding::Ready(chunk) => self.sink.as_mut().start_send(chunk?).map_err(Into::into),
            waiting => {
                self.next = Some(waiting);
                Ok(())
            }
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.next.is_some() {
            ready!(self.poll_next(cx))?;
        }
        self.sink.as_mut().poll_flush(cx).map_err(Into::into)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.next.is_some() {
            ready!(self.poll_next(cx))?;
        }
        self.sink.as_mut().poll_close(cx).map_err(Into::into)
    }

    /// Drops the sink without closing it, since sinks have no other way to learn that the stream
    /// broke off.
    fn abort(self: Box<Self>, _: Error) {}
}

/// A destination made of any writer.
pub(crate) struct FromWriter<W> {
    writer: Pin<Box<W>>,
    chunk: Bytes,
}

impl<W> FromWriter<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self {
            writer: Box::pin(writer),
            chunk: Bytes::new(),
        }
    }
}

impl<W: AsyncWrite + Send> Destination for FromWriter<W> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.chunk.is_empty() {
            let written = ready!(self.writer.as_mut().poll_write(cx, &self.chunk))
                .map_err(|error| io_failed(&error))?;
            if written == 0 {
                return Poll::Ready(Err(Error::new("the writer accepts no more bytes")));
            }
            self.chunk.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, chunk: Payload) -> Result<()> {
        self.chunk = chunk.decode_chunk()?;
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_ready(cx))?;
        self.writer
            .as_mut()
            .poll_flush(cx)
            .map_err(|error| io_failed(&error))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_ready(cx))?;
        self.writer
            .as_mut()
            .poll_shutdown(cx)
            .map_err(|error| io_failed(&error))
    }

    /// Drops the writer without shutting it down.
    fn abort(self: Box<Self>, _: Error) {}
}
