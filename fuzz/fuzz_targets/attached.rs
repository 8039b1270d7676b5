//! A session whose peer sends MessagePack with arbitrary byte strings, and whose main object
//! belongs to a third peer.
//!
//! The session with the third peer must survive everything that is forwarded, and a message must
//! mean the same as its text. So two sessions receive the same messages, one with byte strings
//! attached and one with all of them in the text, and their answers must be equal.

#![no_main]

use std::time::Duration;

use capnweb_core::{
    Attachment, Bytes, Connection, Encoding, Error, FramesTransport, Limits, Object, Payload,
    Session, SessionOptions, Stub, Value, pair,
};
use libfuzzer_sys::fuzz_target;
use tokio::{
    io::duplex,
    runtime::Builder,
    time::{sleep, timeout},
};

fuzz_target!(|input: &[u8]| {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(converse(input));
});

/// A time after which a message can have no further effect. The clock is paused: it goes on once
/// all tasks wait, and no work runs on another thread.
const SETTLED: Duration = Duration::from_millis(1);

/// The length from which byte strings are attached.
const LONG: usize = 1024;

async fn converse(input: &[u8]) {
    let mut input = Input(input);
    let mode = input.byte();
    let mut beside = Talk::new(mode);
    let mut inside = Talk::new(mode);
    while !input.0.is_empty() {
        let packed = if mode & 2 == 0 {
            input.message()
        } else {
            input.raw()
        };
        let (mut text, mut attachments) = (String::new(), Vec::new());
        let packing = Encoding::MessagePack;
        let decoded = if mode & 4 == 0 {
            packing.decode_attached(&packed, &limits(), &mut text, &mut attachments)
        } else {
            let packed = Bytes::from(packed);
            packing.decode_owned(&packed, &limits(), &mut text, &mut attachments)
        };
        if decoded.is_err() {
            continue;
        }
        let mut whole = Vec::new();
        Attachment::inline(text.as_bytes(), &attachments, &mut whole);
        let whole = String::from_utf8(whole).expect("UTF-8");
        let one = beside.connection.receive_attached(&text, &attachments);
        let other = inside.connection.receive(&whole);
        let message = |result: Result<(), Error>| result.map_err(|error| error.to_string());
        let (one, other) = (message(one), message(other));
        assert_eq!(one.is_ok(), other.is_ok(), "{one:?} {other:?} {whole}");
        sleep(SETTLED).await;
    }
    let (one, other) = (beside.end().await, inside.end().await);
    assert_eq!(one, other);
}

fn limits() -> Limits {
    Limits::default()
        .with_max_message_size(1 << 16)
        .with_max_depth(64)
        .with_max_exports(1000)
        .with_max_calls(500)
        .with_max_held_bytes(4 << 20)
        .with_max_map_instructions(1000)
}

/// A session with the peer, and the session with the third peer behind it.
struct Talk {
    connection: Connection,
    shared: Session,
    api: Stub,
}

impl Talk {
    fn new(mode: u8) -> Self {
        // With busy polling, the output would depend on the clock.
        let options = || SessionOptions::new().with_busy_poll(Duration::ZERO);
        let (_, mut server) = Session::server(options());
        server.set_main(service());
        let (shared, client) = Session::client(options());
        let api = shared.main();
        if mode & 1 == 0 {
            let (left, right) = pair();
            tokio::spawn(server.drive(left));
            tokio::spawn(client.drive(right));
        } else {
            let (left, right) = duplex(1 << 16);
            let encoding = Encoding::MessagePack;
            let limits = Limits::default();
            tokio::spawn(server.drive(FramesTransport::new(left, encoding, &limits)));
            tokio::spawn(client.drive(FramesTransport::new(right, encoding, &limits)));
        }
        let options = SessionOptions::new()
            .with_limits(limits())
            .with_grace_period(Duration::ZERO);
        let (_, mut connection) = Session::server(options);
        connection.set_main(api.clone());
        Self {
            connection,
            shared,
            api,
        }
    }

