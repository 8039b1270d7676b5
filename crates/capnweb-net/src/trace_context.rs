//! Propagation of trace contexts: in request headers, W3C `traceparent` or the headers that
//! OpenTelemetry's global propagator uses, and with each call.

use std::collections::HashMap;

use capnweb_core::TracePropagator;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    global,
    propagation::{Extractor, Injector},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Returns a span for a session. Its parent is the client's span in the headers.
///
/// Without such headers, the parent is the current span.
#[must_use]
pub fn session_span(headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(target: "capnweb", "session");
    let parent = global::get_text_map_propagator(|it| it.extract(&Headers(headers)));
    if opentelemetry::trace::TraceContextExt::has_active_span(&parent) {
        // This fails only if OpenTelemetry is not set up.
        let _ = span.set_parent(parent);
    }
    span
}

/// Returns the request headers that identify the current span.
#[must_use]
pub fn current_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let context = Span::current().context();
    global::get_text_map_propagator(|it| it.inject_context(&context, &mut Added(&mut headers)));
    headers
}

/// Carries OpenTelemetry's traces across a session, call by call. Set it with
/// [`SessionOptions::with_trace_propagator`](capnweb_core::SessionOptions::with_trace_propagator)
/// at both ends.
///
/// The W3C `traceparent` of the span in which a call is made travels with the call, if
/// OpenTelemetry's global propagator is the W3C one. Its `tracestate` and baggage do not.
///
/// ```
/// use capnweb_core::SessionOptions;
/// use capnweb_net::OpenTelemetryPropagator;
///
/// let options = SessionOptions::new().with_trace_propagator(OpenTelemetryPropagator);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenTelemetryPropagator;

/// The name of the W3C header, whose value is sent with calls.
const TRACEPARENT: &str = "traceparent";

impl TracePropagator for OpenTelemetryPropagator {
    fn current(&self) -> Option<String> {
        let context = Span::current().context();
        let mut carrier = HashMap::new();
        global::get_text_map_propagator(|it| it.inject_context(&context, &mut carrier));
        carrier.remove(TRACEPARENT)
    }

    fn set_parent(&self, span: &Span, context: &str) {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), context.to_owned())]);
        let parent = global::get_text_map_propagator(|it| it.extract(&carrier));
        if opentelemetry::trace::TraceContextExt::has_active_span(&parent) {
            // This fails only if OpenTelemetry is not set up.
            let _ = span.set_parent(parent);
        }
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Added<'a>(&'a mut HeaderMap);

impl Injector for Added<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::try_from(key);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
