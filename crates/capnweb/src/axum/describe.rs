//! Routes for the description of an interface.

use ::axum::{
    Router,
    http::{HeaderName, header},
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use capnweb_core::{Bytes, describe::Description, json_schema::Schemas, typescript::Declarations};

/// Creates routes that serve the description of an interface, for tools and for authors of web
/// pages.
///
/// | path | content | `Content-Type` |
/// |---|---|---|
/// | `/api.d.ts` | [TypeScript declarations](crate::typescript) | `application/typescript` |
/// | `/description.json` | the [description](mod@crate::describe) as data | `application/json` |
/// | `/schema.json` | [JSON Schemas](crate::json_schema) of the methods | `application/schema+json` |
///
/// Anyone can request these paths. To keep an interface private, do not add the routes, or put them
/// behind a layer that requires a login. See also
/// [`SessionOptions::with_introspection`](crate::SessionOptions::with_introspection).
///
/// ```
/// use axum::Router;
/// use capnweb::{Result, describe::Description};
///
/// #[capnweb::interface]
/// trait Greeter {
///     async fn greet(&self, name: String) -> Result<String>;
/// }
///
/// # struct Server;
/// # impl Greeter for Server {
/// #     async fn greet(&self, name: String) -> Result<String> { Ok(name) }
/// # }
/// let app: Router = Router::new()
///     .route("/api", capnweb::axum::rpc(|| GreeterStub::new(Server)))
///     .nest("/interface", capnweb::axum::describe(Description::of::<GreeterStub>()));
/// ```
///
/// `curl http://127.0.0.1:8080/interface/api.d.ts > web/src/api.d.ts` then updates the declarations
/// of a page.
pub fn describe<S: Clone + Send + Sync + 'static>(description: Description) -> Router<S> {
    let description_text = description.to_json();
    let schemas = Schemas::new(description.clone()).to_string();
    let declarations = Declarations::new(description).to_string();
    Router::new()
        .route(
            "/api.d.ts",
            file(declarations, "application/typescript; charset=utf-8"),
        )
        .route(
            "/description.json",
            file(description_text, "application/json"),
        )
        .route("/schema.json", file(schemas, "application/schema+json"))
}

fn file<S: Clone + Send + Sync + 'static>(
    text: String,
    content_type: &'static str,
) -> MethodRouter<S> {
    let text = Bytes::from(text);
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, content_type),
        // The next version of the server may have another description.
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    get(async move || (headers.clone(), text.clone()).into_response())
}
