//! The transport over byte streams that are not sockets.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use capnweb_core::{Attachment, Container, Encoding, Limits, Received, Transport};
use capnweb_transport_ws::WebSocketTransport;
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::Bytes;

/// A stream that accepts all writes, but whose flushes are not done at once.
#[derive(Default)]
struct Reluctant {
    taken: Vec<u8>,
    asked: usize,
    flushed: bool,
}

impl AsyncWrite for Reluctant {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.taken.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.asked += 1;
        if self.asked == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_pong_is_flushed_when_that_can_be_done() {
    let (mut ours, theirs) = tokio::io::duplex(100);
    let io = tokio::io::join(theirs, Reluctant::default());
    let mut transport = WebSocketTransport::client(io, &Limits::default());
    tokio::io::AsyncWriteExt::write_all(&mut ours, &[0x89, 2, b'h', b'i'])
        .await
        .unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(transport.poll_receive(&mut cx).is_pending());
    let writer = transport.get_ref().writer();
    // The frame is masked, so it has four more bytes.
    assert!(writer.taken.len() == 8 && !writer.flushed);
    assert!(transport.poll_receive(&mut cx).is_pending());
    assert!(transport.get_ref().writer().flushed);
}

/// Sends byte strings of these lengths together with a string of length `filler`. Returns for each
/// byte string whether it keeps only its own memory alive.
fn own(lengths: &[usize], filler: usize) -> Vec<bool> {
    let mut text = br#"["push","#.to_vec();
    let mut attachments = Vec::new();
    for len in lengths {
        let bytes = Bytes::from(vec![7; *len]);
        let attachment = Attachment::write(&mut text, bytes, Container::Uint8Array);
        attachments.push(attachment.unwrap());
        text.push(b',');
    }
    text.extend(format!("\"{}\"]", "x".repeat(filler)).bytes());
    let mut packed = Vec::new();
    Encoding::MessagePack
        .encode_attached(&text, &attachments, &mut packed)
        .unwrap();
    let mut frame = vec![0x82, 127];
    frame.extend(u64::try_from(packed.len()).unwrap().to_be_bytes());
    frame.extend(packed);
    let frame: &'static [u8] = frame.leak();
    let io = tokio::io::join(frame, tokio::io::sink());
    let transport = WebSocketTransport::client(io, &Limits::default());
    let mut transport = transport.encoding(Encoding::MessagePack);
    let mut cx = Context::from_waker(Waker::noop());
    let found: Vec<Bytes> = loop {
        match transport.poll_receive(&mut cx) {
            Poll::Ready(Received::Attached(_, attachments)) => {
                break attachments.iter().map(|one| one.bytes.clone()).collect();
            }
            Poll::Ready(Received::Encoded(encoding, parts)) => {
                let (_, attachments) = encoding.decode_parts(parts, &Limits::default()).unwrap();
                break attachments.into_iter().map(|one| one.bytes).collect();
            }
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => {}
        }
    };
    drop(transport);
    assert!(found.iter().map(Bytes::len).eq(lengths.iter().copied()));
    (found.into_iter())
        .map(|bytes| {
            let len = bytes.len();
            bytes.try_into_mut().is_ok_and(|own| own.capacity() == len)
        })
        .collect()
}

#[test]
fn little_of_a_large_frame_does_not_keep_all_of_it() {
    assert_eq!(own(&[1024], 1 << 20), [true]);
    assert_eq!(own(&[100_000, 100_000, 5000], 0), [true, true, true]);
    // This one is not copied, since it is most of the message.
    assert_eq!(own(&[600_000], 400_000), [false]);
}
