//! Events for `tracing`: messages in both directions, limits and ends.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use capnweb_core::{Limits, Object, Session, SessionOptions};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Collects events as text.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() != "session" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "capnweb"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = event.metadata().level().to_string();
        event.record(&mut Fields(&mut text));
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn messages_limits_and_the_end_are_traced() {
    let events = Events::default();
    tracing::subscriber::with_default(events.clone(), || {
        let limits = Limits::default().with_max_exports(2);
        let (_session, mut connection) = Session::server(SessionOptions::new().with_limits(limits));
        connection.set_main(Object::new().method("f", async || Ok(7)).into_stub());
        for message in [
            r#"["push",["pipeline",0,["f"],[]]]"#,
            r#"["pull",1]"#,
            r#"["push",["pipeline",0,["f"],[]]]"#,
        ] {
            connection.receive(message).unwrap();
        }
        drop(connection.take_outgoing());
        connection
            .receive(r#"["push",["pipeline",0,["f"],[]]]"#)
            .unwrap_err();
    });
    let events = events.0.lock().unwrap().clone();
    assert_eq!(
        events,
        [
            r#"TRACE message=received kind="push" len=32"#,
            r#"TRACE message=received kind="pull" id=1 len=10"#,
            r#"TRACE message=received kind="push" len=32"#,
            r#"TRACE message=sending kind="resolve" id=1 len=15"#,
            r#"TRACE message=received kind="push" len=32"#,
            "TRACE message=a limit was exceeded limit=Exports",
            "DEBUG message=the session has ended reason=RangeError: the session exceeds 2 exports \
             (limit max_exports)",
        ],
        "{events:#?}"
    );
}
