//! A connection to the server that sends and receives frames in batches.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    Result,
    framing::{Frame, Framing},
    handshake,
    options::Options,
};

/// The size of one read. With more, both sides would wait for each other in turn.
const READ: usize = 8 * 1024;

/// The time for which a server may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Link {
    stream: TcpStream,
    framing: Framing,
    input: Vec<u8>,
    /// The end of the bytes in `input`.
    end: usize,
    output: Vec<u8>,
}

impl Link {
    pub(crate) fn connect(options: &Options) -> Result<Self> {
        let mut stream = TcpStream::connect_timeout(&options.at, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        if options.over == Framing::WebSocket {
            handshake::ask(&mut stream, &options.at.to_string())?;
        }
        stream.set_nonblocking(options.spin)?;
        Ok(Self {
            stream,
            framing: options.over,
            input: vec![0; 2 * READ],
            end: 0,
            output: Vec::new(),
        })
    }

    /// Returns the buffer to send next, for appending framed bytes.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends the pending frames, waits for an answer, and passes each received message to the
    /// handler along with the buffer to send next.
    pub(crate) fn exchange(
        &mut self,
        mut receive: impl FnMut(&[u8], &mut Vec<u8>) -> Result,
    ) -> Result {
        self.send()?;
        self.read()?;
        let mut start = 0;
        while let Some((frame, length)) = self.framing.read(&self.input[start..self.end])? {
            match frame {
                Frame::Text(message) => receive(message, &mut self.output)?,
                Frame::Ping(payload) => self.framing.write_pong(payload, &mut self.output),
            }
            start += length;
        }
        self.input.copy_within(start..self.end, 0);
        self.end -= start;
        Ok(())
    }

    /// Closes the connection.
    pub(crate) fn close(mut self) -> Result {
        self.framing.write_close(&mut self.output);
        self.send()
    }

    fn send(&mut self) -> Result {
        let mut unsent = &*self.output;
        while !unsent.is_empty() {
            let sent = insist(|| self.stream.write(unsent))?;
            unsent = &unsent[sent..];
        }
        self.output.clear();
        Ok(())
    }

    /// Reads what is available, waiting if there is nothing.
    fn read(&mut self) -> Result {
        if self.input.len() - self.end < READ {
            self.input.resize(self.end + READ, 0);
        }
        let room = &mut self.input[self.end..self.end + READ];
        let read = insist(|| self.stream.read(room))?;
        if read == 0 {
            return Err("the server is gone".into());
        }
        self.end += read;
        Ok(())
    }
}

/// Repeats a non-blocking attempt until it succeeds, which is how `--spin` waits.
fn insist(mut attempt: impl FnMut() -> io::Result<usize>) -> Result<usize> {
    let since = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock && since.elapsed() < PATIENCE => {}
            done => return Ok(done?),
        }
    }
}
