//! Signing in, with a cookie for pages and a bearer token for programs. Both are tokens of the
//! store.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use capnweb::{Error, Stub, StubType, axum::Tracked};
use serde::Deserialize;

use crate::{
    App,
    api::{GuestStub, SignedIn, UserStub, Visitor},
};

/// The name of the cookie. The prefix makes browsers refuse it from other hosts and without TLS.
const SECURE_COOKIE: &str = "__Host-token";
/// The name of the cookie in development.
const INSECURE_COOKIE: &str = "token";

/// The user of a session, which is attached to its entry in the registry.
#[derive(Clone)]
pub(crate) struct UserName(pub(crate) String);

/// Makes the main object of a session: an own one for each user, or a guest's.
pub(crate) async fn connect(
    State(app): State<App>,
    headers: HeaderMap,
    Tracked(session): Tracked,
) -> Result<Stub, StatusCode> {
    let Some(token) = token(&headers) else {
        return Ok(GuestStub::new(Visitor { app, session }).into_stub());
    };
    let user = app.store.user_of(token).map_err(|error| {
        tracing::error!(%error, "the database has failed");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    let name = user.ok_or(StatusCode::UNAUTHORIZED)?;
    session.attach(UserName(name.clone()));
    Ok(UserStub::new(SignedIn { app, name }).into_stub())
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// Sets the cookie of a user who knows the password.
///
/// Pages of other origins cannot send JSON without permission, which is never given.
pub(crate) async fn login(
    State(app): State<App>,
    Json(Credentials { name, password }): Json<Credentials>,
) -> Result<Response, StatusCode> {
    let store = app.store.clone();
    // Hashing a password takes long on purpose.
    let checked = tokio::task::spawn_blocking(move || match store.knows(&name, &password)? {
        true => store.add_token(&name).map(Some),
        false => Ok(None),
    });
    match checked.await {
        Ok(Ok(Some(token))) => Ok(with_cookie(&app, &token, "")),
        Ok(Ok(None)) => Err(StatusCode::UNAUTHORIZED),
        Ok(Err(error)) => {
            tracing::error!(%error, "the database has failed");
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Revokes the token of the request, and ends all sessions of its user.
pub(crate) async fn logout(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, StatusCode> {
    let token = token(&headers).ok_or(StatusCode::UNAUTHORIZED)?;
    let user = app.store.remove_token(token).map_err(|error| {
        tracing::error!(%error, "the database has failed");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    let user = user.ok_or(StatusCode::UNAUTHORIZED)?;
    let is_theirs = |UserName(name): UserName| name == user;
    let reason = Error::unauthenticated("you have signed out");
    app.sessions
        .close_by(|session| session.get().is_some_and(is_theirs), 4401, reason);
    Ok(with_cookie(&app, "", "; Max-Age=0"))
}

fn with_cookie(app: &App, token: &str, more: &str) -> Response {
    let (name, secure) = match app.is_secure {
        true => (SECURE_COOKIE, "; Secure"),
        false => (INSECURE_COOKIE, ""),
    };
    let cookie = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// Returns the token of a request, from its header or cookie.
fn token(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name)?.to_str().ok();
    let bearer = text(header::AUTHORIZATION).and_then(|it| it.strip_prefix("Bearer "));
    let cookie = || {
        let mut cookies = text(header::COOKIE)?.split(';').map(str::trim);
        cookies.find_map(|cookie| {
            let (name, value) = cookie.split_once('=')?;
            [SECURE_COOKIE, INSECURE_COOKIE]
                .contains(&name)
                .then_some(value)
        })
    };
    bearer.or_else(cookie)
}
