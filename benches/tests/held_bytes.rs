//! The bytes that a session counts as held for its peer, compared with the allocator's count.

use std::future::pending;

use capnweb::{
    Error, Object, Payload, Promise, Result, Session, SessionOptions, Stub, transport::Connection,
};
use tokio::runtime::Runtime;

/// The maximum ratio between the counted and the allocated bytes.
const FACTOR: f64 = 1.5;

struct Server {
    runtime: Runtime,
    session: Session,
    connection: Connection,
    /// The number of pushes.
    pushes: usize,
}

fn main_object() -> Stub {
    let many = |count: usize| -> Result<Vec<Stub>> {
        Ok((0..count).map(|_| Object::new().into_stub()).collect())
    };
    Object::new()
        .sync_method("echo", |x: Payload| Ok(x))
        .sync_method("many", many)
        .sync_method("list", |count: u32| Ok((0..count).collect::<Vec<u32>>()))
        .method("hang", async |_: Payload| pending::<Result<()>>().await)
        .sync_method("call", |function: Stub, count: usize| {
            for n in 0..count {
                Promise::detach(function.invoke((n,)));
            }
            Ok(())
        })
        .sync_method("fail", |message: String| Err::<(), _>(Error::new(message)))
        .into_stub()
}

impl Server {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime of one thread");
        let (session, mut connection) = Session::server(SessionOptions::new());
        connection.set_main(main_object());
        let mut server = Self {
            runtime,
            session,
            connection,
            pushes: 0,
        };
        // Make the one-time allocations first.
        server.push("echo", "[1]");
        server.send("[\"pull\",1]");
        server.send("[\"release\",1,1]");
        server.connection.take_outgoing();
        server
    }

    fn send(&mut self, message: &str) {
        let _entered = self.runtime.enter();
        self.connection
            .receive(message)
            .unwrap_or_else(|error| panic!("{message}: {error}"));
    }

    /// Calls `method`, and returns the number of its push.
    fn push(&mut self, method: &str, arguments: &str) -> usize {
        self.send(&format!(
            r#"["push",["pipeline",0,["{method}"],{arguments}]]"#
        ));
        self.pushes += 1;
        self.pushes
    }

    /// Lets all ready tasks run.
    fn settle(&mut self) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Compares the bytes that are counted for `burden` with those that are allocated.
fn compare(kind: &str, burden: impl FnOnce(&mut Server)) {
    compare_with(kind, Session::held_bytes, burden);
}

fn compare_with(kind: &str, counted: impl Fn(&Session) -> usize, burden: impl FnOnce(&mut Server)) {
    let mut server = Server::new();
    let before = counted(&server.session);
    let allocated = allocation_counter::measure(|| {
        burden(&mut server);
        server.settle();
    });
    assert!(server.session.end_reason().is_none(), "{kind}");
    let counted = counted(&server.session) - before;
    let allocated = allocated.bytes_current;
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let factor = allocated as f64 / counted as f64;
    println!("{kind:32} counted {counted:>10}  allocated {allocated:>10}  factor {factor:.2}");
    assert!(
        (1.0 / FACTOR..=FACTOR).contains(&factor),
        "{kind}: {counted} bytes are counted and {allocated} are allocated"
    );
}

fn text(len: usize) -> String {
    format!("\"{}\"", "x".repeat(len))
}

#[test]
fn the_text_of_results_is_counted() {
    for len in [100, 10_000, 1_000_000] {
        compare(&format!("results of {len} bytes"), |server| {
            for _ in 0..(20_000_000 / (len + 1000)) {
                server.push("echo", &format!("[{}]", text(len)));
            }
        });
    }
}

