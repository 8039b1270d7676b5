//! Session metrics for any exporter that supports the crate `metrics`.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use capnweb_core::{
    CallInfo, CallOutcome, Direction, Error, Limit, MessageInfo, Observer, SessionInfo,
    SessionRole, WeakSession,
};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit,
};

/// An [`Observer`] that records metrics of sessions.
///
/// | name | type | labels |
/// |---|---|---|
/// | `capnweb_sessions` | gauge | `transport`, `role` |
/// | `capnweb_sessions_opened_total` | counter | `transport`, `role` |
/// | `capnweb_sessions_ended_total` | counter | `reason`: `normal`, `here`, `peer`, `network`, `silence`, `protocol` or `limit` |
/// | `capnweb_calls_in_flight` | gauge | `side`, `method` |
/// | `capnweb_call_duration_seconds` | histogram | `side`, `method`, `outcome` |
/// | `capnweb_messages_total` | counter | `direction` |
/// | `capnweb_bytes_total` | counter | `direction` |
/// | `capnweb_limit_exceeded_total` | counter | `limit` |
/// | `capnweb_streams` | gauge | `direction` |
/// | `capnweb_exports`, `capnweb_imports` | gauge | |
/// | `capnweb_held_bytes`, `capnweb_unsent_bytes`, `capnweb_stream_bytes` | gauge | |
///
/// `side` and `direction` are `in` or `out`. `outcome` is `ok`, `error` or `dropped`; a call in
/// flight has none yet. `method` is the name of a declared method. All other
/// calls are counted as `other`, so that peers cannot invent labels. The gauges without labels are
/// sums over all sessions, and are set by [`update`](Self::update).
///
/// Clones share the same metrics.
///
/// ```
/// use std::sync::Arc;
///
/// use capnweb_core::{Session, SessionOptions};
/// use capnweb_net::Metrics;
///
/// // After the exporter's recorder has been installed.
/// let metrics = Metrics::new();
/// let options = SessionOptions::new().with_observer(Arc::new(metrics.clone()));
/// let (_session, _connection) = Session::server(options);
/// // Before each export.
/// metrics.update();
/// ```
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    recorder: Source,
    messages: ByDirection<Counter>,
    bytes: ByDirection<Counter>,
    streams: ByDirection<Gauge>,
    held: Held,
    sessions: Mutex<BTreeMap<u64, WeakSession>>,
    calls: ByDirection<RwLock<HashMap<String, Arc<Calls>>>>,
}

/// The recorder with which metrics are registered.
enum Source {
    Global,
    Own(Arc<dyn Recorder + Send + Sync>),
}

/// A metric for each direction.
struct ByDirection<T> {
    incoming: T,
    outgoing: T,
}

impl<T> ByDirection<T> {
    fn new(mut make: impl FnMut(Direction) -> T) -> Self {
        Self {
            incoming: make(Direction::Incoming),
            outgoing: make(Direction::Outgoing),
        }
    }

    fn get(&self, direction: Direction) -> &T {
        match direction {
            Direction::Incoming => &self.incoming,
            Direction::Outgoing => &self.outgoing,
        }
    }
}

/// Sums over all sessions.
struct Held {
    exports: Gauge,
    imports: Gauge,
    held_bytes: Gauge,
    unsent_bytes: Gauge,
    stream_bytes: Gauge,
}

/// The metrics of a method.
struct Calls {
    in_flight: Gauge,
    ok: Histogram,
    error: Histogram,
    dropped: Histogram,
}

const METADATA: Metadata<'static> = Metadata::new("capnweb", Level::INFO, None);

const GAUGES: [(&str, Option<Unit>, &str); 8] = [
    ("capnweb_sessions", None, "Sessions that are open."),
    (
        "capnweb_calls_in_flight",
        None,
        "Calls that have not finished.",
    ),
    ("capnweb_streams", None, "Streams that are written to."),
    (
        "capnweb_exports",
        None,
        "Objects and results that peers hold.",
    ),
    (
        "capnweb_imports",
        None,
        "Objects and promises of peers that are held.",
    ),
    (
        "capnweb_held_bytes",
        Some(Unit::Bytes),
        "Memory that is held for peers.",
    ),
    (
        "capnweb_unsent_bytes",
        Some(Unit::Bytes),
        "Bytes that wait to be sent.",
    ),
    (
        "capnweb_stream_bytes",
        Some(Unit::Bytes),
        "Bytes that peers have written to streams and nobody has read.",
    ),
];

