//! The page: one file, which is told of changes as they happen.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::broadcast};

use super::{
    Body, answer,
    feed::Feed,
    view::{self, SessionView},
    whole,
};

const PAGE: &str = include_str!("page.html");

/// The time for which changes are gathered before they are told.
const GATHER: Duration = Duration::from_millis(100);

/// The page may load nothing, and run its own script alone.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Returns the page with everything in it, as a file that needs no server.
pub(crate) fn page_with(feed: &Feed) -> String {
    let state = feed.lock();
    let data = view::json(state.follower.sessions().map(SessionView::whole));
    // Text in messages must not end the element.
    let data = data.replace('<', "\\u003c");
    PAGE.replace("/*DATA*/null", &data)
}

/// Serves the page.
#[derive(Clone)]
pub(crate) struct Web {
    feed: Feed,
    address: SocketAddr,
    changes: broadcast::Sender<Bytes>,
}

impl Web {
    pub(crate) fn new(feed: Feed, address: SocketAddr) -> Self {
        Self {
            feed,
            address,
            changes: broadcast::Sender::new(64),
        }
    }

    /// Serves the page until the listener fails.
    pub(crate) async fn serve(self, listener: TcpListener) -> io::Result<()> {
        tokio::spawn(self.clone().gather());
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let web = self.clone();
            let service = service_fn(move |request| {
                let web = web.clone();
                async move { Ok::<_, Infallible>(web.answer(&request)) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                // A page that is closed is no failure.
                let _ = connection.await;
            });
        }
    }

    /// Tells all pages of changes.
    async fn gather(self) {
        let mut changed = self.feed.watch();
        while changed.changed().await.is_ok() {
            let _ = self.tell();
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Tells all pages of what has changed since the last time.
    fn tell(&self) -> Option<usize> {
        let mut state = self.feed.lock();
        let mut changed = Vec::new();
        for session in state.follower.sessions_mut() {
            let changes = session.take_changes();
            if changes.others || !changes.calls.is_empty() {
                changed.push((session.id(), changes.calls));
            }
        }
        let views = changed.iter().filter_map(|(id, calls)| {
            let session = state.follower.session(*id)?;
            Some(SessionView::new(
                session,
                calls.iter().filter_map(|number| session.call(*number)),
            ))
        });
        let json = view::json(views);
        (!changed.is_empty()).then(|| {
            self.changes
                .send(event(state.now(), "change", &json))
                .unwrap_or_default()
        })
    }

    /// Returns everything, and what is told from then on.
    fn subscribe(&self) -> (Bytes, broadcast::Receiver<Bytes>) {
        self.tell();
        // Between the two nothing is told that is in neither: at worst it is in both.
        let changes = self.changes.subscribe();
        let state = self.feed.lock();
        let json = view::json(state.follower.sessions().map(SessionView::whole));
        (event(state.now(), "all", &json), changes)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        // A page of another site that has its own name point here would read everything.
        let host = request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        if !self.is_own(host) {
            return answer(
                StatusCode::FORBIDDEN,
                "this page is served under its address alone\n",
            );
        }
        if request.method() != Method::GET {
            return answer(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        let (kind, body) = match request.uri().path() {
            "/" => ("text/html; charset=utf-8", whole(PAGE)),
            "/events" => ("text/event-stream", self.events()),
            _ => return answer(StatusCode::NOT_FOUND, "the page is at /\n"),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }

    fn is_own(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name.eq_ignore_ascii_case("localhost")
            || name
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok()
            || host == self.address.to_string()
    }

    fn events(&self) -> Body {
        let (all, changes) = self.subscribe();
        let events = stream::unfold(
            (Some(all), changes, self.clone()),
            |(next, mut changes, web)| async move {
                let event = match next {
                    Some(event) => event,
                    None => match changes.recv().await {
                        Ok(event) => event,
                        // Too many changes at once: everything is told anew.
                        Err(broadcast::error::RecvError::Lagged(_)) => {
                            let (all, later) = web.subscribe();
                            changes = later;
                            all
                        }
                        Err(broadcast::error::RecvError::Closed) => return None,
                    },
                };
                Some((
                    Ok::<_, Infallible>(Frame::data(event)),
                    (None, changes, web),
                ))
            },
        );
        StreamBody::new(events)
            .map_err(|never| match never {})
            .boxed()
    }
}

fn event(now: f64, name: &str, sessions: &str) -> Bytes {
    Bytes::from(format!(
        "event: {name}\ndata: {{\"now\":{now},\"sessions\":{sessions}}}\n\n"
    ))
}
