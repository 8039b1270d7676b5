//! The server of the page that `docs/typescript.md` shows (`page/`), and its declarations.

use capnweb::{Callback, Error, Result};

use crate::{arguments::Arguments, ready};

#[capnweb::interface]
pub(crate) trait PublicApi {
    /// Returns the API of the user with this token.
    async fn authenticate(&self, token: String) -> Result<UserApiStub, LoginError>;
}

#[capnweb::interface]
pub(crate) trait UserApi {
    async fn profile(&self) -> Result<Profile>;
    /// Calls `on_message` for each message, until the page drops the result.
    #[rpc(cancel_on_release)]
    async fn listen(&self, on_message: Callback<String>) -> Result<()>;
}

#[capnweb::value]
pub(crate) struct Profile {
    name: String,
    photo_url: Option<String>,
}

#[capnweb::error]
#[derive(Debug)]
pub(crate) enum LoginError {
    /// Nobody has this token.
    #[rpc(message = "unknown token")]
    UnknownToken,
    #[rpc(other)]
    Other(Error),
}

struct Server;

struct Ada;

impl PublicApi for Server {
    async fn authenticate(&self, token: String) -> Result<UserApiStub, LoginError> {
        match token.as_str() {
            "open sesame" => Ok(UserApiStub::new(Ada)),
            _ => Err(LoginError::UnknownToken),
        }
    }
}

impl UserApi for Ada {
    async fn profile(&self) -> Result<Profile> {
        Ok(Profile {
            name: "Ada".to_owned(),
            photo_url: None,
        })
    }

    async fn listen(&self, on_message: Callback<String>) -> Result<()> {
        for message in ["Hello!", "Anybody there?"] {
            on_message.call(message).await?;
        }
        std::future::pending().await
    }
}

/// Serves the API at `/api` to each connection, until told to stop.
pub(crate) async fn serve(mut arguments: Arguments) -> Result<(), String> {
    let (listener, bound) = ready::listen(&arguments.listen()).await?;
    let rpc = capnweb::axum::rpc(|| PublicApiStub::new(Server));
    let app = axum::Router::new().route("/api", rpc);
    let stopped = crate::signal::stopped().map_err(|error| error.to_string())?;
    ready::tell(&serde_json::json!({ "addr": bound }))?;
    capnweb::axum::serve_with_shutdown(listener, app, stopped)
        .await
        .map_err(|error| format!("the server failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        capnweb::typescript::of::<PublicApiStub>().keep("page/src/api.d.ts");
    }
}
