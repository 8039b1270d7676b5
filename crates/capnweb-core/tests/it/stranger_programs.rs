//! Random conversations of strangers: two peers of one application send arbitrary messages about a
//! few IDs, and disconnect.
//!
//! `STRANGER_PROGRAMS` sets the number of conversations, and `STRANGER_SEED` the first seed. A
//! failure names the leaking seeds, and shows a shortest conversation for each kind of leak.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    time::Duration,
};

use capnweb_core::Error;

use crate::{
    strangers::Application,
    support::{ScriptedPeer, idle_on_paused_clock},
};

const METHODS: [&str; 9] = [
    "echo",
    "echo",
    "put",
    "take",
    "nope",
    "fail",
    "call",
    "await",
    "subscribe",
];

/// The forms that tell one kind of leak from another.
const FORMS: [&str; 9] = [
    "\"writable\"",
    "\"readable\"",
    "\"stream\"",
    "\"remap\"",
    "\"error\"",
    "\"reject\"",
    "\"export\"",
    "\"promise\"",
    "\"subscribe\"",
];

/// A message from one of the two peers.
#[derive(Clone, Debug)]
struct Said {
    peer: usize,
    message: String,
}

/// A generator of conversations (SplitMix64), which is deterministic for a seed.
struct Generator {
    state: u64,
    /// The number of pushes of each peer, which is its last positive ID.
    pushes: [u64; 2],
    /// False in half of the conversations, since writables would hide the other leaks.
    writables: bool,
    /// True in three of four conversations: only promises are resolved, since anything else ends a
    /// session.
    apart: bool,
}

