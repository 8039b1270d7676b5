//! Cap'n Web over the host's WebTransport: one session per stream, one message per line.

mod byte_stream;

use std::{fmt, time::Duration};

use capnweb_core::{
    ConnectFailure, Error, InSeconds, LinesTransport, Result, Session, SessionOptions, StubType,
    runtime::{Instant, spawn, timeout_at},
};
use js_sys::{Array, Function, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use self::byte_stream::{ByteStream, Closing};
use crate::{
    either::{Either, either},
    failure::Failure,
    host::{call, describe, get, of_global, resolve_url, set},
    local,
    settings::Settings,
};

/// The default time limit for connecting: see [`Connect::timeout`].
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to `url` and returns the peer's main object, which can be called at once.
///
/// The URL's scheme is `https:`. To change settings, use [`Connect`].
///
/// ```ignore
/// let api: Stub = capnweb::web::webtransport::connect("https://example.com/api")?;
/// let greeting: String = api.call("greet", ("Ada",)).fetch().await?;
/// ```
///
/// # Errors
///
/// Returns the same errors as [`Connect::start`].
pub fn connect<S: StubType>(url: impl AsRef<str>) -> Result<S> {
    Connect::new(url).start()
}

/// A WebTransport connection to be opened.
#[must_use = "it connects when `start`, `session` or `open` is called"]
pub struct Connect {
    url: String,
    settings: Settings,
    certificate_hashes: Vec<[u8; 32]>,
}

impl Connect {
    /// Creates a connection to `url`, as for [`connect`].
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            settings: Settings {
                timeout: Some(CONNECT_TIMEOUT),
                ..Settings::default()
            },
            certificate_hashes: Vec::new(),
        }
    }

    /// Sets the options of the session, including its limits.
    pub fn options(mut self, options: SessionOptions) -> Self {
        self.settings.options = options;
        self
    }

    /// Sets the main object that the server can call. Without one, its calls are rejected.
    pub fn main(mut self, main: impl StubType) -> Self {
        self.settings.main = Some(main.as_stub().clone());
        self
    }

    /// Trusts the certificate with this SHA-256 hash (of its DER encoding), instead of certificates
    /// that authorities have signed. Hosts require that such a certificate is valid for at most two
    /// weeks.
    pub fn certificate_hash(mut self, hash: [u8; 32]) -> Self {
        self.certificate_hashes.push(hash);
        self
    }

    /// Sets the time limit for connecting. Default: 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Begins to connect and returns the server's main object, which can be called at once.
    ///
    /// # Errors
    ///
    /// Returns a `TypeError` if the URL or a hash is invalid, or if the host does not support
    /// WebTransport. If the connection fails later, all calls fail with "WebTransport connection
    /// failed: …". [`Error::is_disconnected`] returns true for that error.
    pub fn start<S: StubType>(self) -> Result<S> {
        Ok(S::from_stub(self.session()?.main()))
    }

    /// Begins to connect and returns the session. The connection stays open until the session's
    /// last handle is dropped.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`start`](Self::start).
    pub fn session(self) -> Result<Session> {
        let transport = self.transport()?;
        let (session, mut connection) = self.settings.create(Session::client);
        let unwanted = connection.ended();
        spawn(async move {
            match either(self.opened(transport), unwanted).await {
                Either::First(Ok(stream)) => {
                    let limits = self.settings.options.limits().clone();
                    connection.drive(LinesTransport::new(stream, &limits)).await;
                }
                Either::First(Err(error)) => connection.end(error),
                // Every handle was dropped, and the connection is closed.
                Either::Second(_) => {}
            }
        });
        Ok(session)
    }

    /// Connects and returns the session once the stream is open.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`start`](Self::start). Also returns an error if the connection
    /// fails.
    pub async fn open(self) -> Result<Session> {
        local(async move {
            let transport = self.transport()?;
            let stream = self.opened(transport).await?;
            let (session, connection) = self.settings.create(Session::client);
            let limits = self.settings.options.limits().clone();
            spawn(async move {
                connection.drive(LinesTransport::new(stream, &limits)).await;
            });
            Ok(session)
        })
        .await
    }

    /// Creates the host's object, which begins to connect immediately.
    fn transport(&self) -> Result<Closing> {
        self.create()
            .map(Closing::new)
            .map_err(|cause| self.failed(Failure::invalid(cause)))
    }

    fn create(&self) -> Result<JsValue, String> {
        let class = of_global("WebTransport")
            .and_then(|class| class.dyn_into::<Function>().ok())
            .ok_or("this host has no WebTransport")?;
        let url = resolve_url(&self.url)?;
        let options = Object::new();
        if !self.certificate_hashes.is_empty() {
            let hashes: Array = self
                .certificate_hashes
                .iter()
                .map(|hash| {
                    let entry = Object::new();
                    set(&entry, "algorithm", &JsValue::from_str("sha-256"));
                    set(&entry, "value", &Uint8Array::from(hash.as_slice()));
                    entry
                })
                .collect();
            set(&options, "serverCertificateHashes", &hashes);
        }
        let arguments = Array::of2(&JsValue::from_str(&url.href()), &options);
        Reflect::construct(&class, &arguments).map_err(|exception| describe(&exception))
    }

    fn failed(&self, failure: Failure) -> Error {
        let message = format!(
            "WebTransport connection failed: {}: {}",
            self.url, failure.cause
        );
        failure.into_error(message)
    }

    /// Waits until the stream is open.
    async fn opened(&self, transport: Closing) -> Result<ByteStream> {
        let opening = open_stream(transport);
        let limit = self.settings.timeout.unwrap_or(Duration::MAX);
        let opened = match Instant::now().checked_add(limit) {
            None => opening.await,
            Some(deadline) => timeout_at(deadline, opening).await.unwrap_or_else(|_| {
                let cause = format!("the server did not answer within {}", InSeconds(limit));
                Err(Failure::new(ConnectFailure::Timeout, cause))
            }),
        };
        opened.map_err(|failure| self.failed(failure))
    }
}

async fn open_stream(transport: Closing) -> Result<ByteStream, Failure> {
    let failed = |exception: JsValue| {
        // Hosts do not tell pages the cause, so that pages cannot probe a network.
        Failure::new(ConnectFailure::Other, describe(&exception))
    };
    JsFuture::from(js_sys::Promise::resolve(&get(transport.get(), "ready")))
        .await
        .map_err(failed)?;
    let opening = call(transport.get(), "createBidirectionalStream", &[]).map_err(failed)?;
    let stream = JsFuture::from(opening).await.map_err(failed)?;
    ByteStream::new(transport, &stream).map_err(failed)
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("url", &self.url)
            .field("settings", &self.settings)
            .field("certificate_hashes", &self.certificate_hashes)
            .finish()
    }
}
