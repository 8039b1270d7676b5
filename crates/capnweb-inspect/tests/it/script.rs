//! Handwritten recordings.

use capnweb_inspect::{
    Body, Entry, Event, Follower, Options, Recording, Session, Side, TransportKind,
};

/// A handwritten session with one message per millisecond.
pub(crate) struct Script {
    pub(crate) recording: Recording,
    now: f64,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::over(TransportKind::WebSocket)
    }

    pub(crate) fn over(transport: TransportKind) -> Self {
        let open = Event::Open {
            transport,
            path: "/api".to_owned(),
        };
        let mut recording = Recording::default();
        recording.entries.push(Entry::new(0.0, 1, open));
        Self {
            recording,
            now: 0.0,
        }
    }

    fn add(mut self, event: Event) -> Self {
        self.now += 1.0;
        self.recording.entries.push(Entry::new(self.now, 1, event));
        self
    }

    pub(crate) fn client(self, text: &str) -> Self {
        self.add(Event::Message {
            from: Side::Client,
            body: Body::Text(text.to_owned()),
        })
    }

    pub(crate) fn server(self, text: &str) -> Self {
        self.add(Event::Message {
            from: Side::Server,
            body: Body::Text(text.to_owned()),
        })
    }

    /// Calls a method of import `id` and pulls the result, whose ID is `result`.
    pub(crate) fn call(self, id: i64, method: &str, args: &str, result: i64) -> Self {
        self.client(&format!(
            r#"["push",["pipeline",{id},["{method}"],[{args}]]]"#
        ))
        .client(&format!(r#"["pull",{result}]"#))
    }

    /// Answers a call. The client then releases the result.
    pub(crate) fn answer(self, id: i64, value: &str) -> Self {
        self.server(&format!(r#"["resolve",{id},{value}]"#))
            .client(&format!(r#"["release",{id},1]"#))
    }

    pub(crate) fn wait(mut self, ms: f64) -> Self {
        self.now += ms;
        self
    }

    pub(crate) fn close(self) -> Self {
        self.add(Event::Close {
            reason: "1000".to_owned(),
        })
    }

    pub(crate) fn follow(&self) -> Follower {
        Follower::of(&self.recording)
    }

    pub(crate) fn follow_with(&self, options: Options) -> Follower {
        let mut follower = Follower::new(options);
        self.recording
            .entries
            .iter()
            .for_each(|entry| follower.follow(entry));
        follower
    }
}

pub(crate) fn only(follower: &Follower) -> &Session {
    follower.session(1).unwrap()
}
