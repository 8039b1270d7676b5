//! Spans for a `tracing` subscriber: one per call, with method, session and outcome.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};

use tracing::{
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::support::{ScriptedPeer, calculator, idle};

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
