//! NATS: the bus by its core, and the directory by a key-value bucket of JetStream.

use std::{fmt, time::Duration};

use async_nats::{
    Client, RequestErrorKind, StatusCode,
    jetstream::{
        self,
        kv::{self, CreateErrorKind, UpdateErrorKind},
        stream::{DiscardPolicy, LastRawMessageErrorKind},
    },
};
use bytes::Bytes;
use capnweb_core::{Error, Result};
use futures_util::{StreamExt as _, future::BoxFuture};

use crate::{
    backbone::Backbone,
    bus::{Bus, BusError, Delivery, Message, Subscription},
    directory::{Answering, Directory, DirectoryError, Entry, Revision},
    token::random_token,
};

/// The bucket of the directory, by default.
const BUCKET: &str = "capnweb";

/// The time limit for the server to confirm a subscription. The confirmation is lost if the
/// connection breaks meanwhile.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A bus and a directory on NATS, with JetStream for the directory.
///
/// JetStream acknowledges writes before they are on disk, and can lose them in a crash. Fence every
/// durable write with its [epoch](crate::Epoch).
///
/// ```no_run
/// use capnweb_cluster::{Cluster, Nats};
///
/// # async fn example() -> capnweb_core::Result<()> {
/// let cluster = Cluster::join(Nats::connect("nats://127.0.0.1:4222").await?, "shop").await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Nats {
    bus: NatsBus,
    bucket: kv::Store,
}

/// The bus of [`Nats`] alone, for a directory of another kind. The server needs no JetStream.
#[derive(Clone)]
pub struct NatsBus {
    client: Client,
}

impl NatsBus {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// Fails if the server cannot be reached.
    pub async fn connect(url: &str) -> Result<Self> {
        let client = async_nats::connect(url).await.map_err(unavailable)?;
        Ok(Self::with_client(client))
    }

    /// Uses a client, for example with credentials.
    pub fn with_client(client: Client) -> Self {
        Self { client }
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Nats {
    /// Connects to a server, and creates the bucket `capnweb` if it does not exist.
    ///
    /// # Errors
    ///
    /// Fails if the server cannot be reached or has no JetStream.
    pub async fn connect(url: &str) -> Result<Self> {
        let client = async_nats::connect(url).await.map_err(unavailable)?;
        Self::with_client(client, BUCKET, 1).await
    }

    /// Uses a client, for example with credentials, and creates the bucket if it does not exist,
    /// with `replicas` copies of it.
    ///
    /// A cluster of NATS servers should keep 3 copies. If the bucket exists already, its entries
    /// must not expire: an object's entry has to last as long as the object.
    ///
    /// # Errors
    ///
    /// Fails if the bucket cannot be created.
    pub async fn with_client(client: Client, bucket: &str, replicas: usize) -> Result<Self> {
        let context = jetstream::new(client.clone());
        let bus = NatsBus { client };
        if let Ok(bucket) = context.get_key_value(bucket).await {
            return Ok(Self { bus, bucket });
        }
        // `create_key_value` asks for the account first, whose answer by older servers it cannot
        // read.
        let config = jetstream::stream::Config {
            name: format!("KV_{bucket}"),
            subjects: vec![format!("$KV.{bucket}.>")],
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            num_replicas: replicas,
            ..jetstream::stream::Config::default()
        };
        context.create_stream(config).await.map_err(unavailable)?;
        let bucket = context.get_key_value(bucket).await.map_err(unavailable)?;
        Ok(Self { bus, bucket })
    }

    /// Returns the client.
    pub fn client(&self) -> &Client {
        &self.bus.client
    }
}

fn unavailable(error: impl fmt::Display) -> Error {
    Error::disconnected(error.to_string())
        .with_code("unavailable")
        .with_may_have_run(false)
}

fn bus_error(error: impl fmt::Display) -> BusError {
    BusError::Unavailable(error.to_string())
}

impl From<Nats> for Backbone {
    fn from(nats: Nats) -> Self {
        Self::new(nats.bus.clone(), nats)
    }
}

impl Bus for Nats {
    fn max_payload(&self) -> usize {
        self.bus.max_payload()
    }

    fn publish(&self, subject: &str, message: Message) -> BoxFuture<'static, Result<(), BusError>> {
        self.bus.publish(subject, message)
    }

    fn subscribe(
        &self,
        subject: &str,
        group: Option<&str>,
    ) -> BoxFuture<'static, Result<Subscription, BusError>> {
        self.bus.subscribe(subject, group)
    }

