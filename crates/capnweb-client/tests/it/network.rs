//! A simulated network: servers that accept, refuse, fall silent and are cut off.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use capnweb_client::{Attempt, Connecting, Connector};
use capnweb_core::{
    ConnectFailure, EndCause, Error, LinesTransport, Outgoing, Progress, Received, Session,
    SessionEnd, SessionOptions, Stub, Transport,
};
use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    sync::Notify,
    time::Instant,
};

/// A server's answer to an attempt.
#[derive(Clone)]
pub(crate) enum Reply {
    Accept,
    Fail(ConnectFailure),
    /// The server never answers.
    Hang,
}

type Main = dyn Fn(&Session) -> Stub + Send + Sync;

/// The servers by URL.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    servers: HashMap<String, Server>,
    attempts: Vec<Seen>,
    lines: Vec<Line>,
    /// The number of bytes after which each new connection is cut.
    cuts: VecDeque<Option<usize>>,
}

struct Server {
    main: Arc<Main>,
    /// The answers to the next attempts, and the answer to all others.
    next: VecDeque<Reply>,
    then: Reply,
}

/// An attempt, as a server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) url: String,
    pub(crate) server: Session,
    control: Arc<Control>,
}

#[derive(Default)]
struct Control {
    closed: Mutex<Option<Error>>,
    waker: AtomicWaker,
    muted: AtomicBool,
    killed: Notify,
    is_dead: AtomicBool,
    /// The number of bytes that may still pass, in both directions together.
    budget: AtomicUsize,
    to_server: Mutex<Vec<u8>>,
    to_client: Mutex<Vec<u8>>,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    /// Adds a server whose main objects are made by `main`.
    pub(crate) fn serve(&self, url: &str, main: impl Fn(&Session) -> Stub + Send + Sync + 'static) {
        let server = Server {
            main: Arc::new(main),
            next: VecDeque::new(),
            then: Reply::Accept,
        };
        self.inside().servers.insert(url.to_owned(), server);
    }

    /// Sets the server's answers to the next attempts.
    pub(crate) fn next(&self, url: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut inside = self.inside();
        let server = inside.servers.get_mut(url).unwrap();
        server.next.extend(replies);
    }

    /// Sets the server's answer to all attempts after those.
    pub(crate) fn then(&self, url: &str, reply: Reply) {
        self.inside().servers.get_mut(url).unwrap().then = reply;
    }

    /// Cuts the next connection after `bytes` bytes, in both directions together.
    pub(crate) fn cut_next(&self, bytes: Option<usize>) {
        self.inside().cuts.push_back(bytes);
    }

    /// Returns all attempts so far.
    pub(crate) fn attempts(&self) -> Vec<Seen> {
        self.inside().attempts.clone()
    }

    /// Returns the URLs of all attempts so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        let attempts = self.attempts();
        attempts.into_iter().map(|seen| seen.url).collect()
    }

    /// Returns all connections so far.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.inside().lines.clone()
    }

    /// Returns the latest connection.
    pub(crate) fn line(&self) -> Line {
        self.inside().lines.last().unwrap().clone()
    }

    fn reply(&self, attempt: &Attempt) -> Option<(Reply, Arc<Main>)> {
        let mut inside = self.inside();
        let headers = attempt.headers();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let seen = Seen {
            at: Instant::now(),
            url: attempt.url().to_owned(),
            headers: headers.collect(),
        };
        inside.attempts.push(seen);
        let server = inside.servers.get_mut(attempt.url())?;
        let reply = server.next.pop_front();
        Some((
            reply.unwrap_or_else(|| server.then.clone()),
            server.main.clone(),
        ))
    }

    fn accept(&self, attempt: &Attempt, main: &Main) -> Session {
        let cut = self.inside().cuts.pop_front().flatten();
        let control = Arc::new(Control {
            budget: AtomicUsize::new(cut.unwrap_or(usize::MAX)),
            ..Control::default()
        });
        let (client_end, near) = tokio::io::duplex(1 << 16);
        let (far, server_end) = tokio::io::duplex(1 << 16);
        relay(near, far, &control);

        let options = SessionOptions::new().without_keep_alive();
        let (server, mut connection) = Session::server(options);
        connection.set_main(main(&server));
        let transport = LinesTransport::new(server_end, server.options().limits());
        tokio::spawn(connection.drive(transport));

        let (session, mut connection) = Session::client(attempt.options().clone());
        if let Some(main) = attempt.main() {
            connection.set_main(main.clone());
        }
        let transport = Coded {
            lines: LinesTransport::new(client_end, session.options().limits()),
            control: control.clone(),
        };
        tokio::spawn(connection.drive(transport));
        self.inside().lines.push(Line {
            url: attempt.url().to_owned(),
            server,
            control,
        });
        session
    }

    async fn open(self, attempt: Attempt) -> Result<Session, Error> {
        let failed = |failure: ConnectFailure| {
            Err(Error::disconnected(format!("not connected: {failure}"))
                .with_connect_failure(failure))
        };
        match self.reply(&attempt) {
            None => failed(ConnectFailure::Dns),
            Some((Reply::Fail(failure), _)) => failed(failure),
            Some((Reply::Hang, _)) => std::future::pending().await,
            Some((Reply::Accept, main)) => Ok(self.accept(&attempt, &*main)),
        }
    }
}

