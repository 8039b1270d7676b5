//! Spans for a `tracing` subscriber: one per call, with method, session and outcome.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use capnweb_core::{Object, Session, SessionOptions, TracePropagator, pair};
use tracing::{
    Span,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::support::{ScriptedPeer, calculator, idle};

const TRACE: &str = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

type Fields = BTreeMap<&'static str, String>;

/// Collects the fields of the spans of calls, by the span's ID.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<BTreeMap<u64, Fields>>>);

struct Collect<'a>(&'a mut Fields);

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: tracing::Subscriber> Layer<S> for Calls {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "call" {
            let mut calls = self.0.lock().unwrap();
            attributes.record(&mut Collect(calls.entry(id.into_u64()).or_default()));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        if let Some(fields) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(&mut Collect(fields));
        }
    }
}

#[tokio::test]
async fn each_call_has_a_span() {
    let calls = Calls::default();
    let _default =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(calls.clone()));
    let mut peer = ScriptedPeer::server(calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[4]]]"#);
    peer.send(r#"["push",["pipeline",0,["fail"],["no"]]]"#);
    peer.send(r#"["push",["pipeline",0,["wait"],[0]]]"#);
    peer.send(r#"["pull",3]"#);
    peer.connection.answered().await;
    idle().await;

    let calls = calls.0.lock().unwrap();
    let seen: Vec<_> = calls
        .values()
        .map(|fields| (fields["method"].as_str(), fields["outcome"].as_str()))
        .collect();
    assert_eq!(
        seen,
        [("square", "ok"), ("fail", "RangeError: no"), ("wait", "ok")]
    );
    let sessions: Vec<_> = calls.values().map(|fields| &fields["session"]).collect();
    assert!(sessions.windows(2).all(|pair| pair[0] == pair[1]) && sessions[0] != "0");
}

/// Sends a fixed context, and records the contexts that arrive by the ID of the call's span.
#[derive(Clone, Default)]
struct Recorder {
    sends: Option<&'static str>,
    received: Arc<Mutex<Vec<(u64, String)>>>,
}

impl Recorder {
    fn sending(context: &'static str) -> Self {
        Self {
            sends: Some(context),
            ..Self::default()
        }
    }

    fn options(&self) -> SessionOptions {
        SessionOptions::new().with_trace_propagator(self.clone())
    }
}

impl TracePropagator for Recorder {
    fn current(&self) -> Option<String> {
        self.sends.map(str::to_owned)
    }

    fn set_parent(&self, span: &Span, context: &str) {
        let id = span.id().map_or(0, |id| id.into_u64());
        self.received.lock().unwrap().push((id, context.to_owned()));
    }
}

#[tokio::test]
async fn each_call_has_the_trace_that_came_with_it() {
    let calls = Calls::default();
    let _default =
        tracing::subscriber::set_default(tracing_subscriber::registry().with(calls.clone()));
    let recorder = Recorder::default();
    let mut peer = ScriptedPeer::with(recorder.options(), calculator());
    peer.send(r#"["push",["pipeline",0,["square"],[4]],"first"]"#);
    peer.send(r#" [ "push" , ["pipeline",0,["square"],["x"]] , "second", "fourth element" ] "#);
    // A trace is not left over from an earlier call, and must be a short string.
    peer.send(r#"["push",["pipeline",0,["square"],[4]]]"#);
    peer.send(r#"["push",["pipeline",0,["square"],[4]],{"traceparent":"x"}]"#);
    peer.send(r#"["push",["pipeline",0,["square"],[4]],"esc\u0061ped"]"#);
    let long = "x".repeat(257);
    peer.send(&format!(
        r#"["push",["pipeline",0,["square"],[4]],"{long}"]"#
    ));
    // Calls in the arguments of a call share its trace, also those that wait.
    let nested = r#"["pipeline",0,["wait"],[["pipeline",0,["square"],[2]]]]"#;
    peer.send(&format!(r#"["push",{nested},"nested"]"#));
    peer.send(r#"["pull",7]"#);
    peer.connection.answered().await;
    idle().await;

    let calls = calls.0.lock().unwrap();
    let received = recorder.received.lock().unwrap();
    let mut seen: Vec<_> = received
        .iter()
        .map(|(id, context)| (calls[id]["method"].as_str(), context.as_str()))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("square", "first"),
            ("square", "nested"),
            ("square", "second"),
            ("wait", "nested")
        ]
    );
}

#[tokio::test]
async fn the_context_of_the_current_span_is_sent_with_each_call() {
    for (context, element) in [
        (TRACE, format!(r#","{TRACE}""#)),
        ("", r#","""#.to_owned()),
        ("needs \"escapes\"", String::new()),
    ] {
        let (session, connection) = Session::client(Recorder::sending(context).options());
        let mut peer = ScriptedPeer::over(session, connection);
        let call = peer.session.main().call("add", (2, 3));
        let sent = format!(r#"["push",["pipeline",0,["add"],[2,3]]{element}]"#);
        assert_eq!(peer.next(), Some(sent));
        let map = call.map(|sum| sum);
        let said = peer.next().unwrap();
        assert!(said.starts_with(r#"["push",["remap",1,"#), "{said}");
        assert!(said.ends_with(&format!("]{element}]")), "{said}");
        let stub = Object::new().into_stub();
        let with_stub = peer.session.main().call("keep", (stub,));
        let sent = format!(r#"["push",["pipeline",0,["keep"],[["export",-1]]]{element}]"#);
        assert_eq!(peer.next(), Some(sent));
        let read = peer.session.main().get("name");
        let said = peer.next();
        let sent = format!(r#"["push",["pipeline",0,["name"]]{element}]"#);
        assert!(said.is_none_or(|said| said == sent));
        drop((call, map, with_stub, read));
    }
}

#[tokio::test]
async fn a_trace_is_neither_sent_nor_read_by_default() {
    let (left, right) = pair();
    let recorder = Recorder::sending(TRACE);
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(calculator());
    tokio::spawn(server.drive(left));
    let (session, client) = Session::client(recorder.options());
    tokio::spawn(client.drive(right));
    // The server ignores the element.
    let square = session.main().call("square", (3,)).fetch::<f64>().await;
    assert_eq!(square.unwrap(), 9.0);

    let mut peer = ScriptedPeer::client();
    drop(peer.session.main().call("square", (3,)));
    assert_eq!(
        peer.next().as_deref(),
        Some(r#"["push",["pipeline",0,["square"],[3]]]"#)
    );
}
