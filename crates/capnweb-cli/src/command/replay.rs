//! `capnweb replay`.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use capnweb_inspect::{Body, Event, Follower, Recording, Session, Side};
use capnweb_wire::{Expr, Limits, Message, message_pack};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, client::IntoClientRequest},
};

use super::inspect::parse_header;
use crate::{
    arguments::Replay,
    connect::Trust,
    failure::{Code, Failure},
    inspect::{
        compare::{Comparison, Ids},
        upstream::{Io, Upstream},
    },
    output::{self, human::harmless},
    stream::output_failure,
};

/// The largest number of differences that are printed.
const MAX_PRINTED: usize = 50;

pub(super) async fn run(replay: &Replay) -> Result<(), Failure> {
    let path = replay.recording.display();
    let recording = Recording::open(&replay.recording)
        .map_err(|error| Failure::usage(format!("{path}: {error}")))?;
    let trust = match (&replay.cacert, replay.insecure) {
        (Some(path), _) => Trust::from_pem(path)?,
        (None, true) => Trust::Anything,
        (None, false) => Trust::Platform,
    };
    let upstream = Upstream::parse(&replay.to, &trust, replay.timeout.0)?;
    let follower = Follower::of(&recording);
    let sessions: Vec<_> = follower
        .sessions()
        .filter(|session| replay.session.is_none_or(|id| id == session.id()))
        .collect();
    if sessions.is_empty() {
        return Err(Failure::usage(format!("{path}: there is no such session")));
    }
    if recording.header.redacted.is_some() && recording.entries.iter().any(is_redacted) {
        eprintln!(
            "capnweb replay: the recording is redacted, so `[redacted]` is sent in place of secrets; record with --no-redact \
             if the server needs them"
        );
    }
    let mut report = Report::default();
    for session in sessions {
        let mut play = Play {
            replay,
            session,
            ids: Ids::default(),
            live: HashMap::new(),
            pushes: 0,
            recorded_pushes: 0,
            report: &mut report,
        };
        let steps = steps(&recording, session.id())?;
        match replay.to.starts_with("http") {
            true => play.batch(&upstream, &steps).await?,
            false => play.websocket(&upstream, &steps).await?,
        }
    }
    report.finish()
}

fn is_redacted(entry: &capnweb_inspect::Entry) -> bool {
    let Event::Message {
        from: Side::Client,
        body,
    } = &entry.event
    else {
        return false;
    };
    body.text().is_some_and(|text| text.contains("[redacted]"))
}

/// A message of the recording.
struct Step {
    from: Side,
    body: Body,
    message: Message,
}

fn steps(recording: &Recording, session: u64) -> Result<Vec<Step>, Failure> {
    let mut steps = Vec::new();
    for entry in recording
        .entries
        .iter()
        .filter(|entry| entry.session == session)
    {
        let Event::Message { from, body } = &entry.event else {
            continue;
        };
        match body.text().map(str::parse::<Message>) {
            Some(Ok(message)) if is_answer_to_close(*from, &message) => {}
            Some(Ok(message)) => steps.push(Step {
                from: *from,
                body: body.clone(),
                message,
            }),
            // What a server sent is compared only as far as it can be read.
            _ if *from == Side::Server => {}
            _ => {
                return Err(Failure::usage(format!(
                    "session {session}: the client sent what is no message, which cannot be sent again"
                )));
            }
        }
    }
    Ok(steps)
}

/// Returns whether a server only confirms that the client closed its WebSocket, as the reference
/// does in workerd. Replaying closes the socket at the end, after all answers are compared.
fn is_answer_to_close(from: Side, message: &Message) -> bool {
    match message {
        Message::Abort(Expr::Error(error)) if from == Side::Server => error
            .message
            .to_str()
            .starts_with("Peer closed WebSocket: "),
        _ => false,
    }
}

/// The findings of a replay.
#[derive(Debug, Default)]
struct Report {
    compared: usize,
    differences: Vec<String>,
}

impl Report {
    fn finish(self) -> Result<(), Failure> {
        let Self {
            compared,
            differences,
        } = self;
        let mut out = String::new();
        for difference in differences.iter().take(MAX_PRINTED) {
            out.push_str(&harmless(difference));
            out.push('\n');
        }
        if differences.len() > MAX_PRINTED {
            out.push_str(&format!("… and {} more\n", differences.len() - MAX_PRINTED));
        }
        if differences.is_empty() {
            out.push_str(&match compared {
                1 => "1 answer is as recorded\n".to_owned(),
                _ => format!("{compared} answers are as recorded\n"),
            });
        }
        output::write_out(out.as_bytes()).map_err(|error| output_failure(&error, None))?;
        match differences.len() {
            0 => Ok(()),
            1 => Err(Failure::new(Code::Peer, "1 difference")),
            count => Err(Failure::new(Code::Peer, format!("{count} differences"))),
        }
    }
}