    fn request(
        &self,
        subject: &str,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, BusError>> {
        self.bus.request(subject, payload)
    }
}

impl Bus for NatsBus {
    fn max_payload(&self) -> usize {
        self.client.server_info().max_payload
    }

    fn publish(&self, subject: &str, message: Message) -> BoxFuture<'static, Result<(), BusError>> {
        let (nats, subject) = (self.clone(), subject.to_owned());
        Box::pin(async move {
            if message.payload.len() > nats.max_payload() {
                return Err(BusError::TooLong);
            }
            let client = nats.client;
            match message.reply {
                Some(reply) => {
                    client
                        .publish_with_reply(subject, reply, message.payload)
                        .await
                }
                None => client.publish(subject, message.payload).await,
            }
            .map_err(bus_error)
        })
    }

    fn subscribe(
        &self,
        subject: &str,
        group: Option<&str>,
    ) -> BoxFuture<'static, Result<Subscription, BusError>> {
        let (nats, subject) = (self.clone(), subject.to_owned());
        let group = group.map(str::to_owned);
        Box::pin(async move {
            let messages = match group {
                Some(group) => nats.client.queue_subscribe(subject, group).await,
                None => nats.client.subscribe(subject).await,
            };
            let messages = messages.map_err(bus_error)?;
            // A flush does not wait for the server. It has seen the subscription when it answers a
            // request that comes after it: with an error, since nobody has the subject.
            let nobody = format!("capnweb.nobody.{}", random_token());
            let answer = nats.request(&nobody, Bytes::new());
            match tokio::time::timeout(SUBSCRIBE_TIMEOUT, answer).await {
                Ok(Ok(_) | Err(BusError::NoSubscriber)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(bus_error("the server does not answer")),
            }
            Ok(Subscription::new(messages.map(|message| {
                if message.status == Some(StatusCode::NO_RESPONDERS) {
                    return Delivery::NoSubscriber;
                }
                Delivery::Message(Message {
                    payload: message.payload,
                    reply: message.reply.map(|reply| reply.to_string()),
                })
            })))
        })
    }

    fn request(
        &self,
        subject: &str,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, BusError>> {
        let (client, subject) = (self.client.clone(), subject.to_owned());
        Box::pin(async move {
            let request = async_nats::Request::new().payload(payload).timeout(None);
            match client.send_request(subject, request).await {
                Ok(answer) => Ok(answer.payload),
                Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                    Err(BusError::NoSubscriber)
                }
                Err(error) => Err(bus_error(error)),
            }
        })
    }
}

fn directory_error(error: impl fmt::Display) -> DirectoryError {
    DirectoryError::Unavailable(error.to_string())
}

impl Directory for Nats {
    fn get(&self, key: &str) -> Answering<Option<Entry>> {
        let bucket = self.bucket.clone();
        let subject = format!("{}{key}", bucket.prefix);
        Box::pin(async move {
            // This asks the stream's leader. A direct read may be answered by a replica that has
            // not seen the latest writes.
            match bucket
                .stream
                .get_last_raw_message_by_subject(&subject)
                .await
            {
                Ok(message) => {
                    // A deletion is a message as well.
                    let is_deleted = message.headers.get("KV-Operation").is_some();
                    let revision = Revision(message.sequence);
                    Ok((!is_deleted).then(|| Entry::new(message.payload, revision)))
                }
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(directory_error(error)),
            }
        })
    }

    fn create(&self, key: &str, value: Bytes) -> Answering<Revision> {
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        Box::pin(async move {
            match bucket.create(key, value).await {
                Ok(revision) => Ok(Revision(revision)),
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
                    Err(DirectoryError::Conflict)
                }
                Err(error) => Err(directory_error(error)),
            }
        })
    }

    fn update(&self, key: &str, value: Bytes, expected: Revision) -> Answering<Revision> {
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        Box::pin(async move {
            let updated = bucket.update(key, value, expected.0).await;
            updated.map(Revision).map_err(|error| conflict(&error))
        })
    }

    fn delete(&self, key: &str, expected: Revision) -> Answering<()> {
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        Box::pin(async move {
            let deleted = bucket.delete_expect_revision(key, Some(expected.0)).await;
            deleted.map_err(|error| conflict(&error))
        })
    }
}

fn conflict(error: &kv::UpdateError) -> DirectoryError {
    match error.kind() {
        UpdateErrorKind::WrongLastRevision => DirectoryError::Conflict,
        _ => directory_error(error),
    }
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NatsBus")
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats")
            .field("bucket", &self.bucket.name)
            .finish_non_exhaustive()
    }
}
