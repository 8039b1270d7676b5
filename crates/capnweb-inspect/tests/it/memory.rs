//! The memory that a follower takes for as long as sessions go on.

use capnweb_inspect::{Body, Entry, Event, Follower, Options, Side, TransportKind};

/// Feeds a follower with messages.
struct Feed {
    follower: Follower,
    messages: u64,
    session: u64,
    pushed: u64,
}

impl Feed {
    fn new(options: Options) -> Self {
        Self {
            follower: Follower::new(options),
            messages: 0,
            session: 1,
            pushed: 0,
        }
    }

    fn event(&mut self, event: Event) {
        let now = self.messages as f64;
        self.follower.follow(&Entry::new(now, self.session, event));
    }

    fn message(&mut self, from: Side, text: String) {
        self.messages += 1;
        let body = Body::Text(text);
        self.event(Event::Message { from, body });
    }

    /// A call that returns a stub, which is not released, and a chunk of a stream.
    fn round(&mut self) {
        let (call, chunk) = (self.pushed + 1, self.pushed + 2);
        self.pushed = chunk;
        let args = format!(r#"["argument {call}",{{"list":[[{call},{call},{call}]]}}]"#);
        self.message(
            Side::Client,
            format!(r#"["push",["pipeline",0,["open"],{args}]]"#),
        );
        self.message(Side::Client, format!(r#"["pull",{call}]"#));
        self.message(
            Side::Client,
            format!(r#"["stream",["pipeline",0,["write"],["{chunk}"]]]"#),
        );
        self.message(
            Side::Server,
            format!(r#"["resolve",{call},["export",-{call}]]"#),
        );
        self.message(
            Side::Server,
            format!(r#"["resolve",{chunk},["undefined"]]"#),
        );
        self.message(Side::Client, format!(r#"["release",{call},1]"#));
    }

    fn end_session(&mut self) {
        self.event(Event::Close {
            reason: "the client closed with 1000".to_owned(),
        });
        self.session += 1;
        self.pushed = 0;
        self.event(Event::Open {
            transport: TransportKind::WebSocket,
            path: "/".to_owned(),
        });
    }
}

/// Returns the resident memory of this process in bytes, where the system tells it.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[test]
fn a_million_messages_take_no_more_memory_than_some() {
    let mut feed = Feed::new(Options::default().max_calls(1_000).max_held(2_000));
    while feed.messages < 50_000 {
        feed.round();
    }
    let before = resident();
    while feed.messages < 1_000_000 {
        feed.round();
    }
    let session = feed.follower.session(1).unwrap();
    assert_eq!(session.calls().len(), 1_000);
    // Some room was taken by results that are released again.
    assert!((1_990..=2_000).contains(&session.held().count()));
    assert!(session.untracked() > 100_000);
    assert!(session.faults().is_empty(), "{:?}", session.faults());
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before);
        assert!(
            grown < 4 << 20,
            "{grown} bytes more than after 50,000 messages"
        );
    }
}

#[test]
fn many_sessions_share_one_bound() {
    let options = Options::default()
        .max_calls(100)
        .max_held(100)
        .max_in_all(1_000);
    let mut feed = Feed::new(options);
    for _ in 0..100 {
        (0..200).for_each(|_| feed.round());
        feed.end_session();
    }
    // Each keeps 200, and the newest has nothing yet.
    let kept: Vec<_> = feed
        .follower
        .sessions()
        .map(|session| session.id())
        .collect();
    assert_eq!(kept, [96, 97, 98, 99, 100, 101]);
    assert_eq!(feed.follower.dropped_sessions(), 95);
}
