//! Settings that all clients have.

use std::{fmt, time::Duration};

use capnweb_core::{Connection, Session, SessionOptions, Stub, StubType};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::ConnectError;

/// Settings that all clients have: of the session, and of the request that opens it.
#[derive(Clone, Default)]
pub struct ClientSettings {
    /// The session's options.
    pub options: SessionOptions,
    /// Our main object, which the server can call.
    pub main: Option<Stub>,
    /// The time that connecting may take.
    pub timeout: Option<Duration>,
    /// Headers of the request, in order.
    headers: Vec<(String, String)>,
}

impl ClientSettings {
    /// The defaults, with a time that connecting may take.
    pub fn with_timeout(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..Self::default()
        }
    }

    /// Sets our main object.
    pub fn set_main(&mut self, main: &impl StubType) {
        self.main = Some(main.as_stub().clone());
    }

    /// Adds a header, which is checked when the request is made.
    pub fn add_header(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }

    /// Returns the headers.
    ///
    /// # Errors
    ///
    /// If a name or value is none, or if a name is among `reserved`.
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

    /// Returns a client's session with these settings.
    pub fn session(&self) -> (Session, Connection) {
        self.create(Session::client)
    }

    /// Returns a session that `create` makes, with these settings.
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

/// Headers hold secrets, so only their names are shown.
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
