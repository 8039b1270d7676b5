//! Propagation of traces along with calls.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tracing::Span;

/// Carries traces across a session, call by call. Set it with
/// [`SessionOptions::with_trace_propagator`](crate::SessionOptions::with_trace_propagator).
///
/// A context is a short text, such as a W3C `traceparent`. It is sent as the third element of the
/// call's `push`, which peers without a propagator ignore.
///
/// With the feature `opentelemetry`, `capnweb::OpenTelemetryPropagator` does this for
/// OpenTelemetry.
pub trait TracePropagator: Send + Sync + 'static {
    /// Returns the context of the current span, for a call that is about to be sent. Contexts that
    /// are longer than 256 bytes, or contain other characters than those of printable ASCII except
    /// `"` and `\`, are not sent.
    fn current(&self) -> Option<String>;

    /// Makes a call's span a part of the trace that the peer has sent. The span has not been
    /// entered yet.
    ///
    /// The peer chooses the context, so check its form.
    fn set_parent(&self, span: &Span, context: &str);
}

/// The propagator of a session.
#[derive(Clone)]
pub(crate) struct Propagator(Arc<dyn TracePropagator>);

impl Propagator {
    pub(crate) fn new(propagator: impl TracePropagator) -> Self {
        Self(Arc::new(propagator))
    }

    /// Returns the context of the current span, if it can be sent.
    #[cold]
    pub(crate) fn current(&self) -> Option<String> {
        const MAX_LEN: usize = 256;
        let context = catch_unwind(AssertUnwindSafe(|| self.0.current()));
        let context = context.unwrap_or_else(|_| {
            panicked();
            None
        })?;
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        (context.len() <= MAX_LEN && context.bytes().all(is_plain)).then_some(context)
    }

    #[cold]
    pub(crate) fn set_parent(&self, span: &Span, context: &str) {
        if catch_unwind(AssertUnwindSafe(|| self.0.set_parent(span, context))).is_err() {
            panicked();
        }
    }
}

fn panicked() {
    tracing::error!(target: "capnweb", "a trace propagator panicked");
}

impl fmt::Debug for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Propagator")
    }
}