const COUNTERS: [(&str, Option<Unit>, &str); 5] = [
    (
        "capnweb_sessions_opened_total",
        None,
        "Sessions that were opened.",
    ),
    (
        "capnweb_sessions_ended_total",
        None,
        "Sessions that have ended.",
    ),
    ("capnweb_messages_total", None, "Messages."),
    (
        "capnweb_bytes_total",
        Some(Unit::Bytes),
        "Bytes of messages, as JSON.",
    ),
    (
        "capnweb_limit_exceeded_total",
        None,
        "Limits that were exceeded.",
    ),
];

/// The name of the histogram of call durations. Use it to configure an exporter's buckets.
pub const CALL_DURATION: &str = "capnweb_call_duration_seconds";

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates metrics in the global recorder, which must already be installed.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Source::Global)
    }

    /// Creates metrics in a recorder other than the global one.
    #[must_use]
    pub fn with_recorder(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self::of(Source::Own(Arc::new(recorder)))
    }

    fn of(recorder: Source) -> Self {
        recorder.with(describe);
        let direction = |direction: Direction| label("direction", direction.as_str());
        let counters = |name| ByDirection::new(|it| recorder.counter(name, vec![direction(it)]));
        let sum = |name| recorder.gauge(name, Vec::new());
        let (messages, bytes) = (
            counters("capnweb_messages_total"),
            counters("capnweb_bytes_total"),
        );
        let streams = ByDirection::new(|it| recorder.gauge("capnweb_streams", vec![direction(it)]));
        let held = Held {
            exports: sum("capnweb_exports"),
            imports: sum("capnweb_imports"),
            held_bytes: sum("capnweb_held_bytes"),
            unsent_bytes: sum("capnweb_unsent_bytes"),
            stream_bytes: sum("capnweb_stream_bytes"),
        };
        Self {
            shared: Arc::new(Shared {
                recorder,
                messages,
                bytes,
                streams,
                held,
                sessions: Mutex::default(),
                calls: ByDirection::new(|_| RwLock::default()),
            }),
        }
    }

    /// Sets the gauges that are sums over all sessions. Call this before each export.
    pub fn update(&self) {
        let listed: Vec<_> = {
            let sessions = self.shared.sessions.lock();
            let sessions = sessions.unwrap_or_else(PoisonError::into_inner);
            sessions.values().cloned().collect()
        };
        let mut sums = [0; 5];
        for session in listed.iter().filter_map(WeakSession::upgrade) {
            let stats = session.stats();
            let amounts = [
                stats.exports,
                stats.imports,
                session.held_bytes(),
                session.unsent_bytes(),
                session.stream_bytes(),
            ];
            for (sum, amount) in sums.iter_mut().zip(amounts) {
                *sum += amount;
            }
        }
        let held = &self.shared.held;
        let gauges = [
            &held.exports,
            &held.imports,
            &held.held_bytes,
            &held.unsent_bytes,
            &held.stream_bytes,
        ];
        for (gauge, sum) in gauges.into_iter().zip(sums) {
            #[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
            gauge.set(sum as f64);
        }
    }

    /// Returns the metrics of a method. They are registered at its first call.
    fn calls(&self, call: &CallInfo<'_>) -> Arc<Calls> {
        let known = self.shared.calls.get(call.side());
        let found = known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(calls) = found.get(call.label()) {
            return calls.clone();
        }
        drop(found);
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        let calls = known
            .entry(call.label().to_owned())
            .or_insert_with(|| Arc::new(self.register(call)));
        calls.clone()
    }

    fn register(&self, call: &CallInfo<'_>) -> Calls {
        let labels = || {
            let method = call.label().to_owned();
            vec![label("side", call.side().as_str()), label("method", method)]
        };
        let duration = |outcome: &'static str| {
            let mut labels = labels();
            labels.push(label("outcome", outcome));
            self.shared.recorder.histogram(CALL_DURATION, labels)
        };
        Calls {
            in_flight: (self.shared.recorder).gauge("capnweb_calls_in_flight", labels()),
            ok: duration("ok"),
            error: duration("error"),
            dropped: duration("dropped"),
        }
    }

    fn sessions_of(&self, session: &SessionInfo) -> Gauge {
        let labels = session_labels(session);
        self.shared.recorder.gauge("capnweb_sessions", labels)
    }
}

