//! Counters of a session's messages.
//!
//! The library reports each message as a `tracing` event. The meter is the global subscriber of the
//! process and listens to these events only.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// The numbers of messages, calls and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Calls, reads and maps that were sent.
    pub(crate) calls: u64,
    /// Calls that the server made to this program.
    pub(crate) calls_received: u64,
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    /// Bytes of the messages, without the framing of the transport.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// The number of times that something was sent after an answer had arrived, including the first
    /// time.
    pub(crate) round_trips: u64,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    /// True if nothing was received since the last call was sent.
    is_asking: bool,
}

/// Counts the messages of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<State>>);

impl Meter {
    /// Installs a meter that counts all messages of this process from now on.
    ///
    /// Only the first meter of a process counts anything.
    pub(crate) fn install() -> Self {
        let meter = Self::default();
        let listener = Listener {
            meter: meter.clone(),
            spans: AtomicU64::new(1),
        };
        // It fails if there is another subscriber already.
        let _ = tracing::subscriber::set_global_default(listener);
        meter
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn sent(&self, kind: &str, len: u64) {
        let mut state = self.lock();
        state.counts.messages_sent += 1;
        state.counts.bytes_sent += len;
        if matches!(kind, "push" | "stream") {
            state.counts.calls += 1;
            if !state.is_asking {
                state.counts.round_trips += 1;
            }
            state.is_asking = true;
        }
    }

    fn received(&self, kind: &str, len: u64) {
        let mut state = self.lock();
        state.counts.messages_received += 1;
        state.counts.bytes_received += len;
        match kind {
            "push" | "stream" => state.counts.calls_received += 1,
            "resolve" | "reject" => state.is_asking = false,
            _ => {}
        }
    }
}

impl Counts {
    /// Returns the difference from `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            calls: self.calls - earlier.calls,
            calls_received: self.calls_received - earlier.calls_received,
            messages_sent: self.messages_sent - earlier.messages_sent,
            messages_received: self.messages_received - earlier.messages_received,
            bytes_sent: self.bytes_sent - earlier.bytes_sent,
            bytes_received: self.bytes_received - earlier.bytes_received,
            round_trips: self.round_trips - earlier.round_trips,
        }
    }

    /// Returns the counts as JSON.
    pub(crate) fn to_json(self) -> String {
        format!(
            r#"{{"calls":{},"callsReceived":{},"messagesSent":{},"messagesReceived":{},"bytesSent":{},"bytesReceived":{},"roundTrips":{}}}"#,
            self.calls,
            self.calls_received,
            self.messages_sent,
            self.messages_received,
            self.bytes_sent,
            self.bytes_received,
            self.round_trips
        )
    }
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Formats the counts as one line.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}, {} sent ({} bytes), {} received ({} bytes)",
            plural(self.calls, "call"),
            plural(self.round_trips, "round trip"),
            plural(self.messages_sent, "message"),
            self.bytes_sent,
            self.messages_received,
            self.bytes_received
        )?;
        if self.calls_received > 0 {
            write!(f, ", called {}", plural(self.calls_received, "time"))?;
        }
        Ok(())
    }
}

struct Listener {
    meter: Meter,
    spans: AtomicU64,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "capnweb" && !metadata.is_span() && *metadata.level() == Level::TRACE
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message::default();
        event.record(&mut message);
        match message.text.as_str() {
            "sending" => self.meter.sent(&message.kind, message.len),
            "received" => self.meter.received(&message.kind, message.len),
            _ => {}
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The fields of an event.
#[derive(Default)]
struct Message {
    text: String,
    kind: String,
    len: u64,
}

impl Visit for Message {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "len" {
            self.len = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "kind" {
            value.clone_into(&mut self.kind);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.text = format!("{value:?}"),
            // `usize` has no method of its own in `Visit`.
            "len" => self.len = format!("{value:?}").parse().unwrap_or_default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_ends_with_an_answer() {
        let meter = Meter::default();
        for kind in ["push", "push", "pull"] {
            meter.sent(kind, 10);
        }
        meter.received("resolve", 5);
        assert_eq!(meter.counts().round_trips, 1);
        let before = meter.counts();
        meter.sent("release", 10);
        meter.sent("push", 10);
        meter.received("push", 5);
        assert_eq!(
            meter.counts().since(before).to_string(),
            "1 call, 1 round trip, 2 messages sent (20 bytes), 1 received (5 bytes), called 1 time"
        );
        assert_eq!(meter.counts().calls, 3);
    }
}
