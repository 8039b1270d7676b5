//! A program that records its own sessions:
//! `cargo run --example recording --features webtransport`.
//!
//! `capnweb inspect` stands between two peers over WebSocket and HTTP. Over any other transport,
//! one of the peers records, and `capnweb inspect session.jsonl` shows what was said.

use std::{
    fs::File,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use capnweb::{
    Error, OrInternal, Result, SessionOptions,
    observe::{Direction, MessageInfo, Observer, SessionInfo, SessionRole},
    webtransport::{Connect, Identity, Server},
};
use capnweb_inspect::{
    Body, Entry, Event, Follower, Header, Recording, Redactor, Side, TransportKind, Writer, report,
};

/// Writes the messages of sessions to a file, without secrets.
struct Recorder {
    started: Instant,
    file: Mutex<(Redactor, Writer<File>)>,
}

impl Recorder {
    fn create(path: &str) -> std::io::Result<Arc<Self>> {
        let redactor = Redactor::new();
        let mut header = Header::default();
        header.redacted = Some(redactor.names());
        let writer = Writer::new(File::create(path)?, &header)?;
        Ok(Arc::new(Self {
            started: Instant::now(),
            file: Mutex::new((redactor, writer)),
        }))
    }

    fn write(&self, session: &SessionInfo, event: Event) {
        let t = self.started.elapsed().as_secs_f64() * 1000.0;
        let mut entry = Entry::new(t, session.id(), event);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (redactor, writer) = &mut *file;
        redactor.redact(&mut entry);
        if let Err(error) = writer.write(&entry) {
            eprintln!("the recording is incomplete: {error}");
        }
    }
}

impl Observer for Recorder {
    fn session_opened(&self, session: &SessionInfo) {
        let transport = match session.transport() {
            "websocket" => TransportKind::WebSocket,
            "batch" => TransportKind::Batch,
            _ => TransportKind::Other,
        };
        let path = String::new();
        self.write(session, Event::Open { transport, path });
    }

    fn message(&self, session: &SessionInfo, message: &MessageInfo<'_>) {
        let is_sent = message.direction() == Direction::Outgoing;
        let from = match is_sent == (session.role() == SessionRole::Client) {
            true => Side::Client,
            false => Side::Server,
        };
        let body = Body::Text(message.text().to_owned());
        self.write(session, Event::Message { from, body });
    }

    fn session_ended(&self, session: &SessionInfo, reason: &Error) {
        let reason = reason.to_string();
        self.write(session, Event::Close { reason });
    }
}

#[capnweb::interface]
trait Api {
    async fn authenticate(&self, token: String) -> Result<UserStub>;
}

#[capnweb::interface]
trait User {
    async fn get_name(&self) -> Result<String>;
}

struct Service;

impl Api for Service {
    async fn authenticate(&self, _token: String) -> Result<UserStub> {
        Ok(UserStub::new(Ada))
    }
}

struct Ada;

impl User for Ada {
    async fn get_name(&self) -> Result<String> {
        Ok("Ada".to_owned())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let identity = Identity::self_signed(["127.0.0.1"]).or_internal()?;
    let server = Server::new(&identity).route("/api", |_| ApiStub::new(Service));
    let listener = server.bind("127.0.0.1:0").or_internal()?;
    let url = format!("https://{}/api", listener.local_addr());
    tokio::spawn(listener.serve());

    let path = std::env::args().nth(1).unwrap_or("session.jsonl".into());
    let recorder = Recorder::create(&path).or_internal()?;
    let session = Connect::new(url)
        .certificate_hashes([identity.certificate_hash()])
        .options(SessionOptions::new().with_observer(recorder))
        .session()
        .await?;
    let api: ApiStub = capnweb::StubType::from_stub(session.main());
    // This await costs a round trip, as the recording shows.
    let user = api.authenticate("a secret").await?;
    println!("{}", user.get_name().await?);
    drop((user, api));
    session.close(Error::new("that was all"));

    let recording = Recording::open(&path).or_internal()?;
    for session in Follower::of(&recording).sessions() {
        print!("{}", report(session));
    }
    Ok(())
}
