//! PostgreSQL: a directory in a table.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use capnweb_core::{Error, Result};
use futures_util::future::BoxFuture;
use tokio_postgres::{
    Client, Config, NoTls, Row, Socket,
    tls::{MakeTlsConnect, TlsConnect},
    types::{ToSql, Type},
};

use crate::directory::{Answering, Directory, DirectoryError, Entry, Revision};

/// Creates the table and the sequence, unless both exist. The lock keeps nodes that start at the
/// same time from disturbing each other.
const CREATE: &str = "
    BEGIN;
    SELECT pg_advisory_xact_lock(1668312430);
    CREATE SEQUENCE IF NOT EXISTS capnweb_directory_revision;
    CREATE TABLE IF NOT EXISTS capnweb_directory (
        key text PRIMARY KEY,
        value bytea NOT NULL,
        revision bigint NOT NULL
    );
    COMMIT";

const EXISTS: &str = "
    SELECT to_regclass('capnweb_directory') IS NOT NULL
        AND to_regclass('capnweb_directory_revision') IS NOT NULL";

const GET: &str = "SELECT value, revision FROM capnweb_directory WHERE key = $1";

// A revision is taken from the sequence under the lock of its key, which deletions need as well.
// Without the lock, a revision could be taken, the key be updated and deleted, and the older
// revision be inserted after that.
const INSERT: &str = "
    WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(1668312431, hashtext($1)))
    INSERT INTO capnweb_directory (key, value, revision)
        SELECT $1, $2, nextval('capnweb_directory_revision') FROM locked
        ON CONFLICT (key) DO NOTHING
        RETURNING revision";

const UPDATE: &str = "
    UPDATE capnweb_directory SET value = $2, revision = nextval('capnweb_directory_revision')
        WHERE key = $1 AND revision = $3
        RETURNING revision";

const DELETE: &str = "
    WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(1668312431, hashtext($1)))
    DELETE FROM capnweb_directory USING locked
        WHERE key = $1 AND revision = $2
        RETURNING revision";

type Connect = dyn Fn() -> BoxFuture<'static, Result<Client, tokio_postgres::Error>> + Send + Sync;

/// A directory in PostgreSQL, for a bus of another kind.
///
/// With the default settings, the server writes to disk before it acknowledges, so it forgets no
/// lease. After a failover to a standby that replicates asynchronously, or from a backup, it may.
/// Fence every durable write with its [epoch](crate::Epoch).
///
/// The table is `capnweb_directory`, and several clusters may share it. The connection is opened
/// again after it was lost. Connect to the primary server, since a standby may answer with old
/// entries.
///
/// ```no_run
/// use capnweb_cluster::{Bus, Cluster, Postgres};
///
/// # async fn example(bus: impl Bus) -> capnweb_core::Result<()> {
/// // `bus` can be a `NatsBus`, for example.
/// let directory = Postgres::connect("host=db.example user=shop dbname=shop").await?;
/// let cluster = Cluster::join((bus, directory), "shop").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    connect: Box<Connect>,
    client: Mutex<Option<Arc<Client>>>,
    /// Held while a connection is opened, so that there is one.
    connecting: tokio::sync::Mutex<()>,
}

impl Postgres {
    /// Connects without TLS, and creates the table if it does not exist.
    ///
    /// `config` has the form `host=db user=shop dbname=shop`, or that of a URL
    /// `postgresql://shop@db/shop`.
    ///
    /// # Errors
    ///
    /// Fails if `config` is malformed, if the server cannot be reached, or if the table cannot be
    /// created.
    pub async fn connect(config: &str) -> Result<Self> {
        let config = config.parse().map_err(unavailable)?;
        Self::connect_with(config, NoTls).await
    }

