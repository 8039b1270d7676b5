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

    /// Creates a relay whose session with the client has these options.
    pub(crate) fn with(options: SessionOptions) -> Self {
        let origin = ScriptedPeer::client();
        let client = ScriptedPeer::with(options, origin.session.main());
        Self { origin, client }
    }

    /// Creates a relay after the client has sent the origin a stream: pipe 1 and call 2 of both
    /// sessions.
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

    /// Lets the client call `method` and await the result. The relay passes both on to the origin.
    #[track_caller]
    pub(crate) fn pull(&mut self, method: &str) {
        let push = format!(r#"["push",["pipeline",0,["{method}"],[]]]"#);
        self.client.send(&push);
        self.client.send(r#"["pull",1]"#);
        self.origin.expect(&push);
        self.origin.expect(r#"["pull",1]"#);
    }

    /// Checks that the relay sends nothing more on either side.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        self.origin.expect_silence();
        self.client.expect_silence();
    }

    /// Checks that the relay sends nothing more, and holds only the main objects on either side.
    #[track_caller]
    pub(crate) fn expect_empty(&mut self) {
        self.expect_silence();
        self.origin.expect_empty();
        self.client.expect_empty();
    }
}
