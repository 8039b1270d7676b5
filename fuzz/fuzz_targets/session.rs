//! A complete session whose peer sends arbitrary messages.
//!
//! The session must never panic or hang, and must only send messages that are valid and allowed.
//! When it is over, nothing may be left of it.
//!
//! If the environment variable `FUZZ_SHOW` is set, the conversation is printed, which explains an
//! input.

#![no_main]

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock, Mutex, Weak},
    time::Duration,
};

use capnweb_core::{
    Connection, Error, Limits, Object, Payload, Promise, Readable, Session, SessionOptions, Stats,
    Stub, Value, Writable,
};
use capnweb_wire::{Form, Frame, scan_frame};
use futures_util::{SinkExt, StreamExt, sink, stream};
use libfuzzer_sys::fuzz_target;
use tokio::{
    runtime::Builder,
    task::yield_now,
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

static SHOW: LazyLock<bool> = LazyLock::new(|| std::env::var_os("FUZZ_SHOW").is_some());

/// Runs the conversation of an input. The first byte selects the roles, and how the rest is read.
async fn converse(input: &[u8]) {
    let mut input = Input(input);
    let mode = input.byte();
    let world = World::default();
    let mut talk = Talk::new(mode, &world);
    if mode & 4 == 0 {
        // The rest is messages, one per line.
        let text = String::from_utf8_lossy(input.0);
        for line in text.lines() {
            if talk.does(line).await {
                break;
            }
        }
    } else {
        // Messages are generated from the rest. They get further.
        while !input.0.is_empty() {
            let line = input.line();
            if talk.does(&line).await {
                break;
            }
        }
    }
    talk.end().await;
    world.is_gone().await;
}

/// The objects that were created, and the references that the peer has kept.
#[derive(Clone, Default)]
struct World {
    objects: Arc<Mutex<Vec<Weak<()>>>>,
    kept: Arc<Mutex<Vec<Payload>>>,
}

impl World {
    fn object(&self) -> Arc<()> {
        let object = Arc::new(());
        let mut objects = self.objects.lock().expect("objects");
        objects.push(Arc::downgrade(&object));
        object
    }

    fn forget(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().expect("kept"));
        drop(kept);
    }

    fn counter(&self) -> Stub {
        let object = self.object();
        let count = Mutex::new(0.0);
        Object::new()
            .sync_method("add", move |n: f64| {
                let _object = &object;
                let mut count = count.lock().expect("a count");
                *count += n;
                Ok(*count)
            })
            .property("value", 7)
            .into_stub()
    }

    fn main(&self) -> Stub {
        let [make, keep, forget, read, write, stream, sink] = [(); 7].map(|()| self.clone());
        let object = self.object();
        Object::new()
            .method("echo", async |value: Payload| Ok(value))
            .method("value", async |value: Value| Ok(value))
            .method("call", |f: Stub, value: Payload| async move {
                f.invoke((value,)).fetch::<Payload>().await
            })
            .method("pass", |f: Stub| async move { Ok(f.call("x", ())) })
            .method("part", |f: Stub| async move {
                Ok((f.get("a"), f.invoke(()).get("b")))
            })
            .method("later", |value: Payload| async move {
                yield_now().await;
                Ok(value)
            })
            .method("never", async |_: Payload| {
                std::future::pending::<()>().await;
                Ok(())
            })
            .method("watch", |stub: Stub| async move {
                stub.on_broken(|_| {}).forget();
                Ok(stub.map(|x| (x.clone(), x.get("a"))))
            })
            .method("list", async |n: u8| Ok((0..n).collect::<Vec<_>>()))
            .method("fail", async |value: Value| {
                Err::<(), _>(Error::range_error("no").with_prop("value", value))
            })
            .sync_method("counter", move || Ok(make.counter()))
            .sync_method("keep", move |value: Payload| {
                keep.kept.lock().expect("kept").push(value);
                Ok(())
            })
            .sync_method("forget", move || {
                let _object = &object;
                forget.forget();
                Ok(())
            })
            .method("read", move |mut stream: Readable<Value>| {
                let object = read.object();
                async move {
                    let _object = object;
                    let mut chunks = 0;
                    while let Some(chunk) = stream.next().await {
                        chunk?;
                        chunks += 1;
                    }
                    Ok(chunks)
                }
            })
            .method("write", move |mut to: Writable<Stub>| {
                let counter = write.counter();
                async move {
                    to.send(counter).await?;
                    to.close().await
                }
            })
            .sync_method("stream", move || Ok(stream.stream()))
            .sync_method("sink", move || Ok(sink.sink()))
            .property("object", [1, 2])
            .into_stub()
    }

    /// Returns a stream of objects that ends with another stream.
    fn stream(&self) -> Readable<Value> {
        let world = self.clone();
        let object = self.object();
        let last = Readable::from_stream(stream::iter([self.counter()]));
        let last = Payload::encode(&last).map(Value::Stream);
        let counters = stream::iter(0..3).map(move |_| {
            let _object = &object;
            Ok(Value::Stub(world.counter()))
        });
        Readable::<Value>::from_stream(counters.chain(stream::iter([last])))
    }

    /// Returns a stream that discards everything.
    fn sink(&self) -> Writable<Value> {
        Writable::from_sink(sink::unfold(self.object(), async |object, _: Value| {
            yield_now().await;
            Ok::<_, Error>(object)
        }))
    }

    /// Waits until everything has been dropped, at the latest after the handlers' grace period.
    async fn is_gone(&self) {
        for _ in 0..2000 {
            self.forget();
            let objects = self.objects.lock().expect("objects").clone();
            if objects.iter().all(|object| object.strong_count() == 0) {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("objects are held for ever");
    }
}

/// A session, and the handles of it on this side.
struct Talk {
    session: Option<Session>,
    connection: Connection,
    held: Vec<Promise<Value>>,
    heard: Heard,
    world: World,
}

const NOTHING: Stats = Stats {
    imports: 0,
    exports: 0,
};

impl Talk {
    fn new(mode: u8, world: &World) -> Self {
        let limits = Limits::default()
            .with_max_message_size(1 << 16)
            .with_max_depth(64)
            .with_max_exports(1000)
            .with_soft_calls(if mode & 8 == 0 { 100 } else { 2 })
            .with_max_calls(500)
            .with_soft_unsent_bytes(if mode & 16 == 0 { 1 << 20 } else { 1000 })
            .with_max_held_bytes(4 << 20)
            .with_max_map_instructions(10_000)
            .with_max_map_bytes(1 << 18);
        let options = SessionOptions::new()
            .with_limits(limits)
            .with_grace_period(Duration::ZERO);
        let (session, mut connection) = match mode & 3 {
            0 => Session::server(options),
            1 => Session::client(options),
            2 => Session::server_batch(options),
            _ => Session::client_batch(options),
        };
        connection.set_main(world.main());
        let mut talk = Self {
            session: Some(session),
            connection,
            held: Vec::new(),
            heard: Heard::default(),
            world: world.clone(),
        };
        if mode & 1 == 1 {
            talk.call(b'0');
            talk.call(b'2');
        }
        talk
    }

    /// Calls the peer from the application. `how` selects the kind of call.
    fn call(&mut self, how: u8) {
        let Some(session) = &self.session else {
            return;
        };
        let main = session.main();
        let last = self.held.last().cloned().unwrap_or_else(|| main.get("x"));
        self.held.push(match how {
            b'0' => main.call("a", ()),
            b'1' => main.call("b", (self.world.counter(), &last)),
            b'2' => last.call("c", (Promise::as_stub(&last),)),
            b'3' => last.get("d"),
            b'4' => last.map(|x| main.call("e", (x, &last))),
            b'6' => main.call("g", (self.world.stream(), &last)),
            b'7' => main.call("h", (self.world.sink(), self.world.stream())),
            b'5' => Promise::from_future(async move {
                yield_now().await;
                Ok(last)
            }),
            _ => main.invoke((main.call("f", ()),)),
        });
    }

    /// Handles one message of the peer or action of the application. Returns true if it ended the
    /// session.
    async fn does(&mut self, line: &str) -> bool {
        if *SHOW {
            eprintln!("peer:    {line}");
        }
        match line.as_bytes() {
            [b'!', b'd', ..] => drop(self.held.pop()),
            [b'!', b'x', ..] => drop(self.session.take()),
            [b'!', b'e', ..] => self.connection.end_of_input(),
            [b'!', b'w', ..] => {
                if let Some(promise) = self.held.pop() {
                    // It may never settle.
                    let _ = timeout(Duration::ZERO, promise.into_future()).await;
                }
            }
            [b'!', how, ..] => self.call(*how),
            // The loop below notices the end.
            _ => drop(self.connection.receive(line)),
        }
        for _ in 0..3 {
            yield_now().await;
        }
        self.heard.hear(&mut self.connection);
        self.connection.end_reason().is_some()
    }

    async fn end(mut self) {
        // Start the calls that wait for room, as a batch does after its last message.
        let _ = timeout(Duration::ZERO, self.connection.answered()).await;
        let session = self.connection.session();
        self.connection.end(Error::new("over"));
        self.heard.hear(&mut self.connection);
        if let Some(session) = &session {
            assert_eq!(session.stats(), NOTHING);
        }
        for promise in std::mem::take(&mut self.held) {
            let outcome = timeout(Duration::from_secs(5), promise.into_future()).await;
            assert!(outcome.is_ok(), "a promise never settles");
        }
        drop(self);
        if let Some(session) = session {
            assert_eq!(session.stats(), NOTHING);
        }
    }
}

/// The messages that the session has sent.
#[derive(Default)]
struct Heard {
    pushes: i64,
    exports: i64,
    answered: HashSet<i64>,
    /// The IDs of writes to streams.
    streams: HashSet<i64>,
    /// Pipes whose readable ends have not been passed to the peer.
    pipes: HashSet<i64>,
    aborted: bool,
}

impl Heard {
    fn hear(&mut self, connection: &mut Connection) {
        let mut outgoing = connection.take_outgoing();
        while let Some(message) = outgoing.pop() {
            let message = std::str::from_utf8(&message).expect("UTF-8");
            if *SHOW {
                eprintln!("session: {message}");
            }
            self.check(message);
        }
    }

    fn check(&mut self, message: &str) {
        let mut holes = Vec::new();
        let limits = capnweb_wire::Limits::default();
        let frame = scan_frame(message, &limits, &mut holes)
            .unwrap_or_else(|error| panic!("{message}: {error}"));
        assert!(!self.aborted, "{message} after an abort");
        for hole in &holes {
            match hole.form {
                Form::Import | Form::Pipeline | Form::Remap => {
                    assert!(hole.id <= self.pushes, "{message}: names what never was");
                }
                Form::Export | Form::Promise | Form::Writable => {
                    self.exports -= 1;
                    assert_eq!(hole.id, self.exports, "{message}: not a fresh ID");
                }
                Form::Readable | Form::Blob => {
                    assert!(self.pipes.remove(&hole.id), "{message}: no pipe of ours");
                }
                Form::Bytes => panic!("{message}: the scanner knows no attachments"),
            }
        }
        match frame {
            Frame::Push(_) => self.pushes += 1,
            Frame::Pull(id) => assert!(id <= self.pushes, "{message}"),
            Frame::Resolve(id, _) | Frame::Reject(id, _) => {
                assert!(id == 0 || self.answered.insert(id), "{message} again");
            }
            Frame::Release { id, count } => {
                assert!(id != 0 && id <= self.pushes && count > 0, "{message}");
                assert!(!self.streams.contains(&id), "{message}: it releases itself");
            }
            Frame::Abort(_) => self.aborted = true,
            Frame::Stream(_) => {
                self.pushes += 1;
                self.streams.insert(self.pushes);
            }
            Frame::Pipe => {
                self.pushes += 1;
                self.pipes.insert(self.pushes);
            }
        }
    }
}

/// Bytes from which messages are generated.
struct Input<'a>(&'a [u8]);

const NAMES: [&str; 21] = [
    "echo", "value", "call", "pass", "part", "later", "never", "watch", "list", "fail", "counter",
    "keep", "forget", "add", "object", "a", "toString", "read", "write", "stream", "sink",
];

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

    fn name(&mut self) -> &'static str {
        NAMES[usize::from(self.byte()) % NAMES.len()]
    }

    fn id(&mut self) -> i64 {
        match self.byte() {
            byte @ 0..=199 => i64::from(byte % 10),
            byte => -i64::from(byte % 6),
        }
    }

    fn line(&mut self) -> String {
        match self.byte() % 16 {
            0..=5 => format!(r#"["push",{}]"#, self.reference(0)),
            6 => format!(r#"["push",{}]"#, self.expression(0)),
            7 | 8 => format!(r#"["pull",{}]"#, self.id()),
            9 => format!(r#"["release",{},1]"#, self.id()),
            10 | 11 => format!(r#"["resolve",{},{}]"#, self.id(), self.expression(0)),
            12 => format!(r#"["reject",{},{}]"#, self.id(), self.expression(0)),
            13 => match self.byte() {
                0..=80 => format!(r#"["stream",{}]"#, self.reference(0)),
                byte @ 81..=180 => {
                    let method = ["write", "write", "close", "abort"][usize::from(byte % 4)];
                    let (id, args) = (self.id(), self.list(0));
                    format!(r#"["stream",["pipeline",{id},["{method}"],[{args}]]]"#)
                }
                _ => r#"["pipe"]"#.to_owned(),
            },
            14 => format!("!{}", char::from(b'0' + self.byte() % 9)),
            _ => match self.byte() {
                0..=100 => "!d".to_owned(),
                101..=200 => "!w".to_owned(),
                201..=240 => "!x".to_owned(),
                241..=250 => "!e".to_owned(),
                _ => format!(r#"["abort",{}]"#, self.expression(0)),
            },
        }
    }

    fn path(&mut self) -> String {
        let steps: Vec<_> = (0..self.byte() % 4)
            .map(|_| match self.byte() {
                0..=239 => format!("\"{}\"", self.name()),
                byte => (byte % 3).to_string(),
            })
            .collect();
        format!("[{}]", steps.join(","))
    }

    fn list(&mut self, depth: u8) -> String {
        let items: Vec<_> = (0..self.byte() % 4)
            .map(|_| self.expression(depth + 1))
            .collect();
        items.join(",")
    }

    /// Returns a call, a read or a map.
    fn reference(&mut self, depth: u8) -> String {
        let id = self.id();
        match self.byte() % 8 {
            0 => format!(r#"["pipeline",{id}]"#),
            1 => format!(r#"["pipeline",{id},{}]"#, self.path()),
            2 => format!(r#"["import",{id}]"#),
            3 => {
                let path = self.path();
                let captures: Vec<_> = (0..self.byte() % 3)
                    .map(|_| match self.byte() {
                        byte @ 0..=127 => format!(r#"["import",{}]"#, byte % 6),
                        byte => format!(r#"["export",-{}]"#, byte % 6 + 1),
                    })
                    .collect();
                let captures = captures.join(",");
                let instructions = self.list(depth);
                format!(r#"["remap",{id},{path},[{captures}],[{instructions}]]"#)
            }
            _ => {
                let name = self.name();
                format!(r#"["pipeline",{id},["{name}"],[{}]]"#, self.list(depth))
            }
        }
    }

    fn expression(&mut self, depth: u8) -> String {
        if depth > 5 {
            return "1".to_owned();
        }
        match self.byte() % 16 {
            0 => self.byte().to_string(),
            1 => r#"["undefined"]"#.to_owned(),
            2 => r#""a""#.to_owned(),
            3 => format!("[[{}]]", self.list(depth)),
            4 => {
                let (a, b) = (self.expression(depth + 1), self.expression(depth + 1));
                format!(r#"{{"a":{a},"b":{b}}}"#)
            }
            5 => {
                let a = self.expression(depth + 1);
                format!(r#"["error","Error","m",null,{{"a":{a}}}]"#)
            }
            6 | 7 => format!(r#"["export",-{}]"#, self.byte() % 6 + 1),
            8 | 9 => format!(r#"["promise",-{}]"#, self.byte() % 6 + 1),
            10 => format!(r#"["import",{}]"#, self.id()),
            11 => "null".to_owned(),
            12 => match self.byte() {
                byte @ 0..=159 => format!(r#"["readable",{}]"#, byte % 10 + 1),
                byte => format!(r#"["writable",-{}]"#, byte % 6 + 1),
            },
            _ => self.reference(depth + 1),
        }
    }
}
