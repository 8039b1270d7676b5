//! The proxy: passes requests and WebSockets on, byte for byte, and looks at what passes.
//!
//! Two headers are changed so that messages can be read: compression of WebSockets is not offered
//! to the server, nor that of answers to batches. `Host` becomes the server's. All others pass,
//! cookies, `Origin` and subprotocols among them.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use capnweb_inspect::{Body as Message, Side, TransportKind};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    header::{ACCEPT_ENCODING, HOST, HeaderName, HeaderValue, UPGRADE},
    service::service_fn,
    upgrade,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    Body, answer,
    feed::Feed,
    frames::{Found, Frames},
    upstream::Upstream,
};

const EXTENSIONS: HeaderName = HeaderName::from_static("sec-websocket-extensions");

/// The longest line of a batch that is looked into, in bytes.
const MAX_LINE: usize = 100 * 1024 * 1024;

/// The proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) upstream: Upstream,
    /// Headers that are added to each request.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) feed: Feed,
}

impl Proxy {
    /// Serves all connections, until the listener fails.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // The connection is over already, or there are too many.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            tokio::spawn(self.clone().connection(stream));
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        // Only delays would come of it.
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| {
            let proxy = self.clone();
            async move { Ok::<_, hyper::Error>(proxy.request(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .preserve_header_case(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // A client that goes away is none of the proxy's business.
        let _ = connection.await;
    }

    async fn request(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        match self.clone().pass(request).await {
            Ok(response) => response,
            Err(why) => {
                eprintln!("capnweb inspect: {}: {why}", self.upstream.authority);
                answer(
                    StatusCode::BAD_GATEWAY,
                    format!(
                        "capnweb inspect: the server at {} cannot be reached: {why}\n",
                        self.upstream.authority
                    ),
                )
            }
        }
    }

    async fn pass(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, String> {
        let path = self.upstream.path_for(request.uri());
        let is_upgrade = request.headers().contains_key(UPGRADE);
        let is_batch = request.method() == Method::POST && !is_upgrade;
        *request.uri_mut() = path.parse().map_err(|error| format!("{path}: {error}"))?;
        self.change_headers(request.headers_mut(), is_batch)?;

        let stream = self
            .upstream
            .connect()
            .await
            .map_err(|error| error.to_string())?;
        let handshake = hyper::client::conn::http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|error| error.to_string())?;
        tokio::spawn(connection.with_upgrades());

        let from_client = is_upgrade.then(|| upgrade::on(&mut request));
        let batch = is_batch.then(|| Arc::new(Batch::new(self.feed.clone(), path.clone())));
        let request = request.map(|body| tapped(body, batch.as_ref(), Side::Client));
        let mut response = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        if let (Some(from_client), StatusCode::SWITCHING_PROTOCOLS) =
            (from_client, response.status())
        {
            let from_server = upgrade::on(&mut response);
            tokio::spawn(self.clone().websocket(from_client, from_server, path));
        }
        let status = response.status();
        if let Some(batch) = &batch
            && !status.is_success()
        {
            batch.refused(status);
        }
        Ok(response.map(|body| tapped(body, batch.as_ref(), Side::Server)))
    }

    fn change_headers(&self, headers: &mut HeaderMap, is_batch: bool) -> Result<(), String> {
        let host =
            HeaderValue::try_from(&self.upstream.authority).map_err(|error| error.to_string())?;
        headers.insert(HOST, host);
        headers.remove(EXTENSIONS);
        if is_batch {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        Ok(())
    }

    async fn websocket(
        self: Arc<Self>,
        from_client: upgrade::OnUpgrade,
        from_server: upgrade::OnUpgrade,
        path: String,
    ) {
        let (Ok(client), Ok(server)) = tokio::join!(from_client, from_server) else {
            return;
        };
        let session = self.feed.open(TransportKind::WebSocket, &path);
        let (client_in, client_out) = tokio::io::split(TokioIo::new(client));
        let (server_in, server_out) = tokio::io::split(TokioIo::new(server));
        let look = |from| Look {
            feed: &self.feed,
            session,
            from,
            frames: Frames::default(),
            close: None,
        };
        let (client, server) = tokio::join!(
            copy(client_in, server_out, look(Side::Client)),
            copy(server_in, client_out, look(Side::Server)),
        );
        let reason = match (client, server) {
            (Some(reason), _) => format!("the client {reason}"),
            (None, Some(reason)) => format!("the server {reason}"),
            (None, None) => "the connection was lost".to_owned(),
        };
        self.feed.close(session, reason);
    }
}

/// Looks at one direction of a WebSocket.
struct Look<'a> {
    feed: &'a Feed,
    session: u64,
    from: Side,
    frames: Frames,
    close: Option<String>,
}

impl Look<'_> {
    fn at(&mut self, bytes: &[u8]) {
        for found in self.frames.feed(bytes) {
            match found {
                Found::Message(body) => self.feed.message(self.session, self.from, body),
                Found::TooLong(len) => {
                    eprintln!(
                        "capnweb inspect: a message of {len} bytes of the {} is not shown",
                        self.from
                    );
                }
                Found::Close(reason) => {
                    self.close.get_or_insert(reason);
                }
            }
        }
    }
}

/// Copies one direction until its end, and returns the reason in its close frame.
async fn copy(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut look: Look<'_>,
) -> Option<String> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(len) => len,
        };
        let bytes = buffer.get(..len).unwrap_or_default();
        // First, so that no message is seen after the answer to it.
        look.at(bytes);
        if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    // The other side may be gone.
    let _ = to.shutdown().await;
    look.close
}

/// A batch, as far as it has been seen. It begins with the first message: other requests are none.
struct Batch {
    feed: Feed,
    path: String,
    session: Mutex<Option<u64>>,
}

impl Batch {
    fn new(feed: Feed, path: String) -> Self {
        Self {
            feed,
            path,
            session: Mutex::new(None),
        }
    }

