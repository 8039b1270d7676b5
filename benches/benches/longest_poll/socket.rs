//! A peer at the other end of a socket, which reads and writes as fast as it can.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use tokio::sync::oneshot;

/// The carrier of a session's messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carrier {
    /// No socket: see [`Scripted`](crate::script::Scripted).
    Script,
    /// A WebSocket whose messages consist of fragments of so many bytes.
    WebSocket { fragment: usize },
    /// Lines over TCP.
    Lines,
}

/// A peer in threads of its own.
pub(crate) struct SocketPeer {
    /// The server's end.
    pub(crate) server: Option<TcpStream>,
    /// Completes with the first bytes of the awaited outcome, or of the last message.
    pub(crate) outcome: oneshot::Receiver<String>,
    client: TcpStream,
    threads: [JoinHandle<()>; 2],
}

impl SocketPeer {
    /// Starts a peer that sends `messages` and awaits the outcome of call `id`.
    pub(crate) fn start(carrier: Carrier, messages: &[String], id: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        server.set_nonblocking(true).unwrap();
        let mut bytes = Vec::new();
        for message in messages {
            match carrier {
                Carrier::WebSocket { fragment } => frames(message, fragment, &mut bytes),
                Carrier::Script | Carrier::Lines => {
                    bytes.extend_from_slice(message.as_bytes());
                    bytes.push(b'\n');
                }
            }
        }
        let mut to_server = client.try_clone().unwrap();
        // The server may have ended the session.
        let writing = thread::spawn(move || drop(to_server.write_all(&bytes)));
        let (sender, outcome) = oneshot::channel();
        let mut from_server = client.try_clone().unwrap();
        let reading = thread::spawn(move || read(&mut from_server, id, sender));
        Self {
            server: Some(server),
            outcome,
            client,
            threads: [writing, reading],
        }
    }

    /// Disconnects.
    pub(crate) fn close(self) {
        // The server may have closed the connection.
        let _ = self.client.shutdown(std::net::Shutdown::Both);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

/// Appends a message as frames of a client, with a mask that is not zero.
fn frames(message: &str, fragment: usize, out: &mut Vec<u8>) {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let count = message.len().div_ceil(fragment);
    for (i, part) in message.as_bytes().chunks(fragment).enumerate() {
        let opcode = if i == 0 { 1 } else { 0 };
        out.push(opcode | if i + 1 == count { 0x80 } else { 0 });
        out.push(0x80 | 127);
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(&MASK);
        out.extend(
            part.iter()
                .zip(MASK.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    }
}

/// Reads until the end, and looks for the outcome of call `id`.
fn read(stream: &mut TcpStream, id: usize, sender: oneshot::Sender<String>) {
    /// More than the part of a message that matters.
    const KEEP: usize = 128;
    let outcomes = ["resolve", "reject"].map(|kind| format!("[\"{kind}\",{id},"));
    let (mut sender, mut kept) = (Some(sender), Vec::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let len = stream.read(&mut buffer).unwrap_or_default();
        kept.extend_from_slice(&buffer[..len]);
        let found = outcomes
            .iter()
            .map(String::as_bytes)
            .chain([&b"[\"abort\""[..]])
            .find_map(|begin| memchr::memmem::find(&kept, begin));
        let at = found.or((len == 0).then_some(0));
        if let Some(at) = at
            && let Some(sender) = sender.take()
        {
            let message = &kept[at..kept.len().min(at + KEEP / 2)];
            // The run may be over.
            let _ = sender.send(String::from_utf8_lossy(message).into_owned());
        }
        if len == 0 {
            return;
        }
        if found.is_none() {
            let excess = kept.len().saturating_sub(KEEP);
            kept.drain(..excess);
        }
        if sender.is_none() {
            kept.clear();
        }
    }
}
