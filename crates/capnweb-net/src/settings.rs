//! Settings that all clients have in common.

use std::{fmt, time::Duration};

use capnweb_core::{Connection, Session, SessionOptions, Stub, StubType};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ConnectError;

/// Settings that all clients have in common: those of the session, and of the request that opens
/// it.
#[derive(Clone, Default)]
pub struct ClientSettings {
    /// The session's options.
    pub options: SessionOptions,
    /// The main object that the server can call.
    pub main: Option<Stub>,
    /// The time limit for connecting.
    pub timeout: Option<Duration>,
    /// The headers of the request, in order.
    headers: Vec<(String, String)>,
}

impl ClientSettings {
    /// Creates the default settings with a time limit for connecting.
    pub fn with_timeout(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..Self::default()
        }
    }

    /// Sets the main object that the server can call.
    pub fn set_main(&mut self, main: &impl StubType) {
        self.main = Some(main.as_stub().clone());
    }

    /// Adds a header. It is validated when the request is made.
    pub fn add_header(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }

    /// Adds the headers that name the current span, unless the application has set them. Call it
    /// where the application asks for the session.
    #[cfg(feature = "opentelemetry")]
    pub fn add_trace_context(&mut self) {
        for (name, value) in &crate::current_headers() {
            let is_set =
                (self.headers.iter()).any(|(set, _)| set.eq_ignore_ascii_case(name.as_str()));
            if let Ok(value) = value.to_str()
                && !is_set
            {
                self.add_header(name.as_str(), value);
            }
        }
    }

    /// Does nothing without the feature `opentelemetry`.
    #[cfg(not(feature = "opentelemetry"))]
    pub fn add_trace_context(&mut self) {}

    /// Returns the headers.
    ///
    /// # Errors
    ///
    /// Returns an error if a name or value is invalid, or if a name is one of `reserved`.
    pub fn headers(&self, reserved: &[HeaderName]) -> Result<HeaderMap, ConnectError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name).map_err(|_| {
                ConnectError::invalid(format!("{name:?} cannot be the name of a header"))
            })?;
            if reserved.contains(&parsed) {
                return Err(ConnectError::invalid(format!(
                    "the header {parsed} is set by the protocol and cannot be replaced"
                )));
            }
            let value = HeaderValue::try_from(value).map_err(|_| {
                ConnectError::invalid(format!("the header {name} cannot have that value"))
            })?;
            headers.append(parsed, value);
        }
        Ok(headers)
    }

    /// Returns a client's session with these settings, over the transport of this name.
    pub fn session(&self, transport: &'static str) -> (Session, Connection) {
        self.create(|options| Session::client(options.with_transport(transport)))
    }

    /// Returns a session that `create` makes with these settings.
    pub fn create(
        &self,
        create: impl FnOnce(SessionOptions) -> (Session, Connection),
    ) -> (Session, Connection) {
        let (session, mut connection) = create(self.options.clone());
        if let Some(main) = &self.main {
            connection.set_main(main.clone());
        }
        (session, connection)
    }
}

/// Headers may contain secrets, so only their names are shown.
impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ClientSettings")
            .field("options", &self.options)
            .field("main", &self.main)
            .field("timeout", &self.timeout)
            .field("headers", &headers)
            .finish()
    }
}
