//! Futures that stay on their thread.

use std::future::Future;

use send_wrapper::SendWrapper;

/// A value that is `Send` and `Sync` although it is JavaScript's, such as a binding of a Worker, for
/// objects that implement interfaces. It derefs to the value, and panics on another thread than the
/// one that made it.
pub use send_wrapper::SendWrapper as Local;

/// Makes a `Send` future of one that is not, because it uses JavaScript's values.
///
/// The methods of interfaces return `Send` futures on all targets. Wrap the body of one that awaits a
/// JavaScript promise:
///
/// ```ignore
/// async fn title(&self, url: String) -> Result<String> {
///     capnweb::web::local(async move {
///         let response = JsFuture::from(window().fetch_with_str(&url)).await;
///         // …
///     })
///     .await
/// }
/// ```
///
/// # Panics
///
/// The future panics if it is polled or dropped on another thread than this one.
pub fn local<F: Future>(future: F) -> impl Future<Output = F::Output> + Send {
    SendWrapper::new(future)
}

/// Runs a future as a task of the host's event loop.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}
