//! Programs that test this library against npm `capnweb`:
//!
//! - `capnweb-interop serve --listen 127.0.0.1:0` serves a main object whose methods cover
//!   everything that a peer can request, over WebSocket and HTTP batch, on every path. With
//!   `--webtransport 127.0.0.1:0`, it also serves WebTransport. On SIGTERM it answers pending
//!   calls, closes, and exits with 0.
//! - `capnweb-interop proxy --listen 127.0.0.1:0` connects pairs of WebSocket peers through two
//!   sessions.
//! - `capnweb-interop client --url http://…` runs checks against a server of either kind.
//! - `capnweb-interop rows --listen 127.0.0.1:0` serves an object with every form of value that a
//!   TypeScript declaration can have.
//! - `capnweb-interop page --listen 127.0.0.1:0` serves the page that `docs/typescript.md` shows.
//! - `capnweb-interop dts` prints TypeScript declarations of the main object and of everything that
//!   it refers to.
//! - `capnweb-interop compare --file FILE.d.ts` compares handwritten declarations with them.
//! - `capnweb-interop watch --url ws://…` is an idle client that reports the end of its session.
//! - `capnweb-interop chaos --to URL` makes calls through a client that reconnects, and reports the
//!   outcomes. `storm` runs it through relays that cut connections, and compares the outcomes with
//!   the servers' counts.
//! - `capnweb-interop notes` adds notes to the example `service` through a client that reconnects.
//! - `capnweb-interop rooms` posts in the example `rooms` through a client that reconnects.
//! - `capnweb-interop attack` attacks servers of its own as strangers might, and prints a table of
//!   the effects.
//!
//! The first two print one line of JSON with their address when they are ready.

mod arguments;
mod attack;
mod chaos;
mod client;
mod commons;
mod counter;
mod describe;
mod differential;
mod drift;
mod fetch;
mod main_object;
mod moody;
mod notes;
mod odd;
mod page;
mod pairs;
mod probe;
mod proxy;
mod ready;
mod rooms;
mod rows;
mod serve;
mod sessions;
mod shapes;
mod signal;
mod storm;
mod streams;
mod tour;
mod watch;

use std::{io::Write, process::ExitCode};

use capnweb::{json_schema::Schemas, typescript::Declarations};

use crate::arguments::Arguments;

/// Returns memory to the system after a burst, unlike glibc's allocator: see `docs/limits.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage:
  capnweb-interop serve  [--listen ADDRESS] [--webtransport ADDRESS] [--tcp ADDRESS] [--unix PATH]
                         [--ping-interval MS] [--ping-timeout MS] [--peer-version 0.7]
  capnweb-interop proxy  [--listen ADDRESS]
  capnweb-interop client --url URL [--peer rust|node] [--over ws,batch,webtransport]
                         [--webtransport URL --hash HASH] [--only TEXT] [--without TEXT|…]
                         [--seed N] [--values N]
  capnweb-interop rows   [--listen ADDRESS]
  capnweb-interop page   [--listen ADDRESS]
  capnweb-interop dts    [--of main|rows|drift-NAME] [--as typescript|json|schema]
  capnweb-interop compare --file FILE.d.ts [--of main|rows|drift-NAME]
  capnweb-interop watch  --url URL [--ping-interval MS] [--ping-timeout MS]
  capnweb-interop chaos  --to URL[,URL…] --calls N [--seed S] [--idempotent] [--seconds MOST]
                         [--ping-interval MS] [--ping-timeout MS] [--hash HASH]
  capnweb-interop storm  [--node server.mjs] [--over ws,tcp,unix,webtransport] [--calls N]
                         [--seed S] [--minutes M]
  capnweb-interop notes  --url URL --token TOKEN [--prefix TEXT]
  capnweb-interop rooms  --url URL --sender NAME
  capnweb-interop attack [--only TEXT] [--table FILE]

