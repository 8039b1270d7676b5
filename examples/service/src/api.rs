//! The objects that clients call.

use std::time::Duration;

use capnweb::{Error, OrInternal, Result, TrackedSession};

use crate::{App, sign_in::UserName};

/// A note of a user.
#[capnweb::value]
pub(crate) struct Note {
    pub(crate) id: i64,
    pub(crate) text: String,
}

/// The main object of a session without a user.
#[capnweb::interface]
pub(crate) trait Guest {
    /// Returns the user's object for a token.
    async fn authenticate(&self, token: String) -> Result<UserStub>;
}

/// The main object of a user's session.
#[capnweb::interface]
pub(crate) trait User {
    async fn name(&self) -> Result<String>;
    /// Adds a note and returns its number. `takes_ms` delays it, for experiments.
    async fn add_note(&self, text: String, takes_ms: Option<u32>) -> Result<i64>;
    async fn notes(&self) -> Result<Vec<Note>>;
    async fn remove_note(&self, id: i64) -> Result<()>;
}

/// The longest note, in bytes.
const MAX_LEN: usize = 4096;

/// The longest delay of a note.
const MAX_DELAY: Duration = Duration::from_secs(20);

pub(crate) struct Visitor {
    pub(crate) app: App,
    pub(crate) session: TrackedSession,
}

impl Guest for Visitor {
    async fn authenticate(&self, token: String) -> Result<UserStub> {
        let user = self.app.store.user_of(&token).or_internal()?;
        let name = user.ok_or_else(|| Error::unauthenticated("the token is not valid"))?;
        self.session.attach(UserName(name.clone()));
        let app = self.app.clone();
        Ok(UserStub::new(SignedIn { app, name }))
    }
}

pub(crate) struct SignedIn {
    pub(crate) app: App,
    pub(crate) name: String,
}

impl User for SignedIn {
    async fn name(&self) -> Result<String> {
        Ok(self.name.clone())
    }

    async fn add_note(&self, text: String, takes_ms: Option<u32>) -> Result<i64> {
        if text.len() > MAX_LEN {
            return Err(Error::invalid_argument("the note is too long"));
        }
        let delay = Duration::from_millis(takes_ms.unwrap_or_default().into());
        tokio::time::sleep(delay.min(MAX_DELAY)).await;
        self.app.store.add_note(&self.name, &text).or_internal()
    }

    async fn notes(&self) -> Result<Vec<Note>> {
        self.app.store.notes(&self.name).or_internal()
    }

    async fn remove_note(&self, id: i64) -> Result<()> {
        match self.app.store.remove_note(&self.name, id).or_internal()? {
            true => Ok(()),
            // Another user's notes do not exist for this one.
            false => Err(Error::not_found("there is no such note")),
        }
    }
}
