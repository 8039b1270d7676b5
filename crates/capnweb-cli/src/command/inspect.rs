//! `capnweb inspect`.

use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use capnweb::Date;
use capnweb_inspect::{Options, Reader, Redactor, Session, mermaid, report, svg};
use hyper::header::{HeaderName, HeaderValue};
use tokio::net::TcpListener;

use crate::{
    arguments::Inspect,
    connect::Trust,
    failure::{Code, Failure},
    inspect::{
        feed::Feed,
        proxy::Proxy,
        upstream::Upstream,
        view::{self, SessionView},
        web::{self, Web},
    },
    output::{self, human::harmless, iso},
    stream::output_failure,
};

pub(super) async fn run(inspect: &Inspect) -> Result<(), Failure> {
    match (&inspect.recording, inspect.listen, &inspect.to) {
        (Some(path), None, None) => recording(inspect, path).await,
        (None, Some(listen), Some(to)) => live(inspect, listen, to).await,
        (None, Some(_), None) => {
            Err(Failure::usage("--listen needs --to").help("for instance: --to ws://127.0.0.1:8080/api"))
        }
        (None, None, Some(_)) => {
            Err(Failure::usage("--to needs --listen").help("for instance: --listen 127.0.0.1:9000"))
        }
        _ => Err(Failure::usage("there is nothing to inspect").help(
            "name a recording, or let sessions pass through: capnweb inspect --listen 127.0.0.1:9000 --to ws://…",
        )),
    }
}

/// Looks at a recording.
async fn recording(inspect: &Inspect, path: &Path) -> Result<(), Failure> {
    let feed = Feed::new(None, Options::unbounded());
    read(&feed, path)?;
    if let Some(address) = inspect.web {
        return serve_page(inspect, feed, address).await;
    }
    let out = match inspect.form.html {
        true => web::page_with(&feed),
        false => printed(inspect, &feed, path)?,
    };
    output::write_out(out.as_bytes()).map_err(|error| output_failure(&error, None))
}

/// Returns what is asked of a recording.
fn printed(inspect: &Inspect, feed: &Feed, path: &Path) -> Result<String, Failure> {
    let state = feed.lock();
    let chosen: Vec<&Session> = match inspect.session {
        None => state.follower.sessions().collect(),
        Some(id) => match state.follower.session(id) {
            Some(session) => vec![session],
            None => {
                return Err(Failure::usage(format!(
                    "there is no session {id} in {}",
                    path.display()
                )));
            }
        },
    };
    let form = &inspect.form;
    if form.leaks {
        return leaks(&chosen).map(|()| String::new());
    }
    if form.mermaid {
        return single(&chosen, path).map(mermaid);
    }
    if form.svg {
        return single(&chosen, path).map(svg);
    }
    if form.json {
        let views = chosen.iter().map(|session| SessionView::whole(session));
        return Ok(view::json(views) + "\n");
    }
    let reports: Vec<_> = chosen.iter().map(|session| report(session)).collect();
    Ok(harmless(&reports.join("\n")))
}

fn read(feed: &Feed, path: &Path) -> Result<(), Failure> {
    let failed = |why: String| Failure::usage(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut reader = Reader::new(std::io::BufReader::new(file)).map_err(|error| {
        failed(error.to_string())
            .help("a recording is made with: capnweb inspect --listen … --to … --record FILE")
    })?;
    let mut state = feed.lock();
    for entry in reader.by_ref() {
        state
            .follower
            .follow(&entry.map_err(|error| failed(error.to_string()))?);
    }
    if reader.is_cut() {
        eprintln!(
            "capnweb inspect: the last line of {} was cut off",
            path.display()
        );
    }
    Ok(())
}

/// Returns the session that a picture shows.
fn single<'a>(chosen: &[&'a Session], path: &Path) -> Result<&'a Session, Failure> {
    match chosen {
        [session] => Ok(session),
        [] => Err(Failure::usage(format!(
            "there is no session in {}",
            path.display()
        ))),
        many => {
            let ids: Vec<_> = many
                .iter()
                .take(20)
                .map(|session| session.id().to_string())
                .collect();
            Err(
                Failure::usage(format!("{} holds {} sessions", path.display(), many.len())).help(
                    format!("a picture shows one of them: --session {}", ids.join(", ")),
                ),
            )
        }
    }
}

/// Prints leaks. Fails if there are any, so that scripts notice.
fn leaks(sessions: &[&Session]) -> Result<(), Failure> {
    let leaks: Vec<_> = sessions
        .iter()
        .flat_map(|session| session.leaks())
        .collect();
    let lines: Vec<_> = leaks
        .iter()
        .map(|leak| format!("session {}: {leak}\n", leak.session))
        .collect();
    output::write_out(lines.concat().as_bytes()).map_err(|error| output_failure(&error, None))?;
    match leaks.len() {
        0 => Ok(()),
        1 => Err(Failure::new(Code::Peer, "1 reference leaked")),
        count => Err(Failure::new(
            Code::Peer,
            format!("{count} references leaked"),
        )),
    }
}

