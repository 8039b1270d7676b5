//! Propagation of trace contexts in request headers: W3C `traceparent`, or the headers that
//! OpenTelemetry's global propagator uses.

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
