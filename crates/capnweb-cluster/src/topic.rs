//! Topics, on which nodes publish events to all nodes.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    sync::{Arc, Weak},
};

use bytes::Bytes;
use capnweb_core::{Error, Result};
use capnweb_wire::{NoCapabilities, Source, from_expr, to_expr};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{
        Mutex,
        broadcast::{self, error::RecvError},
    },
    task::AbortHandle,
};

use crate::bus::{Bus, BusError, Delivery, Message};

/// The number of events that a subscriber may lag behind.
const LAG: usize = 1024;

/// A topic, on which events of type `T` are published: see [`Cluster::topic`].
///
/// Events are data without stubs. Each is delivered at most once, in the order in which its node
/// has published: an event that is published while a node is cut off does not reach that node.
///
/// [`Cluster::topic`]: crate::Cluster::topic
pub struct Topic<T> {
    feeds: Arc<Feeds>,
    subject: String,
    event: PhantomData<fn(T) -> T>,
}

impl<T> Topic<T> {
    pub(crate) fn new(feeds: Arc<Feeds>, subject: String) -> Self {
        Self {
            feeds,
            subject,
            event: PhantomData,
        }
    }
}

impl<T: Serialize> Topic<T> {
    /// Publishes an event to all subscribers on all nodes, including those on this node.
    ///
    /// # Errors
    ///
    /// Fails if the event contains a stub, if it is too long for a message of the bus, or if the
    /// bus is closed.
    pub async fn publish(&self, event: &T) -> Result<()> {
        let mut text = Vec::new();
        to_expr(event, &mut text, &mut NoCapabilities)?;
        let bus = &self.feeds.bus;
        match bus.publish(&self.subject, Message::new(text)).await {
            Ok(()) => Ok(()),
            Err(error @ BusError::TooLong) => Err(Error::limit(error.to_string())),
            Err(error) => Err(error.into()),
        }
    }
}

impl<T: DeserializeOwned> Topic<T> {
    /// Subscribes to the topic. Events that are published afterwards are delivered.
    ///
    /// All subscribers of a node share one subscription of the bus.
    ///
    /// # Errors
    ///
    /// Fails if the bus cannot be reached.
    pub async fn subscribe(&self) -> Result<Events<T>> {
        let feed = self.feeds.feed(&self.subject).await?;
        Ok(Events {
            events: feed.events.resubscribe(),
            _feed: feed,
            event: PhantomData,
        })
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self::new(self.feeds.clone(), self.subject.clone())
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// The events of a topic, from [`Topic::subscribe`]. Dropping it unsubscribes.
pub struct Events<T> {
    events: broadcast::Receiver<Bytes>,
    _feed: Arc<Feed>,
    event: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Events<T> {
    /// Waits for the next event. Returns `None` when the bus is closed.
    ///
    /// An `Err` concerns one event or several, and the next call continues after them. It has the
    /// code `data_loss` if this subscriber lagged behind by more than 1024 events and has missed
    /// some. Otherwise the event is no `T`.
    pub async fn next(&mut self) -> Option<Result<T>> {
        match self.events.recv().await {
            Ok(event) => Some(decode(&event)),
            Err(RecvError::Lagged(missed)) => Some(Err(Error::data_loss(format!(
                "the subscriber was too slow and has missed {missed} events"
            )))),
            Err(RecvError::Closed) => None,
        }
    }
}

fn decode<T: DeserializeOwned>(event: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(event).map_err(|error| Error::type_error(error.to_string()))?;
    let source = Source {
        text,
        holes: &[],
        capabilities: &NoCapabilities,
    };
    Ok(from_expr(&source)?)
}

impl<T> fmt::Debug for Events<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("waiting", &self.events.len())
            .finish_non_exhaustive()
    }
}

/// The subscriptions of this node to topics.
pub(crate) struct Feeds {
    bus: Arc<dyn Bus>,
    feeds: Mutex<HashMap<String, Weak<Feed>>>,
}

/// One subscription of the bus, for all subscribers of this node.
struct Feed {
    /// It is not read. The task has the only sender, so that its end ends all streams.
    events: broadcast::Receiver<Bytes>,
    task: AbortHandle,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feeds {
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Arc<Self> {
        Arc::new(Self {
            bus,
            feeds: Mutex::default(),
        })
    }

    async fn feed(&self, subject: &str) -> Result<Arc<Feed>> {
        let mut feeds = self.feeds.lock().await;
        if let Some(feed) = feeds.get(subject).and_then(Weak::upgrade)
            && !feed.task.is_finished()
        {
            return Ok(feed);
        }
        let mut deliveries = self.bus.subscribe(subject, None).await?;
        let (sender, events) = broadcast::channel(LAG);
        let pump = async move {
            while let Some(delivery) = deliveries.next().await {
                if let Delivery::Message(message) = delivery {
                    // It fails if the feed is being dropped.
                    let _ = sender.send(message.payload);
                }
            }
        };
        let task = tokio::spawn(pump).abort_handle();
        let feed = Arc::new(Feed { events, task });
        feeds.retain(|_, feed| feed.strong_count() > 0);
        feeds.insert(subject.to_owned(), Arc::downgrade(&feed));
        Ok(feed)
    }
}