/// A message of the server that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Answer(i64),
    /// The call of the client with this number.
    Push(usize),
    Abort,
}

/// One session that is sent again.
struct Play<'a> {
    replay: &'a Replay,
    session: &'a Session,
    ids: Ids,
    /// The messages that the server has sent this time.
    live: HashMap<Key, Message>,
    pushes: usize,
    recorded_pushes: usize,
    report: &'a mut Report,
}

impl Play<'_> {
    /// Takes in what the server says.
    fn take(&mut self, text: &str) {
        let key_message = match text.parse::<Message>() {
            Ok(message @ (Message::Resolve(id, _) | Message::Reject(id, _))) => {
                (Key::Answer(id), message)
            }
            Ok(message @ (Message::Push(_) | Message::Stream(_) | Message::Pipe)) => {
                self.pushes += 1;
                (Key::Push(self.pushes), message)
            }
            Ok(message @ Message::Abort(_)) => (Key::Abort, message),
            Ok(_) => return,
            Err(error) => {
                self.report
                    .differences
                    .push(format!("the server sent what is no message: {error}"));
                return;
            }
        };
        self.live.insert(key_message.0, key_message.1);
    }

    /// Returns what a message of the recording corresponds to. `None` if it needs no counterpart.
    fn key(&mut self, message: &Message) -> Option<Key> {
        match message {
            Message::Resolve(id, _) | Message::Reject(id, _) => self.ids.now(*id).map(Key::Answer),
            Message::Push(_) | Message::Stream(_) | Message::Pipe => {
                self.recorded_pushes += 1;
                Some(Key::Push(self.recorded_pushes))
            }
            Message::Abort(_) => Some(Key::Abort),
            _ => None,
        }
    }

    /// Compares a message of the recording with its counterpart.
    fn compare(&mut self, recorded: &Message, now: &Message) {
        self.report.compared += 1;
        let label = self.label(recorded);
        let mut comparison = Comparison {
            ids: &mut self.ids,
            ignored: &self.replay.ignore,
            differences: Vec::new(),
        };
        let (recorded, now) = (parts(recorded), parts(now));
        if recorded.0 != now.0 {
            comparison.differences.push(format!(
                "recorded {}{}, now {}{}",
                recorded.0,
                shown(recorded.1),
                now.0,
                shown(now.1)
            ));
        } else {
            comparison.compare(recorded.1, now.1, "");
        }
        let differences = comparison.differences;
        self.report.differences.extend(
            differences
                .into_iter()
                .map(|difference| format!("{label}: {difference}")),
        );
    }

    fn missing(&mut self, recorded: &Message, why: &str) {
        let label = self.label(recorded);
        self.report.differences.push(format!("{label}: {why}"));
    }

    fn label(&self, message: &Message) -> String {
        let session = self.session.id();
        let call = match message {
            Message::Resolve(id, _) | Message::Reject(id, _) => self
                .session
                .calls()
                .find(|call| call.caller == Side::Client && call.id == *id),
            _ => None,
        };
        match (call, message) {
            (Some(call), _) => format!("session {session}, call {}, {}", call.number, call.label()),
            (None, Message::Resolve(id, _) | Message::Reject(id, _)) => {
                format!("session {session}, promise {id}")
            }
            (None, Message::Abort(_)) => format!("session {session}, the end"),
            (None, _) => format!("session {session}, a call of the client"),
        }
    }

    /// Returns a message of the client, with the server's IDs of now.
    fn outgoing(&self, step: &Step) -> Result<String, Failure> {
        let mut message = step.message.clone();
        if let Err(id) = self.ids.translate(&mut message) {
            return Err(Failure::new(
                Code::Peer,
                format!(
                    "session {}: the server has not sent what it called {id} in the recording",
                    self.session.id()
                ),
            ));
        }
        match message == step.message {
            true => Ok(step.body.text().unwrap_or_default().to_owned()),
            false => Ok(message.to_string()),
        }
    }

    async fn batch(&mut self, upstream: &Upstream, steps: &[Step]) -> Result<(), Failure> {
        let mut lines = Vec::new();
        for step in steps.iter().filter(|step| step.from == Side::Client) {
            // The end of a batch releases everything.
            if matches!(step.message, Message::Release { .. }) {
                continue;
            }
            lines.push(self.outgoing(step).map_err(|_| {
                Failure::usage(format!(
                    "session {} calls what the server sent, which takes a session",
                    self.session.id()
                ))
                .help("replay it to ws:// or wss://")
            })?);
        }
        let answer = post(upstream, self.replay, lines.join("\n")).await?;
        for line in capnweb_inspect::lines(&answer) {
            self.take(line);
        }
        for step in steps.iter().filter(|step| step.from == Side::Server) {
            let Some(key) = self.key(&step.message) else {
                continue;
            };
            match self.live.remove(&key) {
                Some(now) => self.compare(&step.message, &now),
                None => self.missing(&step.message, "no answer"),
            }
        }
        Ok(())
    }

    async fn websocket(&mut self, upstream: &Upstream, steps: &[Step]) -> Result<(), Failure> {
        let mut socket = connect(upstream, self.replay).await?;
        for step in steps {
            if step.from == Side::Client {
                let text = self.outgoing(step)?;
                let message = match &step.body {
                    Body::MessagePack(_) => {
                        let mut packed = Vec::new();
                        message_pack::from_json(&text, &mut packed)
                            .map_err(|error| Failure::usage(error.to_string()))?;
                        tungstenite::Message::binary(packed)
                    }
                    Body::BinaryText(_) => tungstenite::Message::binary(text.into_bytes()),
                    _ => tungstenite::Message::text(text),
                };
                if socket.send(message).await.is_err() {
                    self.missing(&step.message, "the connection was lost");
                    return Ok(());
                }
                continue;
            }
            let Some(key) = self.key(&step.message) else {
                continue;
            };
            match self.wait(&mut socket, key).await {
                Ok(now) => self.compare(&step.message, &now),
                Err(why) => {
                    self.missing(&step.message, &why);
                    return Ok(());
                }
            }
        }
        // All there was to compare is compared.
        let _ = socket.close(None).await;
        Ok(())
    }

    /// Waits until the server has said something.
    async fn wait(
        &mut self,
        socket: &mut WebSocketStream<Box<dyn Io>>,
        key: Key,
    ) -> Result<Message, String> {
        let limit = self.replay.timeout.0.unwrap_or(Duration::MAX);
        loop {
            if let Some(message) = self.live.remove(&key) {
                return Ok(message);
            }
            let next = tokio::time::timeout(limit, socket.next()).await;
            match next.map_err(|_| format!("no answer within {limit:?}"))? {
                Some(Ok(tungstenite::Message::Text(text))) => self.take(text.as_str()),
                Some(Ok(tungstenite::Message::Binary(bytes))) => {
                    for body in Body::of_binary(&bytes) {
                        self.take(body.text().unwrap_or_default());
                    }
                }
                Some(Ok(tungstenite::Message::Close(_))) | None => {
                    return Err("the server ended the session".to_owned());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
            }
        }
    }
}

