//! A network of several nodes within this process, with faults.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future as _,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use futures_util::future::BoxFuture;
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep},
};

use super::{MemoryDirectory, directory::Store};
use crate::bus::{Bus, BusError, Delivery, Message, Subscription};

/// A network within this process. Tests can delay, lose, cut off and kill.
///
/// ```
/// use capnweb_cluster::{Bus, Delivery, MemoryNetwork, Message};
/// # use capnweb_cluster::BusError;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BusError> {
/// let network = MemoryNetwork::new();
/// let (a, b) = (network.node(), network.node());
/// let mut news = b.subscribe("news", None).await?;
/// a.publish("news", Message::new("hello")).await?;
/// let Some(Delivery::Message(message)) = news.next().await else { panic!("no message") };
/// assert_eq!(message.payload, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    directory: Store,
}

struct State {
    nodes: BTreeMap<u64, Node>,
    subscriptions: BTreeMap<u64, Subscriber>,
    last: u64,
    delay: Duration,
    max_payload: usize,
    /// Rotates the members of groups.
    turn: usize,
    published: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            last: 0,
            delay: Duration::ZERO,
            max_payload: 1 << 20,
            turn: 0,
            published: 0,
        }
    }
}

struct Node {
    reach: Reach,
    /// The number of messages to the node that will be lost.
    loses: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Up,
    /// Cut off, and the network has noticed.
    Cut,
    /// Cut off, and nobody has noticed.
    Partitioned,
    Dead,
}

struct Subscriber {
    node: u64,
    subject: String,
    group: Option<String>,
    /// The time of the last delivery, so that a shorter delay overtakes nothing.
    last: Instant,
    deliveries: mpsc::UnboundedSender<(Instant, Delivery)>,
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn deliver(&mut self, number: u64, delivery: Delivery) {
        let delay = self.delay;
        let Some(subscriber) = self.subscriptions.get_mut(&number) else {
            return;
        };
        let Some(node) = self.nodes.get_mut(&subscriber.node) else {
            return;
        };
        if node.reach != Reach::Up {
            return;
        }
        if node.loses > 0 {
            node.loses -= 1;
            return;
        }
        let at = (Instant::now() + delay).max(subscriber.last);
        subscriber.last = at;
        // It fails if the subscription is being dropped.
        let _ = subscriber.deliveries.send((at, delivery));
    }

    /// Returns the subscriptions that a message to `subject` goes to.
    fn route(&mut self, subject: &str) -> Vec<u64> {
        let mut chosen = Vec::new();
        let mut groups: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (number, subscriber) in &self.subscriptions {
            let reach = self.nodes.get(&subscriber.node).map(|node| node.reach);
            let is_known = matches!(reach, Some(Reach::Up | Reach::Partitioned));
            if subscriber.subject != subject || !is_known {
                continue;
            }
            match &subscriber.group {
                None => chosen.push(*number),
                Some(group) => groups.entry(group).or_default().push(*number),
            }
        }
        let turn = self.turn;
        let members = groups.values();
        let members = members.filter_map(|members| members.get(turn % members.len().max(1)));
        chosen.extend(members);
        if !groups.is_empty() {
            self.turn = self.turn.wrapping_add(1);
        }
        chosen
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryNetwork {
    /// Creates a network without nodes and without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node.
    pub fn node(&self) -> MemoryBus {
        let mut state = self.shared.lock();
        let node = state.next();
        state.nodes.insert(
            node,
            Node {
                reach: Reach::Up,
                loses: 0,
            },
        );
        drop(state);
        MemoryBus {
            shared: self.shared.clone(),
            node,
        }
    }

    /// Returns the directory of the network, as `node` reaches it.
    pub fn directory(&self, node: &MemoryBus) -> MemoryDirectory {
        MemoryDirectory::of(self.shared.directory.clone(), node.clone())
    }

    /// Delays all later messages by `delay`.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Sets the largest payload. Default: 1 MiB.
    pub fn set_max_payload(&self, bytes: usize) {
        self.shared.lock().max_payload = bytes;
    }

    /// Returns the number of messages that were published.
    pub fn published(&self) -> u64 {
        self.shared.lock().published
    }

    /// Loses the next `messages` messages to a node.
    pub fn lose(&self, node: &MemoryBus, messages: usize) {
        if let Some(node) = self.shared.lock().nodes.get_mut(&node.node) {
            node.loses += messages;
        }
    }

    /// Cuts a node off. The network notices: messages to the node have no subscriber.
    pub fn cut(&self, node: &MemoryBus) {
        self.set(node, Reach::Cut);
    }

    /// Cuts a node off without anybody noticing: messages vanish in both directions.
    pub fn partition(&self, node: &MemoryBus) {
        self.set(node, Reach::Partitioned);
    }

    /// Connects a node again that was cut off. What was sent meanwhile is lost.
    pub fn heal(&self, node: &MemoryBus) {
        self.set(node, Reach::Up);
    }

    /// Ends a node, as if its process were killed.
    pub fn kill(&self, node: &MemoryBus) {
        self.set(node, Reach::Dead);
        let mut state = self.shared.lock();
        let number = node.node;
        let dead = |_: &u64, subscriber: &mut Subscriber| subscriber.node != number;
        state.subscriptions.retain(dead);
    }

    fn set(&self, node: &MemoryBus, reach: Reach) {
        if let Some(node) = self.shared.lock().nodes.get_mut(&node.node)
            && node.reach != Reach::Dead
        {
            node.reach = reach;
        }
    }
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("MemoryNetwork")
            .field("nodes", &state.nodes.len())
            .field("subscriptions", &state.subscriptions.len())
            .finish_non_exhaustive()
    }
}

/// A node's access to a [`MemoryNetwork`]. Clones are handles on the same node.
#[derive(Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
    node: u64,
}