    /// Ends both sessions, and returns the sent messages, sorted: the order of answers depends on
    /// timing.
    async fn end(mut self) -> Vec<String> {
        // A promise of the peer's may never settle.
        let _ = timeout(SETTLED, self.connection.answered()).await;
        let mut outgoing = self.connection.take_outgoing();
        let mut said = Vec::new();
        while let Some(message) = outgoing.pop() {
            let mut packed = Vec::new();
            Encoding::MessagePack
                .encode(&message, &mut packed)
                .expect("a message that can be packed");
            let message = String::from_utf8(message.to_vec()).expect("UTF-8");
            // The reason quotes the message, which contains the bytes or does not.
            let is_abort = message.starts_with("[\"abort\"");
            said.push(if is_abort { "abort".into() } else { message });
        }
        said.sort_unstable();
        self.connection.end(Error::new("over"));
        drop(self.connection);
        // Once this call is answered, the messages about the session's end have been sent too.
        let alive = timeout(
            Duration::from_secs(5),
            self.api.call("echo", (1,)).fetch::<u32>(),
        );
        assert_eq!(alive.await.expect("an answer").expect("a number"), 1);
        assert!(self.shared.end_reason().is_none());
        said
    }
}

fn service() -> Stub {
    Object::new()
        .sync_method("echo", |value: Payload| Ok(value))
        .sync_method("value", |value: Value| Ok(value))
        .sync_method("bytes", |bytes: Bytes| Ok(bytes))
        .sync_method("two", |a: Payload, b: Payload| Ok((b, a)))
        .sync_method("fail", |value: Value| {
            Err::<(), _>(Error::range_error("no").with_prop("value", value))
        })
        .property("a", [1, 2])
        .into_stub()
}

/// Bytes from which packed messages are generated.
struct Input<'a>(&'a [u8]);

const NAMES: [&str; 9] = [
    "echo", "value", "bytes", "two", "fail", "a", "stack", "body", "remap",
];

