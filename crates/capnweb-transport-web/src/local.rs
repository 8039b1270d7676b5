//! Futures that stay on their thread.

use std::future::Future;

use send_wrapper::SendWrapper;

/// A wrapper that makes a JavaScript value `Send` and `Sync`, such as a binding of a Worker. Use it
/// in objects that implement interfaces. It derefs to the value, and panics on any thread other
/// than the one that created it.
pub use send_wrapper::SendWrapper as Local;

/// Makes a future `Send` although it uses JavaScript values.
///
/// The methods of interfaces return `Send` futures on all targets. If a method awaits a JavaScript
/// promise, wrap its body:
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
/// The future panics if it is polled or dropped on another thread than the one that created it.
pub fn local<F: Future>(future: F) -> impl Future<Output = F::Output> + Send {
    SendWrapper::new(future)
}

/// Spawns a future as a task on the host's event loop.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    capnweb_core::runtime::spawn(future);
}
