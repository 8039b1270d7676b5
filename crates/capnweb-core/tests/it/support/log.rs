//! An observer that writes down what it is told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use capnweb_core::{
    CallInfo, CallOutcome, Direction, Error, Limit, MessageInfo, Observer, SessionInfo,
};

/// Writes down what it is told, an event a line. Messages are written down if asked for.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<String>>,
    with_messages: bool,
}

impl Log {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn with_messages() -> Arc<Self> {
        Arc::new(Self {
            with_messages: true,
            ..Self::default()
        })
    }

    fn add(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    /// Takes what was written down.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    /// Returns whether a line was written down.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|it| it == line)
    }
}

fn call_line(call: &CallInfo<'_>) -> String {
    let (side, kind) = (call.side().as_str(), call.kind());
    format!("{side} {kind:?} {:?} as {}", call.method(), call.label())
}

impl Observer for Log {
    fn session_opened(&self, session: &SessionInfo) {
        // The session can be looked at from the start.
        assert_eq!(session.session().unwrap().id(), session.id());
        let (role, transport) = (session.role().as_str(), session.transport());
        self.add(format!("opened {role} {transport}"));
    }

    fn session_ended(&self, _: &SessionInfo, reason: &Error) {
        let cause = reason.session_end().map(|end| end.cause());
        self.add(format!("ended {cause:?}"));
    }

    fn message(&self, _: &SessionInfo, message: &MessageInfo<'_>) {
        if self.with_messages {
            let (direction, len) = (message.direction().as_str(), message.len());
            self.add(format!(
                "{direction} {} {:?} {len}",
                message.kind(),
                message.id()
            ));
        }
    }

    fn call_started(&self, _: &SessionInfo, call: &CallInfo<'_>) {
        self.add(format!("started {}", call_line(call)));
    }

    fn call_finished(
        &self,
        _: &SessionInfo,
        call: &CallInfo<'_>,
        outcome: CallOutcome<'_>,
        _: Duration,
    ) {
        let reason = match outcome {
            CallOutcome::Failed(error) => format!(": {error}"),
            _ => String::new(),
        };
        self.add(format!(
            "finished {}: {}{reason}",
            call_line(call),
            outcome.as_str()
        ));
    }

    fn limit_exceeded(&self, _: &SessionInfo, limit: Limit) {
        self.add(format!("limit {limit:?}"));
    }

    fn stream_opened(&self, _: &SessionInfo, direction: Direction) {
        self.add(format!("stream {} opened", direction.as_str()));
    }

    fn stream_ended(&self, _: &SessionInfo, direction: Direction, _: Duration) {
        self.add(format!("stream {} ended", direction.as_str()));
    }
}
