//! Benchmarks of a session's work on a peer's messages: tables, dispatch, arguments, picks and
//! splices, each as isolated as possible.

use std::fmt::Write;

use capnweb::{Session, SessionOptions, StubType, transport::Connection};
use capnweb_benches::{parts::GROUP, typed};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// Messages, end to end, and the end of each.
#[derive(Default)]
struct Messages {
    text: String,
    ends: Vec<usize>,
}

impl Messages {
    fn push(&mut self, message: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(message);
        self.ends.push(self.text.len());
    }

    fn receive(&self, connection: &mut Connection) {
        let mut start = 0;
        for &end in &self.ends {
            let received = connection.receive(&self.text[start..end]);
            received.expect("the session goes on");
            start = end;
        }
    }
}

/// Creates a server. Returns it with the ID of the next push.
fn server() -> (Connection, u64) {
    let (_, mut connection) = Session::server(SessionOptions::new());
    connection.set_main(typed().into_stub());
    (connection, 1)
}

/// Makes calls whose results are kept, and returns the ID of the first one.
fn keep(server: &mut (Connection, u64), call: &str, times: u64) -> u64 {
    let first = server.1;
    for _ in 0..times {
        let message = format!(r#"["push",["pipeline",{call}]]"#);
        server.0.receive(&message).expect("the session goes on");
    }
    server.1 += times;
    first
}

/// Measures calls that are released without a pull.
fn calls(c: &mut Criterion, name: &str, server: (Connection, u64), call: &str) {
    let (mut connection, mut next) = server;
    c.bench_function(&format!("session/{name}, {GROUP} times"), |b| {
        b.iter_batched(
            || {
                let mut messages = Messages::default();
                for _ in 0..GROUP {
                    messages.push(format_args!(r#"["push",["pipeline",{call}]]"#));
                    messages.push(format_args!(r#"["release",{next},1]"#));
                    next += 1;
                }
                messages
            },
            |messages| {
                messages.receive(&mut connection);
                messages
            },
            BatchSize::SmallInput,
        );
    });
}

fn arguments(c: &mut Criterion) {
    calls(c, "no arguments", server(), r#"0,["nothing"],[]"#);
    calls(c, "two numbers", server(), r#"0,["add"],[2,3]"#);
    calls(
        c,
        "two numbers, by a future",
        server(),
        r#"0,["addLater"],[2,3]"#,
    );
    let user = r#"{"id":7,"name":"Ada","tags":[["x","y"]]}"#;
    calls(
        c,
        "a value",
        server(),
        &format!(r#"0,["rename"],[{user},"Grace"]"#),
    );
    calls(c, "an object", server(), r#"0,["another"],[]"#);
}

/// Measures calls on results, and calls with results as arguments.
fn results(c: &mut Criterion) {
    let mut one = server();
    let id = keep(&mut one, r#"0,["add"],[2,3]"#, 1);
    calls(
        c,
        "a settled number",
        one,
        &format!(r#"0,["add"],[["pipeline",{id}],3]"#),
    );
    let mut one = server();
    let id = keep(&mut one, r#"0,["users"],[200]"#, 1);
    calls(
        c,
        "200 settled values",
        one,
        &format!(r#"0,["count"],[["pipeline",{id}]]"#),
    );
    let mut one = server();
    let id = keep(&mut one, r#"0,["users"],[200]"#, 1);
    calls(
        c,
        "a property of the last of 200",
        one,
        &format!(r#"{id},[199,"name"]"#),
    );
    let mut one = server();
    let id = keep(&mut one, r#"0,["another"],[]"#, 1);
    calls(
        c,
        "a method of a result",
        one,
        &format!(r#"{id},["add"],[2,3]"#),
    );
}

/// Measures the same call alongside different numbers of kept results.
fn tables(c: &mut Criterion) {
    for kept in [0, 1_000, 100_000] {
        let mut one = server();
        keep(&mut one, r#"0,["another"],[]"#, kept);
        calls(
            c,
            &format!("two numbers beside {kept} results"),
            one,
            r#"0,["add"],[2,3]"#,
        );
    }
}

criterion_group!(session, arguments, results, tables);
criterion_main!(session);
