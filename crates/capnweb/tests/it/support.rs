//! Servers, requests as other programs send them, and temporary folders.

use std::path::{Path, PathBuf};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::MethodRouter,
};
use capnweb::{
    Error, Object, Stub,
    http::{client_builder, reqwest::Method},
};
pub(crate) use capnweb_test_support::soon;
use tokio::net::TcpListener;

/// Returns the object that the servers offer.
pub(crate) fn api() -> Stub {
    Object::new()
        .method("square", |n: f64| async move { Ok(n * n) })
        .method("callBack", |f: Stub, n: u32| async move {
            f.invoke((n,)).fetch::<u32>().await
        })
        .method("hang", async || {
            std::future::pending::<Result<(), Error>>().await
        })
        .into_stub()
}

/// A folder that is removed when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Creates a temporary folder for one test.
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("capnweb-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server, identified by its host and port.
#[derive(Clone)]
pub(crate) struct Server(String);

impl Server {
    pub(crate) async fn of(route: MethodRouter) -> Self {
        Self::start(Router::new().route("/", route)).await
    }

    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move { capnweb::axum::serve(listener, router).await.unwrap() });
        Self(addr.to_string())
    }

    /// Wraps a server that was started elsewhere.
    pub(crate) fn at(address: std::net::SocketAddr) -> Self {
        Self(address.to_string())
    }

    /// Returns the host and port.
    pub(crate) fn address(&self) -> &str {
        &self.0
    }

    pub(crate) fn http(&self) -> String {
        format!("http://{}/", self.0)
    }

    pub(crate) fn ws(&self) -> String {
        format!("ws://{}/", self.0)
    }

    pub(crate) fn batch(&self) -> Stub {
        capnweb::http::batch(self.http())
    }

    pub(crate) async fn connect(&self) -> Stub {
        soon(capnweb::ws::connect(self.ws())).await.unwrap()
    }

    /// Connects over both transports and returns the main objects.
    pub(crate) async fn both(&self) -> [Stub; 2] {
        [self.batch(), self.connect().await]
    }

    /// Returns the response to an arbitrary request.
    pub(crate) async fn request(
        &self,
        method: Method,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = client_builder()
            .build()
            .unwrap()
            .request(method, self.http());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = soon(request.body(body.to_owned()).send()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, soon(response.text()).await.unwrap())
    }
}