impl MemoryBus {
    fn own_reach(&self) -> Reach {
        let state = self.shared.lock();
        let node = state.nodes.get(&self.node);
        node.map_or(Reach::Dead, |node| node.reach)
    }

    /// Waits while the node is partitioned, and fails if it is cut off.
    pub(super) async fn reach(&self) -> Result<(), String> {
        match self.own_reach() {
            Reach::Up => Ok(()),
            Reach::Cut => Err("the node is cut off".to_owned()),
            // The request is lost, so there will never be an answer.
            Reach::Partitioned | Reach::Dead => std::future::pending().await,
        }
    }
}

impl Bus for MemoryBus {
    fn max_payload(&self) -> usize {
        self.shared.lock().max_payload
    }

    fn publish(&self, subject: &str, message: Message) -> BoxFuture<'static, Result<(), BusError>> {
        let (node, subject) = (self.clone(), subject.to_owned());
        Box::pin(async move {
            match node.own_reach() {
                Reach::Up => {}
                Reach::Cut | Reach::Partitioned => return Ok(()),
                Reach::Dead => return std::future::pending().await,
            }
            let mut state = node.shared.lock();
            if message.payload.len() > state.max_payload {
                return Err(BusError::TooLong);
            }
            state.published += 1;
            let to = state.route(&subject);
            if to.is_empty() {
                let back = message.reply.as_deref();
                for number in back.map(|reply| state.route(reply)).unwrap_or_default() {
                    state.deliver(number, Delivery::NoSubscriber);
                }
            }
            for number in to {
                state.deliver(number, Delivery::Message(message.clone()));
            }
            Ok(())
        })
    }

    fn subscribe(
        &self,
        subject: &str,
        group: Option<&str>,
    ) -> BoxFuture<'static, Result<Subscription, BusError>> {
        let (node, subject) = (self.clone(), subject.to_owned());
        let group = group.map(str::to_owned);
        Box::pin(async move {
            node.reach().await.map_err(BusError::Unavailable)?;
            let (sender, receiver) = mpsc::unbounded_channel();
            let mut state = node.shared.lock();
            let number = state.next();
            let subscriber = Subscriber {
                node: node.node,
                subject,
                group,
                last: Instant::now(),
                deliveries: sender,
            };
            state.subscriptions.insert(number, subscriber);
            drop(state);
            Ok(Subscription::new(Deliveries {
                shared: node.shared.clone(),
                number,
                receiver,
                next: None,
            }))
        })
    }
}

impl fmt::Debug for MemoryBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBus")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// The deliveries of a subscription, each when its delay is over.
struct Deliveries {
    shared: Arc<Shared>,
    number: u64,
    receiver: mpsc::UnboundedReceiver<(Instant, Delivery)>,
    next: Option<(Pin<Box<Sleep>>, Delivery)>,
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.next.is_none() {
            match std::task::ready!(self.receiver.poll_recv(cx)) {
                None => return Poll::Ready(None),
                Some((at, delivery)) if at <= Instant::now() => {
                    return Poll::Ready(Some(delivery));
                }
                Some((at, delivery)) => {
                    self.next = Some((Box::pin(tokio::time::sleep_until(at)), delivery));
                }
            }
        }
        if let Some((sleep, _)) = &mut self.next {
            std::task::ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(self.next.take().map(|(_, delivery)| delivery))
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        let removed = self.shared.lock().subscriptions.remove(&self.number);
        drop(removed);
    }
}
