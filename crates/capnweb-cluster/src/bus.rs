//! The bus, which carries messages between nodes.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use capnweb_core::Error;
use futures_core::Stream;
use futures_util::{StreamExt as _, future::BoxFuture};

use crate::token::random_token;

/// A message on the bus.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// The content, of at most [`Bus::max_payload`] bytes.
    pub payload: Bytes,
    /// The subject for answers. If the message has no subscriber, a
    /// [`Delivery::NoSubscriber`] is delivered there.
    pub reply: Option<String>,
}

impl Message {
    /// Creates a message without a subject for answers.
    pub fn new(payload: impl Into<Bytes>) -> Self {
        Self {
            payload: payload.into(),
            reply: None,
        }
    }

    /// Sets the subject for answers.
    #[must_use]
    pub fn with_reply(mut self, subject: impl Into<String>) -> Self {
        self.reply = Some(subject.into());
        self
    }
}

/// An event of a subscription.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// A message was published to the subject.
    Message(Message),
    /// A message with this subject as its [`reply`](Message::reply) had no subscriber.
    NoSubscriber,
}

/// A subscription to a subject. Dropping it unsubscribes.
///
/// It is a stream that ends when the bus is closed.
pub struct Subscription {
    deliveries: Pin<Box<dyn Stream<Item = Delivery> + Send>>,
}

impl Subscription {
    /// Wraps the stream of a bus.
    pub fn new(deliveries: impl Stream<Item = Delivery> + Send + 'static) -> Self {
        Self {
            deliveries: Box::pin(deliveries),
        }
    }

    /// Waits for the next delivery. Returns `None` when the bus is closed.
    pub async fn next(&mut self) -> Option<Delivery> {
        self.deliveries.next().await
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.deliveries.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}

/// The reason why a message was not published or a request not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusError {
    /// Nobody is subscribed to the subject.
    NoSubscriber,
    /// The payload has more than [`Bus::max_payload`] bytes.
    TooLong,
    /// The bus is closed or cannot be reached, for this reason.
    Unavailable(String),
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSubscriber => f.write_str("nobody is subscribed to the subject"),
            Self::TooLong => f.write_str("the message is too long for the bus"),
            Self::Unavailable(reason) => write!(f, "the bus is unavailable: {reason}"),
        }
    }
}

impl std::error::Error for BusError {}

impl From<BusError> for Error {
    fn from(error: BusError) -> Self {
        Self::disconnected(error.to_string())
            .with_code("unavailable")
            .with_may_have_run(false)
    }
}

/// Carries messages between the nodes of a cluster.
///
/// Subjects are tokens of `A-Z a-z 0-9 _ = -`, separated by dots. Messages from one node to one
/// subject arrive in order, at most once. A message may be lost: a link detects this and ends.
pub trait Bus: Send + Sync + 'static {
    /// Returns the largest payload of a message, in bytes.
    fn max_payload(&self) -> usize;

    /// Publishes a message to all subscriptions of `subject`, and to one member of each group.
    ///
    /// The future completes when the message has its place in the order of this node's messages,
    /// which may be before it is sent.
    fn publish(&self, subject: &str, message: Message) -> BoxFuture<'static, Result<(), BusError>>;

    /// Subscribes to a subject. Each message is delivered to one subscription of a `group`.
    ///
    /// When the future completes, the bus routes messages to the subscription: whatever any node
    /// publishes afterwards is delivered.
    fn subscribe(
        &self,
        subject: &str,
        group: Option<&str>,
    ) -> BoxFuture<'static, Result<Subscription, BusError>>;

    /// Publishes a message and waits for the first answer. There is no time limit.
    fn request(
        &self,
        subject: &str,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, BusError>> {
        let inbox = format!("_INBOX.{}", random_token());
        let answers = self.subscribe(&inbox, None);
        let sent = self.publish(subject, Message::new(payload).with_reply(inbox));
        Box::pin(async move {
            let mut answers = answers.await?;
            sent.await?;
            match answers.next().await {
                Some(Delivery::Message(answer)) => Ok(answer.payload),
                Some(Delivery::NoSubscriber) => Err(BusError::NoSubscriber),
                None => Err(BusError::Unavailable("it is closed".to_owned())),
            }
        })
    }
}