chaos calls count(1) … count(N) through a client that connects again, some at once, some behind
self(), and between them a stub that makeCounter() returns. It prints one line of JSON:
  {\"acknowledged\":…,\"mayHaveRun\":…,\"notRun\":…,\"derived\":…,\"reconnects\":…}
acknowledged, mayHaveRun and notRun add up to N; derived counts the calls on the derived stub that
were answered. A call waits for a server for 30 seconds. With --idempotent it is made again until
it is answered. URLs: ws: wss: tcp: unix: webtransport: (--hash is of its certificate).
It exits with 0, and with 1 if it has not finished after --seconds, by default 300.";

#[tokio::main]
async fn main() -> ExitCode {
    // Log nothing unless `RUST_LOG` is set. The harness reads standard output.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();

    match run().await {
        Ok(code) => code,
        Err(message) => {
            eprintln!("capnweb-interop: {message}");
            ExitCode::from(2)
        }
    }
}

/// Returns the declarations of one of the main objects.
fn declarations(of: Option<&str>) -> Result<Declarations, String> {
    Ok(match of {
        None | Some("main") => capnweb::typescript::of::<main_object::MainStub>(),
        Some("rows") => capnweb::typescript::of::<rows::RowsStub>(),
        Some(other) => match other.strip_prefix("drift-").and_then(drift::declarations) {
            Some(declarations) => declarations,
            None => return Err(format!("--of is main, rows or drift-NAME, not {other}")),
        },
    })
}

/// Prints the differences between handwritten declarations and those of a main object.
fn compare(mut arguments: Arguments) -> Result<ExitCode, String> {
    let declarations = declarations(arguments.take("of").as_deref())?;
    let file = arguments.take("file").ok_or("--file is missing")?;
    let differences = declarations
        .differences(&file)
        .map_err(|error| error.to_string())?;
    for difference in &differences {
        println!("{difference}");
    }
    Ok(match differences.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Prints the declarations, the description or the schemas of one of the main objects.
fn dts(mut arguments: Arguments) -> Result<(), String> {
    let declarations = declarations(arguments.take("of").as_deref())?;
    let text = match arguments.take("as").as_deref() {
        None | Some("typescript") => declarations.to_string(),
        Some("json") => declarations.description().to_json(),
        Some("schema") => Schemas::new(declarations.description().clone()).to_string(),
        Some(other) => return Err(format!("--as is typescript, json or schema, not {other}")),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| format!("cannot print: {error}"))
}

fn is_help(word: &str) -> bool {
    matches!(word, "help" | "--help" | "-h")
}

async fn run() -> Result<ExitCode, String> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("serve") => {
            let known = [
                "listen",
                "webtransport",
                "tcp",
                "unix",
                "ping-interval",
                "ping-timeout",
                "peer-version",
            ];
            serve::serve(Arguments::parse(words, &known)?).await
        }
        Some("proxy") => {
            let mut arguments = Arguments::parse(words, &["listen"])?;
            proxy::serve(&arguments.listen()).await
        }
        Some("client") => {
            let known = [
                "url",
                "peer",
                "over",
                "only",
                "without",
                "webtransport",
                "hash",
                "seed",
                "values",
            ];
            let arguments = Arguments::parse(words, &known)?;
            return client::run(arguments).await;
        }
        Some("rows") => rows::serve(Arguments::parse(words, &["listen"])?).await,
        Some("page") => page::serve(Arguments::parse(words, &["listen"])?).await,
        Some("dts") => dts(Arguments::parse(words, &["of", "as"])?),
        Some("compare") => return compare(Arguments::parse(words, &["of", "file"])?),
        Some("watch") => {
            let known = ["url", "ping-interval", "ping-timeout"];
            return watch::run(Arguments::parse(words, &known)?).await;
        }
        Some("chaos") => {
            let known = [
                "to",
                "calls",
                "seed",
                "seconds",
                "ping-interval",
                "ping-timeout",
                "hash",
            ];
            let words: Vec<_> = words.collect();
            if words.iter().any(|word| is_help(word)) {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            let arguments =
                Arguments::parse_with_switches(words.into_iter(), &known, &["idempotent"])?;
            return chaos::run(arguments).await;
        }
        Some("storm") => {
            let known = ["node", "over", "calls", "seed", "minutes"];
            return storm::run(Arguments::parse(words, &known)?).await;
        }
        Some("notes") => {
            let known = ["url", "token", "prefix"];
            return notes::run(Arguments::parse(words, &known)?).await;
        }
        Some("rooms") => {
            return rooms::run(Arguments::parse(words, &["url", "sender"])?).await;
        }
        Some(word) if is_help(word) => {
            println!("{USAGE}");
            Ok(())
        }
        Some("attack") => {
            let mut arguments = Arguments::parse(words, &["only", "table"])?;
            let (only, table) = (arguments.take("only"), arguments.take("table"));
            return tokio::task::spawn_blocking(move || attack::run(only.as_deref(), table))
                .await
                .map_err(|error| error.to_string())?;
        }
        _ => Err(USAGE.to_owned()),
    }
    .map(|()| ExitCode::SUCCESS)
}