const CONTAINERS: [&str; 5] = ["ArrayBuffer", "DataView", "Float64Array", "Int16Array", "?"];

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// Returns bytes that are already packed.
    fn raw(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte()) << 8 | usize::from(self.byte());
        let (message, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        message.to_vec()
    }

    fn message(&mut self) -> Vec<u8> {
        let mut out = Pack(Vec::new());
        let kind = self.byte();
        let trailing = usize::from(kind >> 4).saturating_sub(12);
        match kind % 8 {
            0..=3 => {
                out.form("push", 1 + trailing);
                self.call(&mut out, 0);
            }
            4 => {
                out.form("push", 1 + trailing);
                self.expression(&mut out, 0);
            }
            5 => {
                out.form("stream", 1 + trailing);
                self.call(&mut out, 0);
            }
            6 => {
                out.form("resolve", 2 + trailing);
                out.integer(-i64::from(self.byte() % 4));
                self.expression(&mut out, 0);
            }
            _ => {
                out.form("pull", 1 + trailing);
                out.integer(i64::from(self.byte() % 8));
            }
        }
        for _ in 0..trailing {
            self.anything(&mut out, 0);
        }
        out.0
    }

    fn name(&mut self) -> &'static str {
        NAMES[usize::from(self.byte()) % NAMES.len()]
    }

    fn call(&mut self, out: &mut Pack, depth: u8) {
        match self.byte() % 8 {
            0 => {
                out.form("remap", 4);
                out.integer(0);
                self.list(out, depth, Self::anything);
                out.array(1);
                out.form("import", 1);
                out.integer(0);
                self.list(out, depth, Self::expression);
            }
            1 => {
                out.form("pipeline", 2);
                out.integer(i64::from(self.byte() % 4));
                self.list(out, depth, Self::anything);
            }
            2 => {
                // Arguments that look like a special form.
                out.form("pipeline", 3);
                out.integer(0);
                out.array(1);
                out.text(self.name());
                self.bytes(out, depth);
            }
            _ => {
                out.form("pipeline", 3);
                out.integer(i64::from(self.byte() % 3));
                out.array(1);
                out.text(self.name());
                self.list(out, depth, Self::expression);
            }
        }
    }

    fn list(&mut self, out: &mut Pack, depth: u8, item: fn(&mut Self, &mut Pack, u8)) {
        let len = self.byte() % 4;
        out.array(len.into());
        for _ in 0..len {
            item(self, out, depth + 1);
        }
    }

    /// Writes a form of bytes, long or short, possibly with extra elements.
    fn bytes(&mut self, out: &mut Pack, depth: u8) {
        let how = self.byte();
        let more = match how % 8 {
            0..=4 => 0,
            5 | 6 => 1,
            _ => 2,
        };
        out.form("bytes", 1 + more);
        let len = match how >> 3 & 3 {
            0 => 8,
            1 => LONG - 1,
            2 => LONG,
            _ => LONG + usize::from(how),
        };
        out.bytes(len, how);
        if more > 0 {
            match self.byte() {
                0..=9 => self.anything(out, depth + 1),
                byte => out.text(CONTAINERS[usize::from(byte) % CONTAINERS.len()]),
            }
        }
        if more > 1 {
            self.anything(out, depth + 1);
        }
    }

    /// Writes something that is usually not an expression.
    fn anything(&mut self, out: &mut Pack, depth: u8) {
        if depth > 5 {
            return out.integer(1);
        }
        match self.byte() % 6 {
            0 => self.bytes(out, depth),
            1 => self.list(out, depth, Self::anything),
            2 => out.text(self.name()),
            3 => {
                out.map(1);
                out.text(self.name());
                self.anything(out, depth + 1);
            }
            4 => out.integer(self.byte().into()),
            _ => self.expression(out, depth),
        }
    }

    fn expression(&mut self, out: &mut Pack, depth: u8) {
        if depth > 5 {
            return out.integer(1);
        }
        match self.byte() % 16 {
            0 => out.integer(self.byte().into()),
            1..=5 => self.bytes(out, depth),
            6 => {
                out.array(1);
                self.list(out, depth, Self::expression);
            }
            7 => {
                out.array(1);
                self.bytes(out, depth);
            }
            8 => {
                out.map(2);
                for _ in 0..2 {
                    out.text(self.name());
                    self.expression(out, depth + 1);
                }
            }
            9 => {
                out.form("error", 5);
                out.text("Error");
                out.text("m");
                self.anything(out, depth + 1);
                out.map(1);
                out.text(self.name());
                self.expression(out, depth + 1);
                self.anything(out, depth + 1);
            }
            10 => {
                let form = ["export", "promise", "date", "nan"][usize::from(self.byte() % 4)];
                out.form(form, 2);
                out.integer(-i64::from(self.byte() % 3 + 1));
                self.anything(out, depth + 1);
            }
            11 => {
                out.form("request", 2);
                out.text("a:b");
                out.map(1);
                out.text(self.name());
                self.bytes(out, depth + 1);
            }
            12 => {
                out.form("response", 2);
                self.bytes(out, depth + 1);
                out.map(1);
                out.text(self.name());
                self.anything(out, depth + 1);
            }
            13 => out.text(self.name()),
            _ => self.call(out, depth + 1),
        }
    }
}

/// A writer of the part of MessagePack that corresponds to JSON, and of bytes.
struct Pack(Vec<u8>);

impl Pack {
    fn array(&mut self, len: usize) {
        self.0.push(0x90 | len as u8);
    }

    fn map(&mut self, len: usize) {
        self.0.push(0x80 | len as u8);
    }

    /// Writes the start of a form with `len` elements besides its name.
    fn form(&mut self, name: &str, len: usize) {
        self.array(1 + len);
        self.text(name);
    }

    fn text(&mut self, text: &str) {
        self.0.push(0xa0 | text.len() as u8);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn integer(&mut self, number: i64) {
        self.0.push(0xd3);
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn bytes(&mut self, len: usize, byte: u8) {
        self.0.push(0xc6);
        self.0.extend_from_slice(&(len as u32).to_be_bytes());
        self.0.resize(self.0.len() + len, byte);
    }
}