    fn line(&self, from: Side, line: &[u8]) {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() {
            return;
        }
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match *session {
            Some(id) => id,
            None if from == Side::Client && line.trim_ascii_start().starts_with(b"[\"") => {
                *session.insert(self.feed.open(TransportKind::Batch, &self.path))
            }
            None => return,
        };
        let body = match std::str::from_utf8(line) {
            Ok(text) => Message::Text(text.to_owned()),
            Err(_) => return,
        };
        self.feed.message(id, from, body);
    }

    fn end(&self, reason: String) {
        let session = self
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(session) = session {
            self.feed.close(session, reason);
        }
    }

    fn refused(&self, status: StatusCode) {
        self.end(format!("the server answered with {status}"));
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.end("the batch was answered".to_owned());
    }
}

/// A body that is looked at while it passes.
struct Tapped {
    body: Incoming,
    batch: Arc<Batch>,
    from: Side,
    line: Vec<u8>,
}

fn tapped(body: Incoming, batch: Option<&Arc<Batch>>, from: Side) -> Body {
    match batch {
        None => body.map_err(Into::into).boxed(),
        Some(batch) => {
            let tapped = Tapped {
                body,
                batch: batch.clone(),
                from,
                line: Vec::new(),
            };
            tapped.map_err(Into::into).boxed()
        }
    }
}

impl Tapped {
    fn look(&mut self, data: &[u8]) {
        let mut parts = data.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.line.len() + part.len() <= MAX_LINE {
                self.line.extend_from_slice(part);
            }
            if parts.peek().is_some() {
                self.batch.line(self.from, &self.line);
                self.line.clear();
            }
        }
    }

    fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.batch.line(self.from, &line);
    }
}

impl HttpBody for Tapped {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.look(data);
                }
                if self.body.is_end_stream() {
                    self.end();
                }
            }
            _ => self.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