impl Generator {
    fn conversation(seed: u64) -> Vec<Said> {
        let mut generator = Self {
            state: seed,
            pushes: [0; 2],
            writables: seed.is_multiple_of(2),
            apart: seed % 8 > 1,
        };
        let mut conversation: Vec<_> = [0, 1]
            .map(|peer| Said {
                peer,
                message: generator.pushed(peer, r#"["push",["pipeline",0,["makeCounter"],[]]]"#),
            })
            .into();
        if generator.below(4) == 0 {
            // The peers receive each other's stubs.
            for (peer, call) in [
                (0, r#"["put"],[["export",-1]]"#),
                (1, r#"["take"],[]"#),
                (1, r#"["put"],[["export",-1]]"#),
                (0, r#"["take"],[]"#),
            ] {
                let message = format!(r#"["push",["pipeline",0,{call}]]"#);
                let message = generator.pushed(peer, message);
                conversation.push(Said { peer, message });
            }
        }
        for _ in 0..4 + generator.below(16) {
            let peer = generator.index(2);
            let message = generator.message(peer);
            conversation.push(Said { peer, message });
        }
        conversation
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    fn pushed(&mut self, peer: usize, message: impl Into<String>) -> String {
        self.pushes[peer] += 1;
        message.into()
    }

    /// Returns an ID of the session's exports: one that was pushed, or the main object.
    fn theirs(&mut self, peer: usize) -> u64 {
        self.below(self.pushes[peer] + 1)
    }

    /// Returns an ID of the peer's own exports.
    fn own(&mut self) -> i64 {
        -1 - i64::try_from(self.below(3)).unwrap()
    }

    /// Returns an ID that the peer exports and does not resolve.
    fn exported(&mut self) -> i64 {
        self.own() - if self.apart { 3 } else { 0 }
    }

    fn message(&mut self, peer: usize) -> String {
        match self.below(16) {
            0..6 => {
                let method = METHODS[self.index(METHODS.len())];
                let argument = match method {
                    "take" => String::new(),
                    // An object that receives a stub of itself keeps itself alive, which is its own
                    // responsibility.
                    "subscribe" => format!(r#"["export",{}]"#, self.exported()),
                    _ => self.expression(peer, 2),
                };
                let message = format!(r#"["push",["pipeline",0,["{method}"],[{argument}]]]"#);
                self.pushed(peer, message)
            }
            6 => {
                let expression = self.expression(peer, 2);
                self.pushed(peer, format!(r#"["push",{expression}]"#))
            }
            7 => self.pushed(peer, r#"["pipe"]"#),
            8 => {
                let (pipe, chunk) = (self.theirs(peer), self.expression(peer, 2));
                let message = format!(r#"["stream",["pipeline",{pipe},["write"],[{chunk}]]]"#);
                self.pushed(peer, message)
            }
            9..13 => {
                // Outcomes of the session's calls have positive IDs.
                let id = match self.below(5) {
                    0 => 1 + i64::try_from(self.below(3)).unwrap(),
                    _ => self.own(),
                };
                format!(r#"["resolve",{id},{}]"#, self.expression(peer, 2))
            }
            13 => {
                let (id, expression) = (self.own(), self.expression(peer, 1));
                let error = format!(r#"["error","Error","no",null,{{"p":{expression}}}]"#);
                format!(r#"["reject",{id},{error}]"#)
            }
            14 => format!(r#"["pull",{}]"#, self.theirs(peer)),
            _ => format!(r#"["release",{},1]"#, self.theirs(peer).max(1)),
        }
    }

    fn expression(&mut self, peer: usize, depth: u32) -> String {
        if depth > 0 && self.below(3) > 0 {
            let [a, b] = [(); 2].map(|()| self.expression(peer, depth - 1));
            return match self.below(6) {
                0..3 => format!(r#"{{"a":{a},"b":{b}}}"#),
                3 => format!("[[{a},{b}]]"),
                4 => format!(r#"["error","Error","m",null,{{"p":{a},"cause":{b}}}]"#),
                _ => {
                    let (of, captured) = (self.theirs(peer), self.exported());
                    let captures = format!(r#"["export",{captured}],["import",{of}]"#);
                    let body = r#"{"s":["import",-1],"t":["import",-2],"x":["pipeline",0]}"#;
                    format!(r#"["remap",{of},[],[{captures}],[{body}]]"#)
                }
            };
        }
        match self.below(8) {
            0 => format!(r#"["export",{}]"#, self.exported()),
            1 | 2 => format!(r#"["promise",{}]"#, self.own()),
            3 if self.writables => {
                // Under the ID of a promise, it leads to that promise.
                let id = if self.below(2) == 0 {
                    self.own()
                } else {
                    self.exported()
                };
                format!(r#"["writable",{id}]"#)
            }
            4 => format!(r#"["import",{}]"#, self.theirs(peer)),
            5 => format!(r#"["pipeline",{}]"#, self.theirs(peer)),
            6 => format!(r#"["readable",{}]"#, self.theirs(peer)),
            _ => format!(r#"["pipeline",{},["a"]]"#, self.theirs(peer)),
        }
    }
}

/// Runs a conversation, ends both sessions, and returns whether an object of the application is
/// left.
fn leaks(conversation: &[Said]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let application = Application::default();
        let mut peers: [ScriptedPeer; 2] = [application.peer(), application.peer()];
        for said in conversation {
            let peer = &mut peers[said.peer];
            // A violation ends that session, as it should.
            drop(peer.connection.receive(&said.message));
            idle_on_paused_clock().await;
            peer.connection.take_outgoing();
        }
        for peer in &mut peers {
            peer.connection
                .end(Error::disconnected("the peer went away"));
        }
        drop(peers);
        application.forget();
        // The clock is paused, so this ends when there is nothing left to do.
        tokio::time::sleep(Duration::from_secs(60)).await;
        application.objects.count() > 0
    })
}

/// Removes messages as long as the conversation still leaks.
fn shortest(mut conversation: Vec<Said>) -> Vec<Said> {
    loop {
        let before = conversation.len();
        let mut at = 0;
        while at < conversation.len() {
            let mut shorter = conversation.clone();
            shorter.remove(at);
            if leaks(&shorter) {
                conversation = shorter;
            } else {
                at += 1;
            }
        }
        if conversation.len() == before {
            return conversation;
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number")),
        Err(_) => default,
    }
}

#[test]
fn random_conversations_of_two_strangers_leave_nothing() {
    let first = number("STRANGER_SEED", 1);
    let count = number("STRANGER_PROGRAMS", 5000);
    let leaking: Vec<u64> = (first..first + count)
        .filter(|seed| leaks(&Generator::conversation(*seed)))
        .collect();
    let mut report = format!(
        "{} of {count} conversations leak: {leaking:?}",
        leaking.len()
    );
    let mut kinds = BTreeMap::<Vec<&str>, (u64, Vec<Said>)>::new();
    for seed in leaking.iter().take(200) {
        let said = shortest(Generator::conversation(*seed));
        let peers: BTreeSet<_> = said.iter().map(|said| said.peer).collect();
        let has = |form: &&str| said.iter().any(|said| said.message.contains(*form));
        let mut kind: Vec<_> = FORMS.into_iter().filter(|form| has(form)).collect();
        kind.extend((peers.len() > 1).then_some("two sessions"));
        let known = kinds.entry(kind).or_insert_with(|| (*seed, said.clone()));
        if said.len() < known.1.len() {
            *known = (*seed, said);
        }
    }
    for (kind, (seed, conversation)) in kinds {
        writeln!(report, "\nseed {seed}, with {}:", kind.join(", ")).unwrap();
        for said in conversation {
            writeln!(report, "  {} {}", said.peer, said.message).unwrap();
        }
    }
    assert!(leaking.is_empty(), "{report}");
}