async fn bind(inspect: &Inspect, what: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    if !address.ip().is_loopback() && !inspect.allow_remote {
        return Err(Failure::usage(format!(
            "{what} {address}: others could reach this, and read what passes"
        ))
        .help("listen on 127.0.0.1, or add --allow-remote if that is meant"));
    }
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::new(Code::Connect, format!("{what} {address}: {error}")))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener
        .local_addr()
        .map_err(|error| Failure::new(Code::Connect, error.to_string()))
}

async fn serve_page(inspect: &Inspect, feed: Feed, address: SocketAddr) -> Result<(), Failure> {
    let listener = bind(inspect, "--web", address).await?;
    let address = local(&listener)?;
    eprintln!("the page: http://{address}/");
    tokio::select! {
        served = Web::new(feed, address).serve(listener) => {
            served.map_err(|error| Failure::new(Code::Connect, format!("--web: {error}")))
        }
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Looks at sessions that pass through.
async fn live(inspect: &Inspect, listen: SocketAddr, to: &str) -> Result<(), Failure> {
    let trust = match (&inspect.cacert, inspect.insecure) {
        (Some(path), _) => Trust::from_pem(path)?,
        (None, true) => Trust::Anything,
        (None, false) => Trust::Platform,
    };
    let upstream = Upstream::parse(to, &trust, inspect.timeout.0)?;
    let headers = inspect
        .headers
        .iter()
        .map(|header| parse_header(header))
        .collect::<Result<_, _>>()?;
    let redactor = (!inspect.no_redact).then(|| {
        inspect
            .redact
            .iter()
            .fold(Redactor::new(), |redactor, name| redactor.also(name))
    });
    let options = Options::default().max_calls(inspect.window);
    let feed = Feed::new(redactor, options);
    if let Some(path) = &inspect.record {
        let created = File::create(path).and_then(|file| feed.record(file, to, now()));
        created.map_err(|error| output_failure(&error, Some(path)))?;
    }
    let listener = bind(inspect, "--listen", listen).await?;
    let address = local(&listener)?;
    eprintln!("listening on ws://{address}/ and http://{address}/, for {to}");
    let proxy = Arc::new(Proxy {
        upstream,
        headers,
        feed: feed.clone(),
    });
    let page = async {
        match inspect.web {
            Some(address) => serve_page(inspect, feed.clone(), address).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        served = proxy.serve(listener) => {
            served.map_err(|error| Failure::new(Code::Connect, format!("--listen: {error}")))
        }
        shown = page => shown,
        shown = show(inspect, &feed) => shown,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

#[cfg(feature = "tui")]
async fn show(inspect: &Inspect, feed: &Feed) -> Result<(), Failure> {
    match inspect.tui {
        true => crate::inspect::tui::run(feed).await,
        false => print(inspect, feed).await,
    }
}

#[cfg(not(feature = "tui"))]
async fn show(inspect: &Inspect, feed: &Feed) -> Result<(), Failure> {
    print(inspect, feed).await
}

/// Prints each session once it has ended, and leaks.
async fn print(inspect: &Inspect, feed: &Feed) -> Result<(), Failure> {
    let mut changed = feed.watch();
    let mut printed = std::collections::BTreeSet::new();
    loop {
        let mut out = String::new();
        {
            let mut state = feed.lock();
            if let Some(error) = state.take_failure() {
                return Err(output_failure(&error, inspect.record.as_deref()));
            }
            let ended = state
                .follower
                .sessions()
                .filter(|session| session.closed().is_some());
            for session in ended {
                if !printed.insert(session.id()) || inspect.quiet {
                    continue;
                }
                out.push_str(&report(session));
                for leak in session.leaks() {
                    out.push_str(&format!("  leak: {leak}\n"));
                }
                out.push('\n');
            }
            if let Some(first) = state.follower.sessions().next().map(Session::id) {
                printed = printed.split_off(&first);
            }
        }
        if !out.is_empty() {
            output::write_out(harmless(&out).as_bytes())
                .map_err(|error| output_failure(&error, None))?;
        }
        if changed.changed().await.is_err() {
            return Ok(());
        }
    }
}

pub(super) fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let refused = |why: String| {
        Failure::usage(format!("the header `{text}`: {why}"))
            .help("for instance: -H 'Authorization: Bearer …'")
    };
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| refused("it has no `:`".to_owned()))?;
    Ok((
        name.trim()
            .parse()
            .map_err(|error| refused(format!("{error}")))?,
        value
            .trim()
            .parse()
            .map_err(|error| refused(format!("{error}")))?,
    ))
}

fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    iso::format(Date::from_millis(
        i64::try_from(since.as_millis()).unwrap_or_default(),
    ))
}