    /// Connects with TLS, for example that of `tokio-postgres-rustls`, and creates the table if it
    /// does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the server cannot be reached, or if the table cannot be created.
    pub async fn connect_with<T>(config: Config, tls: T) -> Result<Self>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let connect = move || -> BoxFuture<'static, _> {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "the connection to PostgreSQL is lost");
                    }
                });
                Ok(client)
            })
        };
        let postgres = Self {
            shared: Arc::new(Shared {
                connect: Box::new(connect),
                client: Mutex::default(),
                connecting: tokio::sync::Mutex::default(),
            }),
        };
        let client = postgres.shared.client().await.map_err(unavailable)?;
        let exists = client.query_typed(EXISTS, &[]).await.map_err(unavailable)?;
        let exists = exists.first().map(|row| row.try_get(0)).transpose();
        if exists.map_err(unavailable)? != Some(true) {
            client.batch_execute(CREATE).await.map_err(unavailable)?;
        }
        Ok(postgres)
    }

    /// Runs a statement, which returns at most one row.
    fn run<T: Send + 'static>(
        &self,
        statement: &'static str,
        params: Vec<Param>,
        read: impl FnOnce(Option<Row>) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Answering<T> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let client = shared.client().await.map_err(directory_error)?;
            // Nothing tells whether an unanswered connection is slow or cut.
            let mut suspect = Suspect {
                shared: &shared,
                client: Some(client.clone()),
            };
            let params: Vec<_> = params.iter().map(Param::typed).collect();
            let rows = client.query_typed(statement, &params).await;
            if !client.is_closed() {
                suspect.client = None;
            }
            read(rows.map_err(directory_error)?.into_iter().next())
        })
    }
}

impl Shared {
    fn current(&self) -> MutexGuard<'_, Option<Arc<Client>>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<Arc<Client>> {
        let client = self.current().clone();
        client.filter(|client| !client.is_closed())
    }

    /// Returns the client, which is connected if need be.
    async fn client(&self) -> Result<Arc<Client>, tokio_postgres::Error> {
        if let Some(client) = self.usable() {
            return Ok(client);
        }
        let _only = self.connecting.lock().await;
        if let Some(client) = self.usable() {
            return Ok(client);
        }
        let client = Arc::new((self.connect)().await?);
        *self.current() = Some(client.clone());
        Ok(client)
    }
}

/// Gives up a connection unless it answers.
struct Suspect<'a> {
    shared: &'a Shared,
    client: Option<Arc<Client>>,
}

impl Drop for Suspect<'_> {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        let mut current = self.shared.current();
        if (current.as_ref()).is_some_and(|current| Arc::ptr_eq(current, &client)) {
            *current = None;
        }
    }
}

/// A parameter of a statement.
enum Param {
    Key(String),
    Value(Vec<u8>),
    Revision(i64),
}

impl Param {
    fn revision(revision: Revision) -> Self {
        // No entry has a revision that the sequence cannot have.
        Self::Revision(i64::try_from(revision.0).unwrap_or(-1))
    }

    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Key(key) => (key, Type::TEXT),
            Self::Value(value) => (value, Type::BYTEA),
            Self::Revision(revision) => (revision, Type::INT8),
        }
    }
}

fn unavailable(error: tokio_postgres::Error) -> Error {
    directory_error(error).into()
}

fn directory_error(error: tokio_postgres::Error) -> DirectoryError {
    // The error itself does not name its cause.
    let cause = std::error::Error::source(&error);
    DirectoryError::Unavailable(match cause {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}

fn revision(row: &Row, column: usize) -> Result<Revision, DirectoryError> {
    let revision: i64 = row.try_get(column).map_err(directory_error)?;
    let revision = u64::try_from(revision);
    revision.map(Revision).map_err(|_| {
        DirectoryError::Unavailable("the table of the directory holds a negative revision".into())
    })
}

/// Returns the revision of a write that was done.
fn written(row: Option<Row>) -> Result<Revision, DirectoryError> {
    revision(&row.ok_or(DirectoryError::Conflict)?, 0)
}

impl Directory for Postgres {
    fn get(&self, key: &str) -> Answering<Option<Entry>> {
        self.run(GET, vec![Param::Key(key.to_owned())], |row| {
            let Some(row) = row else {
                return Ok(None);
            };
            let value: Vec<u8> = row.try_get(0).map_err(directory_error)?;
            Ok(Some(Entry::new(value, revision(&row, 1)?)))
        })
    }

    fn create(&self, key: &str, value: Bytes) -> Answering<Revision> {
        let params = vec![Param::Key(key.to_owned()), Param::Value(value.into())];
        self.run(INSERT, params, written)
    }

    fn update(&self, key: &str, value: Bytes, expected: Revision) -> Answering<Revision> {
        let params = vec![
            Param::Key(key.to_owned()),
            Param::Value(value.into()),
            Param::revision(expected),
        ];
        self.run(UPDATE, params, written)
    }

    fn delete(&self, key: &str, expected: Revision) -> Answering<()> {
        let params = vec![Param::Key(key.to_owned()), Param::revision(expected)];
        self.run(DELETE, params, |row| written(row).map(drop))
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("is_connected", &self.shared.usable().is_some())
            .finish_non_exhaustive()
    }
}
