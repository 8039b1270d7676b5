//! The context of a trace goes from client to server, in the headers of a WebSocket or batch, or
//! with each call.

use capnweb::{
    Object, OpenTelemetryPropagator, SessionOptions, Stub,
    axum::{Rpc, rpc},
};
use opentelemetry::{global, trace::TracerProvider as _};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{InMemorySpanExporter, SdkTracerProvider, SpanData},
};
use tracing::Instrument as _;
use tracing_subscriber::prelude::*;

use crate::support::{Server, api, soon};

/// Collects the spans of this thread until the guard is dropped.
fn collect() -> (InMemorySpanExporter, tracing::subscriber::DefaultGuard) {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    (exporter, subscriber.set_default())
}

/// The spans of a client that calls over both transports from within a span, and of its server.
async fn spans(server: Server) -> Vec<SpanData> {
    let (exporter, _default) = collect();
    async {
        let web_socket = server.connect().await;
        soon(web_socket.call("square", (3,))).await.unwrap();
    }
    .instrument(tracing::info_span!("by web socket"))
    .await;
    async {
        soon(server.batch().call("square", (3,))).await.unwrap();
    }
    .instrument(tracing::info_span!("by batch"))
    .await;
    let spans = || exporter.get_finished_spans().unwrap();
    let finished = async {
        while spans().iter().filter(|span| span.name == "session").count() < 2 {
            tokio::task::yield_now().await;
        }
    };
    soon(finished).await;
    spans()
}

#[tokio::test]
async fn calls_belong_to_the_trace_of_the_client() {
    let server = Server::of(rpc(api)).await;
    let spans = spans(server).await;
    let named = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    for client in ["by web socket", "by batch"] {
        let client = named(client).next().expect("the span of the client");
        let (trace, id) = (
            client.span_context.trace_id(),
            client.span_context.span_id(),
        );
        let session = named("session").find(|span| span.parent_span_id == id);
        let session = session.unwrap_or_else(|| panic!("no session in {spans:#?}"));
        assert_eq!(session.span_context.trace_id(), trace);
        let id = session.span_context.span_id();
        let call = named("call").find(|span| span.parent_span_id == id);
        let call = call.unwrap_or_else(|| panic!("no call in {spans:#?}"));
        assert_eq!(call.span_context.trace_id(), trace);
    }
}

#[tokio::test]
async fn the_header_of_the_application_stays() {
    let header = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
    let seen = |headers: axum::http::HeaderMap| {
        let seen = headers.get_all("traceparent").iter();
        let seen: Vec<_> = seen
            .map(|it| it.to_str().unwrap_or_default().to_owned())
            .collect();
        Object::new().property("seen", seen).into_stub()
    };
    let server = Server::of(Rpc::new(seen).route()).await;
    let api: Stub = capnweb::ws::Connect::new(server.ws())
        .header("traceparent", header)
        .connect()
        .await
        .unwrap();
    let seen = soon(api.get("seen").fetch::<Vec<String>>()).await.unwrap();
    assert_eq!(seen, [header]);
}

#[tokio::test]
async fn each_call_of_a_session_belongs_to_the_span_that_made_it() {
    let options = SessionOptions::new().with_trace_propagator(OpenTelemetryPropagator);
    let server = Server::of(Rpc::new(api).options(options.clone()).route()).await;
    let (exporter, _default) = collect();
    let api: Stub = capnweb::ws::Connect::new(server.ws())
        .options(options)
        .connect()
        .await
        .unwrap();
    for request in [tracing::info_span!("first"), tracing::info_span!("second")] {
        let call = async { soon(api.call("square", (3,))).await.unwrap() };
        call.instrument(request).await;
    }
    // Outside any span, a call belongs to the session.
    soon(api.call("square", (3,))).await.unwrap();
    drop(api);
    let spans = || exporter.get_finished_spans().unwrap();
    let finished = async {
        while spans().iter().all(|span| span.name != "session") {
            tokio::task::yield_now().await;
        }
    };
    soon(finished).await;
    let spans = spans();
    for name in ["first", "second", "session"] {
        let parent = spans.iter().find(|span| span.name == name).unwrap();
        let calls: Vec<_> = spans
            .iter()
            .filter(|span| span.name == "call")
            .filter(|span| span.parent_span_id == parent.span_context.span_id())
            .collect();
        assert_eq!(calls.len(), 1, "{name}: {spans:#?}");
        assert_eq!(
            calls[0].span_context.trace_id(),
            parent.span_context.trace_id()
        );
    }
}
