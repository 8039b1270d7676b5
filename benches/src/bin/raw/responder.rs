//! A server that recognizes the frames of this load by a few bytes, and answers at once.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use crate::{Result, framing::Framing, handshake};

const READ: usize = 8 * 1024;

/// A thread that serves one connection.
pub(crate) struct Responder {
    pub(crate) address: SocketAddr,
    thread: JoinHandle<Result<u64>>,
}

impl Responder {
    /// Starts a responder that answers every call with `number`.
    pub(crate) fn start(over: Framing, number: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Ok(Self {
            address: listener.local_addr()?,
            thread: thread::spawn(move || respond(listener.accept()?.0, over, number)),
        })
    }

    /// Waits for the client to disconnect, and returns the number of calls.
    pub(crate) fn wait(self) -> Result<u64> {
        self.thread.join().map_err(|_| "the responder panicked")?
    }
}

fn respond(mut stream: TcpStream, over: Framing, number: &str) -> Result<u64> {
    stream.set_nodelay(true)?;
    if over == Framing::WebSocket {
        handshake::answer(&mut stream)?;
    }
    let (mut input, mut end) = (vec![0; 2 * READ], 0);
    let (mut output, mut calls) = (Vec::new(), 0);
    loop {
        let read = stream.read(&mut input[end..])?;
        if read == 0 {
            return Ok(calls);
        }
        end += read;
        let mut start = 0;
        while let Some((message, length)) = next(over, &mut input[start..end]) {
            if let Some(id) = message.strip_prefix(br#"["pull","#) {
                answer(over, &id[..id.len() - 1], number, &mut output);
                calls += 1;
            }
            start += length;
        }
        input.copy_within(start..end, 0);
        end -= start;
        stream.write_all(&output)?;
        output.clear();
    }
}

/// Returns the first message of the input and the length of its frame. The frames of this load are
/// short.
fn next(over: Framing, input: &mut [u8]) -> Option<(&[u8], usize)> {
    match over {
        Framing::Lines => {
            let end = memchr::memchr(b'\n', input)?;
            Some((&input[..end], end + 1))
        }
        Framing::WebSocket => {
            let [_, length, a, b, c, d, rest @ ..] = input else {
                return None;
            };
            let (length, mask) = (usize::from(*length & 0x7f), [*a, *b, *c, *d]);
            let payload = rest.get_mut(..length)?;
            // A `push` is recognized by its length, and need not be parsed.
            if length < 30 {
                for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
                    *byte ^= mask;
                }
            }
            Some((payload, 6 + length))
        }
    }
}

fn answer(over: Framing, id: &[u8], number: &str, out: &mut Vec<u8>) {
    let message = [br#"["resolve","#, id, b",", number.as_bytes(), b"]"];
    match over {
        Framing::Lines => {
            message.iter().for_each(|part| out.extend_from_slice(part));
            out.push(b'\n');
        }
        Framing::WebSocket => {
            let length: usize = message.iter().map(|part| part.len()).sum();
            out.extend_from_slice(&[0x81, u8::try_from(length).unwrap_or_default()]);
            message.iter().for_each(|part| out.extend_from_slice(part));
        }
    }
}