#[test]
fn computed_values_are_counted() {
    compare("doubled arguments", |server| {
        let mut id = server.push("echo", &format!("[{}]", text(100)));
        for _ in 0..15 {
            id = server.push(
                "echo",
                &format!(r#"[[[["pipeline",{id}],["pipeline",{id}]]]]"#),
            );
        }
    });
    compare("results of maps", |server| {
        let list = server.push("list", "[1000]");
        for _ in 0..100 {
            server.send(&format!(
                r#"["push",["remap",{list},[],[],[{{"a":["pipeline",0],"b":["pipeline",0]}}]]]"#
            ));
            server.pushes += 1;
        }
    });
}

#[test]
fn capabilities_are_counted() {
    compare("objects in results", |server| {
        for _ in 0..20 {
            server.push("many", "[1000]");
        }
    });
    compare("objects that were sent", |server| {
        for _ in 0..20 {
            let id = server.push("many", "[1000]");
            server.send(&format!(r#"["pull",{id}]"#));
        }
    });
    compare("stubs of the peer", |server| {
        for n in 0..20 {
            let stubs = (0..1000).map(|i| format!(r#"["export",-{}]"#, 1 + n * 1000 + i));
            let stubs: Vec<String> = stubs.collect();
            server.push("echo", &format!("[[[{}]]]", stubs.join(",")));
        }
    });
    compare("promises of the peer", |server| {
        for n in 0..20 {
            let promises = (0..1000).map(|i| format!(r#"["promise",-{}]"#, 1 + n * 1000 + i));
            let promises: Vec<String> = promises.collect();
            server.push("echo", &format!("[[[{}]]]", promises.join(",")));
        }
    });
}

#[test]
fn outcomes_of_the_peers_promises_are_counted() {
    for len in [1000, 100_000] {
        compare(&format!("outcomes of {len} bytes"), |server| {
            for n in 1..=5_000_000 / len {
                // Because of a stub, the result is not awaited.
                server.push("echo", &format!(r#"[{{"p":["promise",-{n}]}}]"#));
                server.send(&format!(r#"["resolve",-{n},{}]"#, text(len)));
            }
        });
    }
}

#[test]
fn errors_are_counted() {
    for len in [1000, 100_000] {
        compare(&format!("errors of {len} bytes"), |server| {
            for _ in 0..5_000_000 / len {
                server.push("fail", &format!("[{}]", text(len)));
            }
        });
        compare(&format!("the peer's errors of {len} bytes"), |server| {
            for n in 1..=5_000_000 / len {
                server.push("echo", &format!(r#"[["promise",-{n}]]"#));
                server.send(&format!(
                    r#"["reject",-{n},["error","Error",{}]]"#,
                    text(len)
                ));
            }
        });
    }
}

#[test]
fn calls_are_counted() {
    compare("calls that run", |server| {
        for _ in 0..10_000 {
            server.push("hang", "[1]");
        }
    });
    compare("calls that wait for an argument", |server| {
        for n in 1..=10_000 {
            server.push("hang", &format!(r#"[["promise",-{n}]]"#));
        }
    });
    compare("calls on a promise", |server| {
        let promise = server.push("hang", "[1]");
        for _ in 0..10_000 {
            server.send(&format!(r#"["push",["pipeline",{promise},["x"],[1]]]"#));
            server.pushes += 1;
        }
    });
    compare("calls that wait for room", |server| {
        for _ in 0..30_000 {
            server.push("hang", "[1]");
        }
    });
}

#[test]
fn messages_that_wait_to_be_sent_are_counted() {
    compare("calls of ours that nobody reads", |server| {
        // Buffers grow by doubling, and an empty half is not resident. Here the buffer is nearly
        // full.
        server.push("call", r#"[["export",-1],28000]"#);
    });
    compare("answers that nobody reads", |server| {
        for _ in 0..20 {
            let id = server.push("echo", &format!("[{}]", text(100_000)));
            server.send(&format!(r#"["pull",{id}]"#));
        }
    });
}

#[test]
fn chunks_and_blobs_are_counted() {
    let write = |server: &mut Server, pipe: usize, chunk: &str| {
        server.send(&format!(
            r#"["stream",["pipeline",{pipe},["write"],[{chunk}]]]"#
        ));
        server.pushes += 1;
    };
    let pipe = |server: &mut Server| {
        server.send(r#"["pipe"]"#);
        server.pushes += 1;
        server.pushes
    };
    for len in [10, 100_000] {
        let kind = format!("chunks of {len} bytes");
        compare_with(&kind, Session::stream_bytes, |server| {
            let pipe = pipe(server);
            for _ in 0..2_000_000 / (len + 1000) {
                write(server, pipe, &text(len));
            }
        });
    }
    compare("blobs", |server| {
        let chunk = format!(r#"["bytes","{}"]"#, "A".repeat(400_000));
        for _ in 0..10 {
            let pipe = pipe(server);
            server.push("hang", &format!(r#"[["blob","",["readable",{pipe}]]]"#));
            write(server, pipe, &chunk);
            server.settle();
        }
    });
}
