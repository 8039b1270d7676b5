//! A relay between two scripted peers.

use capnweb_core::SessionOptions;

use super::ScriptedPeer;

/// A process between two peers: its main object for `client` is the main object of `origin`.
pub(crate) struct Relay {
    pub(crate) origin: ScriptedPeer,
    pub(crate) client: ScriptedPeer,
}

impl Relay {
    pub(crate) fn new() -> Self {
        Self::with(SessionOptions::new())
    }

    /// A relay whose session with the client has these options.
    pub(crate) fn with(options: SessionOptions) -> Self {
        let origin = ScriptedPeer::client();
        let client = ScriptedPeer::with(options, origin.session.main());
        Self { origin, client }
    }

    /// The client has given the origin a stream: pipe 1 of both sessions, call 2 of both.
    pub(crate) fn with_stream() -> Self {
        let mut relay = Self::new();
        relay.client.send(r#"["pipe"]"#);
        relay
            .client
            .send(r#"["push",["pipeline",0,["take"],[["readable",1]]]]"#);
        relay.client.send(r#"["release",2,1]"#);
        relay.origin.expect(r#"["pipe"]"#);
        relay
            .origin
            .expect(r#"["push",["pipeline",0,["take"],[["readable",1]]]]"#);
        relay.origin.expect(r#"["release",2,1]"#);
        relay
    }

    /// The client calls `method`, which the origin is asked for, and awaits the result.
    #[track_caller]
    pub(crate) fn pull(&mut self, method: &str) {
        let push = format!(r#"["push",["pipeline",0,["{method}"],[]]]"#);
        self.client.send(&push);
        self.client.send(r#"["pull",1]"#);
        self.origin.expect(&push);
        self.origin.expect(r#"["pull",1]"#);
    }

    /// The relay says nothing more on either side.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        self.origin.expect_silence();
        self.client.expect_silence();
    }

    /// The relay says nothing more, and holds only the main objects on either side.
    #[track_caller]
    pub(crate) fn expect_empty(&mut self) {
        self.expect_silence();
        self.origin.expect_empty();
        self.client.expect_empty();
    }
}
