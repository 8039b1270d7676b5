//! The logs of all rooms, in an SQLite file that the nodes share.
//!
//! Each write is fenced: it is refused if a later activation of the room has written.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capnweb::{Error, OrInternal, Result, cluster::Epoch};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use crate::api::Message;

/// The time that a statement waits for another node.
const BUSY: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS rooms (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS messages (
        room TEXT NOT NULL, position INTEGER NOT NULL,
        sender TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (room, position), UNIQUE (room, sender, number)
    ) STRICT;
";

pub(crate) struct Store(Mutex<Connection>);

impl Store {
    pub(crate) fn open(file: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(connection)))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a room for a new activation. From now on, earlier ones cannot write.
    pub(crate) fn open_room(&self, room: &str, epoch: Epoch) -> Result<()> {
        self.fenced(room, epoch, |_| Ok(()))
    }

    /// Adds a message, unless the log has it already. Returns it, and whether it is new.
    pub(crate) fn add(
        &self,
        room: &str,
        epoch: Epoch,
        (sender, number, text): (&str, u32, &str),
    ) -> Result<(Message, bool)> {
        self.fenced(room, epoch, |write| {
            let added = write.execute(
                "INSERT INTO messages
                 SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, ?4 FROM messages WHERE room = ?1
                 ON CONFLICT (room, sender, number) DO NOTHING",
                params![room, sender, number, text],
            )?;
            let message = write.query_row(
                "SELECT position, sender, number, text FROM messages
                 WHERE room = ?1 AND sender = ?2 AND number = ?3",
                params![room, sender, number],
                message,
            )?;
            Ok((message, added > 0))
        })
    }

    /// Writes in a transaction, if no later activation has written.
    fn fenced<T>(
        &self,
        room: &str,
        epoch: Epoch,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let epoch = i64::try_from(epoch.0).or_internal()?;
        let mut connection = self.lock();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .or_internal()?;
        let claimed = transaction
            .execute(
                "INSERT INTO rooms VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET epoch = ?2 WHERE epoch <= ?2",
                params![room, epoch],
            )
            .or_internal()?;
        if claimed == 0 {
            return Err(Error::aborted("the room lives on another node by now"));
        }
        let written = write(&transaction).or_internal()?;
        transaction.commit().or_internal()?;
        Ok(written)
    }

    /// Returns the messages after a position.
    pub(crate) fn messages(&self, room: &str, after: u32) -> Result<Vec<Message>> {
        let connection = self.lock();
        let query = "SELECT position, sender, number, text FROM messages
                     WHERE room = ?1 AND position > ?2 ORDER BY position";
        let mut query = connection.prepare(query).or_internal()?;
        let messages = query.query_map(params![room, after], message);
        messages.and_then(Iterator::collect).or_internal()
    }

    /// Returns the number of messages in a room.
    pub(crate) fn length(&self, room: &str) -> Result<u32> {
        let query = "SELECT coalesce(max(position), 0) FROM messages WHERE room = ?1";
        let connection = self.lock();
        let length = connection.query_row(query, [room], |row| row.get(0));
        length.or_internal()
    }
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        position: row.get(0)?,
        sender: row.get(1)?,
        number: row.get(2)?,
        text: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_earlier_activations_are_refused() {
        let store = Store::open(Path::new(":memory:")).unwrap();
        store.open_room("lobby", Epoch(1)).unwrap();
        assert!(store.add("lobby", Epoch(1), ("Ada", 1, "hello")).unwrap().1);
        store.open_room("lobby", Epoch(2)).unwrap();
        let refused = store.add("lobby", Epoch(1), ("Ada", 2, "late"));
        assert_eq!(refused.err().unwrap().code().as_deref(), Some("aborted"));
        assert!(store.open_room("lobby", Epoch(1)).is_err());
        // The same message again, and another one.
        assert!(!store.add("lobby", Epoch(2), ("Ada", 1, "hello")).unwrap().1);
        assert!(store.add("lobby", Epoch(2), ("Ada", 2, "again")).unwrap().1);
        let texts: Vec<_> = store.messages("lobby", 0).unwrap();
        let texts: Vec<_> = texts.into_iter().map(|message| message.text).collect();
        assert_eq!(texts, ["hello", "again"]);
        assert_eq!(store.messages("lobby", 1).unwrap().len(), 1);
        assert_eq!(store.length("lobby").unwrap(), 2);
        assert_eq!(store.length("attic").unwrap(), 0);
    }
}
