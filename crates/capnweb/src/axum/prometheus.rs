//! Metrics in the text format of Prometheus.

use std::sync::Arc;

use ::axum::{
    Router,
    http::header::CONTENT_TYPE,
    routing::{MethodRouter, get},
};
use capnweb_core::{Error, Observer, Result};
use capnweb_net::{CALL_DURATION, Metrics, Sessions};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::health;

/// The upper bounds of the buckets for the time that calls take, in seconds.
const CALL_BUCKETS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Metrics of sessions in the text format of Prometheus: [`Metrics`](crate::Metrics) lists them.
///
/// ```
/// use axum::Router;
/// use capnweb::{
///     Object, SessionOptions, Sessions,
///     axum::{Prometheus, Rpc, monitoring},
/// };
///
/// # fn main() -> capnweb::Result<()> {
/// let (sessions, prometheus) = (Sessions::new(), Prometheus::install()?);
/// let options = SessionOptions::new().with_observer(prometheus.observer());
/// let api = Rpc::new(|| Object::new().into_stub()).tracked(&sessions).options(options);
/// let app: Router = Router::new().route("/api", api.route());
/// // For a port of its own, which strangers cannot reach.
/// let for_operators: Router = monitoring(&sessions, &prometheus);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Prometheus {
    metrics: Metrics,
    handle: PrometheusHandle,
}

impl Prometheus {
    /// Installs the global recorder of the crate `metrics`, so that the metrics of the application
    /// and of other libraries are on the route too.
    ///
    /// # Errors
    ///
    /// Returns an error if there is a global recorder. In that case, use
    /// [`Metrics::new`](crate::Metrics::new) with it.
    pub fn install() -> Result<Self> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| Error::new(error.to_string()))?;
        Ok(Self {
            metrics: Metrics::new(),
            handle,
        })
    }

    /// Creates metrics with a recorder of their own.
    ///
    /// # Errors
    ///
    /// Never returns an error with the present buckets.
    pub fn new() -> Result<Self> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        Ok(Self {
            metrics: Metrics::with_recorder(recorder),
            handle,
        })
    }

    /// Returns the observer to pass to
    /// [`SessionOptions::with_observer`](crate::SessionOptions::with_observer).
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.metrics.clone())
    }

    /// Returns the metrics as text.
    pub fn render(&self) -> String {
        self.metrics.update();
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// Returns a route that answers with [`render`](Self::render).
    pub fn route<S>(&self) -> MethodRouter<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let this = self.clone();
        get(async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4")], this.render()))
    }
}

fn builder() -> Result<PrometheusBuilder> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(CALL_DURATION.to_owned()), &CALL_BUCKETS)
        .map_err(|error| Error::new(error.to_string()))
}

/// Returns the routes of [`health`](health()), and `/metrics`. Serve them on a port that is not
/// exposed to the Internet.
pub fn monitoring<S>(sessions: &Sessions, prometheus: &Prometheus) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    health(sessions).route("/metrics", prometheus.route())
}