/// Returns the kind of a message, and its expression.
fn parts(message: &Message) -> (&'static str, &Expr) {
    match message {
        Message::Resolve(_, expr) => ("the result", expr),
        Message::Reject(_, expr) => ("the error", expr),
        Message::Push(expr) => ("the call", expr),
        Message::Stream(expr) => ("the chunk", expr),
        Message::Abort(expr) => ("the abort", expr),
        _ => ("a pipe", &Expr::Undefined),
    }
}

fn shown(expr: &Expr) -> String {
    let text: String = expr.to_string().chars().take(80).collect();
    format!(" {text}")
}

async fn connect(
    upstream: &Upstream,
    replay: &Replay,
) -> Result<WebSocketStream<Box<dyn Io>>, Failure> {
    let failed = |why: String| Failure::new(Code::Connect, format!("--to {}: {why}", replay.to));
    let mut request = replay
        .to
        .as_str()
        .into_client_request()
        .map_err(|error| failed(error.to_string()))?;
    for text in &replay.headers {
        let (name, value) = parse_header(text)?;
        request.headers_mut().insert(name, value);
    }
    let stream = upstream
        .connect()
        .await
        .map_err(|error| failed(error.to_string()))?;
    let limits = Limits::default().max_message_bytes();
    let config = tungstenite::protocol::WebSocketConfig::default()
        .max_message_size(Some(limits))
        .max_frame_size(Some(limits));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(failed(format!(
            "the server answered with {}",
            response.status()
        ))
        .help("no WebSocket is served there: check the path, and what -H sends")),
        Err(error) => Err(failed(error.to_string())),
    }
}

async fn post(upstream: &Upstream, replay: &Replay, body: String) -> Result<String, Failure> {
    let failed = |why: String| Failure::new(Code::Connect, format!("--to {}: {why}", replay.to));
    let mut request = Request::post(upstream.path.as_str())
        .header(header::HOST, upstream.authority.as_str())
        .header(header::CONTENT_TYPE, "text/plain;charset=UTF-8");
    for text in &replay.headers {
        let (name, value) = parse_header(text)?;
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| failed(error.to_string()))?;
    let exchange = async {
        let stream = upstream
            .connect()
            .await
            .map_err(|error| failed(error.to_string()))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| failed(error.to_string()))?;
        tokio::spawn(connection);
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(failed(format!("the server answered with {status}")));
        }
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| failed(error.to_string()))?;
        String::from_utf8(body.to_bytes().into())
            .map_err(|_| failed("the answer is no text".to_owned()))
    };
    super::within(replay.timeout.0, exchange).await
}
