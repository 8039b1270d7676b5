//! The tools of an attacker: a minimal WebSocket and HTTP, without this library.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The time limit for any operation on a socket.
const PATIENCE: Duration = Duration::from_secs(60);

/// A WebSocket.
pub(crate) struct Socket {
    stream: TcpStream,
    /// Bytes that have been read and not used.
    read: Vec<u8>,
}

impl Socket {
    pub(crate) fn open(server: SocketAddr) -> io::Result<Self> {
        let mut stream = connect(server)?;
        stream.write_all(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
              sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )?;
        let mut socket = Self {
            stream,
            read: Vec::new(),
        };
        let head = loop {
            if let Some(end) = socket.read.windows(4).position(|end| end == b"\r\n\r\n") {
                break socket.read.drain(..end + 4).collect::<Vec<u8>>();
            }
            socket.fill()?;
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            let head = String::from_utf8_lossy(&head).into_owned();
            return Err(io::Error::other(format!("no WebSocket: {head}")));
        }
        Ok(socket)
    }

    /// Sends a message as a frame.
    pub(crate) fn send(&mut self, message: &str) -> io::Result<()> {
        let mut frame = header(message.len());
        frame.extend_from_slice(message.as_bytes());
        self.stream.write_all(&frame)
    }

    /// Sends the header of a frame of `len` bytes, and `sent` bytes of its payload.
    pub(crate) fn send_part(&mut self, len: usize, sent: usize) -> io::Result<()> {
        self.stream.write_all(&header(len))?;
        write_zeros(&mut self.stream, sent)
    }

    /// Waits for the next message. The end of the connection is an error.
    pub(crate) fn receive(&mut self) -> io::Result<String> {
        loop {
            if let Some((opcode, payload)) = self.frame() {
                match opcode {
                    1 => return Ok(String::from_utf8_lossy(&payload).into_owned()),
                    8 => {
                        let reason = payload.get(2..).unwrap_or_default();
                        let reason = String::from_utf8_lossy(reason).into_owned();
                        return Err(io::Error::other(format!("closed: {reason}")));
                    }
                    9 => self.stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0])?,
                    _ => {}
                }
            } else {
                self.fill()?;
            }
        }
    }

    /// Waits for a message that starts with `begin`, skipping others.
    pub(crate) fn receive_that(&mut self, begin: &str) -> io::Result<String> {
        loop {
            let message = self.receive()?;
            if message.starts_with(begin) {
                return Ok(message);
            }
        }
    }

    /// Reads until the connection ends or the time is up.
    pub(crate) fn read_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(left) = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            let _ = self.stream.set_read_timeout(Some(left));
            self.read.clear();
            if self.fill().is_err() {
                break;
            }
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut part = [0; 1 << 16];
        match self.stream.read(&mut part)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            len => {
                self.read
                    .extend_from_slice(part.get(..len).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// Takes a complete frame out of the bytes that have been read.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (opcode, short) = (self.read.first()? & 0x0f, self.read.get(1)? & 0x7f);
        let (start, len) = match short {
            126 => {
                let len = self.read.get(2..4)?.try_into().ok()?;
                (4, usize::from(u16::from_be_bytes(len)))
            }
            127 => {
                let len = self.read.get(2..10)?.try_into().ok()?;
                (10, usize::try_from(u64::from_be_bytes(len)).ok()?)
            }
            short => (2, usize::from(short)),
        };
        let payload = self.read.get(start..start + len)?.to_vec();
        self.read.drain(..start + len);
        Some((opcode, payload))
    }
}

/// Returns the header of a client's text frame. Its mask is zero.
fn header(len: usize) -> Vec<u8> {
    let mut header = vec![0x81];
    if let Ok(short @ 0..126) = u8::try_from(len) {
        header.push(0x80 | short);
    } else if let Ok(len) = u16::try_from(len) {
        header.push(0x80 | 126);
        header.extend_from_slice(&len.to_be_bytes());
    } else {
        header.push(0x80 | 127);
        header.extend_from_slice(&u64::try_from(len).unwrap_or(u64::MAX).to_be_bytes());
    }
    header.extend_from_slice(&[0; 4]);
    header
}

pub(crate) fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends a batch of which only a part of the body is sent. The answer is not read.
pub(crate) fn post(server: SocketAddr, len: usize, part: &[u8]) -> io::Result<TcpStream> {
    let mut stream = connect(server)?;
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(part)?;
    Ok(stream)
}

/// Writes `len` zeros. Returns an error if the server ends the connection.
pub(crate) fn write_zeros(stream: &mut TcpStream, mut len: usize) -> io::Result<()> {
    let zeros = [b'0'; 1 << 16];
    while len > 0 {
        let part = zeros.get(..len).unwrap_or(&zeros);
        stream.write_all(part)?;
        len -= part.len();
    }
    Ok(())
}