impl Connector for Network {
    fn connect(&self, attempt: Attempt) -> Connecting<'_> {
        Box::pin(self.clone().open(attempt))
    }
}

impl Line {
    /// Cuts the connection at both ends without closing it.
    pub(crate) fn cut(&self) {
        self.control.kill();
    }

    /// Makes the client receive a close frame with this code.
    pub(crate) fn close(&self, code: u16) {
        let end = SessionEnd::new(EndCause::Peer).with_close_code(code);
        let error = Error::disconnected(format!("closed with {code}")).with_session_end(end);
        self.end(error);
    }

    /// Makes the client's connection end with this error.
    pub(crate) fn end(&self, error: Error) {
        *self.control.closed.lock().unwrap() = Some(error);
        self.control.waker.wake();
    }

    /// Discards everything from now on, and closes nothing.
    pub(crate) fn mute(&self) {
        self.control.muted.store(true, Ordering::SeqCst);
    }

    /// Returns the messages that the client has sent.
    pub(crate) fn to_server(&self) -> Vec<String> {
        messages(&self.control.to_server)
    }

    /// Returns the number of bytes that have passed in both directions.
    pub(crate) fn bytes(&self) -> usize {
        let to_server = self.control.to_server.lock().unwrap().len();
        to_server + self.control.to_client.lock().unwrap().len()
    }
}

fn messages(bytes: &Mutex<Vec<u8>>) -> Vec<String> {
    let bytes = bytes.lock().unwrap();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(str::to_owned).collect()
}

impl Control {
    fn kill(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.killed.notify_waiters();
    }

    /// Takes up to `wanted` bytes from those that may still pass.
    fn spend(&self, wanted: usize) -> usize {
        let taken = |left: usize| left.saturating_sub(wanted);
        let update =
            self.budget
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
                    usize::MAX => None,
                    left => Some(taken(left)),
                });
        update.map_or(wanted, |left| left.min(wanted))
    }
}

fn relay(near: DuplexStream, far: DuplexStream, control: &Arc<Control>) {
    let (from_client, to_client) = tokio::io::split(near);
    let (from_server, to_server) = tokio::io::split(far);
    tokio::spawn(pass(from_client, to_server, control.clone(), true));
    tokio::spawn(pass(from_server, to_client, control.clone(), false));
}

async fn pass(
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    control: Arc<Control>,
    is_to_server: bool,
) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let killed = control.killed.notified();
        tokio::pin!(killed);
        killed.as_mut().enable();
        if control.is_dead.load(Ordering::SeqCst) {
            return;
        }
        let len = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or_default(),
            () = killed => return,
        };
        if control.muted.load(Ordering::SeqCst) {
            if len == 0 {
                // The other end must not notice.
                let killed = control.killed.notified();
                return killed.await;
            }
            continue;
        }
        if len == 0 {
            let _ = to.shutdown().await;
            return;
        }
        let passed = control.spend(len);
        let log = if is_to_server {
            &control.to_server
        } else {
            &control.to_client
        };
        log.lock().unwrap().extend_from_slice(&buffer[..passed]);
        if to.write_all(&buffer[..passed]).await.is_err() {
            return;
        }
        if passed < len || control.budget.load(Ordering::SeqCst) == 0 {
            let _ = to.flush().await;
            control.kill();
            return;
        }
    }
}

/// A transport of lines that can be closed with a code, like a WebSocket.
struct Coded {
    lines: LinesTransport<DuplexStream>,
    control: Arc<Control>,
}

impl Transport for Coded {
    fn poll_receive<'a>(&'a mut self, cx: &mut Context<'_>) -> Poll<Received<'a>> {
        self.control.waker.register(cx.waker());
        if let Some(error) = self.control.closed.lock().unwrap().clone() {
            return Poll::Ready(Received::Closed(error));
        }
        self.lines.poll_receive(cx)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
    ) -> Poll<Result<(), Error>> {
        self.lines.poll_send(cx, outgoing)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: Option<&Error>) -> Poll<()> {
        self.lines.poll_close(cx, reason)
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn is_in_message(&self) -> bool {
        self.lines.is_in_message()
    }

    fn has_heard(&mut self) -> bool {
        self.lines.has_heard()
    }
}

/// Limits the wait of a test. The clock may be virtual.
pub(crate) async fn soon<F: IntoFuture>(future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(600), future.into_future()).await {
        Ok(output) => output,
        Err(_) => panic!("this takes too long"),
    }
}
