//! Users, their tokens and notes, in SQLite.
//!
//! Several processes on one machine can share the file. Replace this module to keep the data
//! elsewhere.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ring::{
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    pbkdf2::{self, PBKDF2_HMAC_SHA256},
    rand::{SecureRandom, SystemRandom},
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::api::Note;

/// The rounds of PBKDF2 that passwords are hashed with. Debug builds are slow enough with fewer.
const ROUNDS: NonZeroU32 = match cfg!(debug_assertions) {
    true => NonZeroU32::MIN.saturating_add(9_999),
    false => NonZeroU32::MIN.saturating_add(599_999),
};

/// The time that a statement waits for another process.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    CREATE TABLE IF NOT EXISTS users (
        name TEXT PRIMARY KEY, salt BLOB NOT NULL, password BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS tokens (
        hash BLOB PRIMARY KEY, user TEXT NOT NULL REFERENCES users
    ) STRICT;
    CREATE TABLE IF NOT EXISTS notes (
        id INTEGER PRIMARY KEY, user TEXT NOT NULL REFERENCES users, text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS notes_of_users ON notes (user);
";

pub(crate) struct Store {
    /// Statements take microseconds, so a lock and no pool of threads will do.
    connection: Mutex<Connection>,
    random: SystemRandom,
}

impl Store {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Mutex::new(connection),
            random: SystemRandom::new(),
        })
    }

    /// Adds a user, or changes the password.
    pub(crate) fn add_user(&self, name: &str, password: &str) -> Result<()> {
        let salt: [u8; 16] = self.random();
        let mut hash = [0; SHA256_OUTPUT_LEN];
        pbkdf2::derive(
            PBKDF2_HMAC_SHA256,
            ROUNDS,
            &salt,
            password.as_bytes(),
            &mut hash,
        );
        self.lock().execute(
            "INSERT INTO users (name, salt, password) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET salt = ?2, password = ?3",
            params![name, salt, hash],
        )?;
        Ok(())
    }

    /// Returns whether this is the user's password.
    pub(crate) fn knows(&self, name: &str, password: &str) -> Result<bool> {
        let found = self
            .lock()
            .query_row(
                "SELECT salt, password FROM users WHERE name = ?1",
                [name],
                |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)),
            )
            .optional()?;
        // An unknown name takes as long as a known one.
        let is_known = found.is_some();
        let (salt, hash) = found.unwrap_or_default();
        let matches = pbkdf2::verify(
            PBKDF2_HMAC_SHA256,
            ROUNDS,
            &salt,
            password.as_bytes(),
            &hash,
        );
        Ok(is_known && matches.is_ok())
    }

    /// Creates a token for a user. The database only holds its hash.
    pub(crate) fn add_token(&self, name: &str) -> Result<String> {
        let bytes: [u8; 32] = self.random();
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.lock().execute(
            "INSERT INTO tokens (hash, user) VALUES (?1, ?2)",
            params![hash(&token), name],
        )?;
        Ok(token)
    }

    /// Revokes a token. Returns its user.
    pub(crate) fn remove_token(&self, token: &str) -> Result<Option<String>> {
        self.lock()
            .query_row(
                "DELETE FROM tokens WHERE hash = ?1 RETURNING user",
                [hash(token)],
                |row| row.get(0),
            )
            .optional()
    }

    pub(crate) fn user_of(&self, token: &str) -> Result<Option<String>> {
        self.lock()
            .prepare("SELECT user FROM tokens WHERE hash = ?1")?
            .query_row([hash(token)], |row| row.get(0))
            .optional()
    }

    pub(crate) fn add_note(&self, user: &str, text: &str) -> Result<i64> {
        self.lock()
            .prepare("INSERT INTO notes (user, text) VALUES (?1, ?2) RETURNING id")?
            .query_row([user, text], |row| row.get(0))
    }

    pub(crate) fn notes(&self, user: &str) -> Result<Vec<Note>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare("SELECT id, text FROM notes WHERE user = ?1 ORDER BY id")?;
        let notes = statement.query_map([user], |row| {
            Ok(Note {
                id: row.get(0)?,
                text: row.get(1)?,
            })
        })?;
        notes.collect()
    }

    /// Removes a note. Returns false if the user has no such note.
    pub(crate) fn remove_note(&self, user: &str, id: i64) -> Result<bool> {
        let removed = self.lock().execute(
            "DELETE FROM notes WHERE id = ?1 AND user = ?2",
            params![id, user],
        )?;
        Ok(removed > 0)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        if self.random.fill(&mut bytes).is_err() {
            panic!("the system has no random numbers");
        }
        bytes
    }
}

fn hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}