impl Source {
    fn with<R>(&self, with: impl FnOnce(&dyn Recorder) -> R) -> R {
        match self {
            Self::Global => metrics::with_recorder(|recorder| with(recorder)),
            Self::Own(recorder) => with(&**recorder),
        }
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>) -> Counter {
        let key = Key::from_parts(name, labels);
        self.with(|recorder| recorder.register_counter(&key, &METADATA))
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>) -> Gauge {
        let key = Key::from_parts(name, labels);
        self.with(|recorder| recorder.register_gauge(&key, &METADATA))
    }

    fn histogram(&self, name: &'static str, labels: Vec<Label>) -> Histogram {
        let key = Key::from_parts(name, labels);
        self.with(|recorder| recorder.register_histogram(&key, &METADATA))
    }
}

fn describe(recorder: &dyn Recorder) {
    let name = |name: &'static str| KeyName::from_const_str(name);
    for (gauge, unit, text) in GAUGES {
        recorder.describe_gauge(name(gauge), unit, SharedString::const_str(text));
    }
    for (counter, unit, text) in COUNTERS {
        recorder.describe_counter(name(counter), unit, SharedString::const_str(text));
    }
    recorder.describe_histogram(
        name(CALL_DURATION),
        Some(Unit::Seconds),
        SharedString::const_str("The time that calls take."),
    );
}

fn label(key: &'static str, value: impl Into<Cow<'static, str>>) -> Label {
    Label::new(key, value.into().into_owned())
}

fn session_labels(session: &SessionInfo) -> Vec<Label> {
    let role = match session.role() {
        SessionRole::Client => "client",
        _ => "server",
    };
    vec![label("transport", session.transport()), label("role", role)]
}

/// Returns the label for the end of a session.
fn end_reason(reason: &Error) -> &'static str {
    match reason.session_end() {
        Some(end) if end.is_normal() => "normal",
        Some(end) => end.cause().as_str(),
        None => "here",
    }
}

impl Observer for Metrics {
    fn session_opened(&self, session: &SessionInfo) {
        self.sessions_of(session).increment(1);
        let labels = session_labels(session);
        let opened = (self.shared.recorder).counter("capnweb_sessions_opened_total", labels);
        opened.increment(1);
        if let Some(handle) = session.session() {
            let mut sessions =
                (self.shared.sessions.lock()).unwrap_or_else(PoisonError::into_inner);
            sessions.insert(session.id(), handle.downgrade());
        }
    }

    fn session_ended(&self, session: &SessionInfo, reason: &Error) {
        self.sessions_of(session).decrement(1);
        let labels = vec![label("reason", end_reason(reason))];
        let ended = (self.shared.recorder).counter("capnweb_sessions_ended_total", labels);
        ended.increment(1);
        let mut sessions = (self.shared.sessions.lock()).unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&session.id());
    }

    fn message(&self, _: &SessionInfo, message: &MessageInfo<'_>) {
        let direction = message.direction();
        self.shared.messages.get(direction).increment(1);
        let len = u64::try_from(message.len()).unwrap_or(u64::MAX);
        self.shared.bytes.get(direction).increment(len);
    }

    fn call_started(&self, _: &SessionInfo, call: &CallInfo<'_>) {
        self.calls(call).in_flight.increment(1);
    }

    fn call_finished(
        &self,
        _: &SessionInfo,
        call: &CallInfo<'_>,
        outcome: CallOutcome<'_>,
        elapsed: Duration,
    ) {
        let calls = self.calls(call);
        calls.in_flight.decrement(1);
        let durations = match outcome {
            CallOutcome::Ok => &calls.ok,
            CallOutcome::Failed(_) => &calls.error,
            _ => &calls.dropped,
        };
        durations.record(elapsed);
    }

    fn limit_exceeded(&self, _: &SessionInfo, limit: Limit) {
        let labels = vec![label("limit", limit.as_str())];
        let exceeded = (self.shared.recorder).counter("capnweb_limit_exceeded_total", labels);
        exceeded.increment(1);
    }

    fn stream_opened(&self, _: &SessionInfo, direction: Direction) {
        self.shared.streams.get(direction).increment(1);
    }

    fn stream_ended(&self, _: &SessionInfo, direction: Direction, _: Duration) {
        self.shared.streams.get(direction).decrement(1);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
