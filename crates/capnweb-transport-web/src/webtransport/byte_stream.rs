//! A WebTransport stream as a stream of bytes.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use js_sys::Uint8Array;
use send_wrapper::SendWrapper;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, WritableStream, WritableStreamDefaultWriter};

use crate::{
    host::{call, describe, get},
    panic::CloseOnPanic,
};

/// The maximum number of bytes that are passed to the host in one write.
const WRITE_SIZE: usize = 64 * 1024;

/// A WebTransport connection that is closed when dropped.
pub(super) struct Closing {
    connection: JsValue,
    _on_panic: CloseOnPanic,
}

impl Closing {
    pub(super) fn new(connection: JsValue) -> Self {
        Self {
            _on_panic: CloseOnPanic::new(&connection),
            connection,
        }
    }

    pub(super) fn get(&self) -> &JsValue {
        &self.connection
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        // This fails if the connection was never open.
        let _ = call(&self.connection, "close", &[]);
    }
}

/// A bidirectional WebTransport stream.
pub(super) struct ByteStream(SendWrapper<Inner>);

struct Inner {
    reader: ReadableStreamDefaultReader,
    writer: WritableStreamDefaultWriter,
    /// The read in progress.
    reading: Option<JsFuture>,
    /// The bytes that were read. The first `taken` of them were lent already.
    left: Vec<u8>,
    taken: usize,
    /// The write in progress.
    writing: Option<JsFuture>,
    /// The closing of the write side, once it has begun.
    closing: Option<JsFuture>,
    is_closed: bool,
    _connection: Closing,
}

impl ByteStream {
    /// Takes over a stream.
    ///
    /// # Errors
    ///
    /// Returns an exception if the stream is already in use.
    pub(super) fn new(connection: Closing, stream: &JsValue) -> Result<Self, JsValue> {
        let reader = get(stream, "readable");
        let writer: WritableStream = get(stream, "writable").unchecked_into();
        let writer = writer.get_writer()?;
        // A server notices a stream only when it receives bytes. A blank line is not a message.
        let first = writer.write_with_chunk(&Uint8Array::from(b"\n".as_slice()));
        Ok(Self(SendWrapper::new(Inner {
            reader: ReadableStreamDefaultReader::new(reader.unchecked_ref())?,
            writer,
            reading: None,
            left: Vec::new(),
            taken: 0,
            writing: Some(JsFuture::from(first)),
            closing: None,
            is_closed: false,
            _connection: connection,
        })))
    }
}

fn failed(exception: &JsValue) -> io::Error {
    io::Error::other(describe(exception))
}

impl Inner {
    /// Waits for the write in progress.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(writing) = &mut self.writing {
            let result = ready!(Pin::new(writing).poll(cx));
            self.writing = None;
            result.map_err(|exception| failed(&exception))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.0;
        while inner.taken == inner.left.len() {
            let reading = inner
                .reading
                .get_or_insert_with(|| JsFuture::from(inner.reader.read()));
            let result = ready!(Pin::new(reading).poll(cx));
            inner.reading = None;
            let part = result.map_err(|exception| failed(&exception))?;
            if get(&part, "done").is_truthy() {
                return Poll::Ready(Ok(()));
            }
            inner.left = Uint8Array::new(&get(&part, "value")).to_vec();
            inner.taken = 0;
        }
        let rest = inner.left.get(inner.taken..).unwrap_or_default();
        let len = rest.len().min(into.remaining());
        into.put_slice(rest.get(..len).unwrap_or_default());
        inner.taken += len;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut *self.0;
        ready!(inner.poll_written(cx))?;
        let part = bytes.get(..WRITE_SIZE).unwrap_or(bytes);
        let written = inner.writer.write_with_chunk(&Uint8Array::from(part));
        inner.writing = Some(JsFuture::from(written));
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_written(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0;
        if inner.is_closed {
            return Poll::Ready(Ok(()));
        }
        if inner.closing.is_none() {
            ready!(inner.poll_written(cx))?;
            inner.closing = Some(JsFuture::from(inner.writer.close()));
        }
        if let Some(closing) = &mut inner.closing {
            let result = ready!(Pin::new(closing).poll(cx));
            inner.is_closed = true;
            result.map_err(|exception| failed(&exception))?;
        }
        Poll::Ready(Ok(()))
    }
}
