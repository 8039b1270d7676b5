//! The settings of a node.

use std::time::Duration;

use capnweb_core::lasting::{SlotOptions, WhileDown};

use crate::{link::Pulse, sturdy::Keyring};

/// The settings of a node. All nodes of a cluster should have the same lease.
///
/// ```
/// use std::time::Duration;
///
/// use capnweb_cluster::ClusterOptions;
///
/// // Fail over sooner, at the expense of more writes to the directory.
/// let options = ClusterOptions::new().with_lease(Duration::from_secs(3));
/// ```
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    pub(crate) lease: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) silence: Duration,
    pub(crate) patience: Duration,
    pub(crate) waiting_calls: usize,
    pub(crate) waiting_bytes: usize,
    pub(crate) drain: Duration,
    pub(crate) keyring: Option<Keyring>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(3),
            patience: Duration::from_secs(20),
            waiting_calls: 16_384,
            waiting_bytes: 64 << 20,
            drain: Duration::from_secs(10),
            keyring: None,
        }
    }
}

impl ClusterOptions {
    /// Creates the default settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the length of a node's lease. Default: 5 seconds.
    ///
    /// It is renewed three times in this time. The objects of a crashed node are activated
    /// elsewhere when its lease is over. The lease is at least 100 milliseconds.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }

    /// Sets the interval of heartbeats between two nodes, and the time after which a silent node
    /// is given up. Defaults: 1 second and 3 seconds.
    #[must_use]
    pub fn with_heartbeat(mut self, interval: Duration, silence: Duration) -> Self {
        self.heartbeat = interval.max(Duration::from_millis(10));
        self.silence = silence.max(self.heartbeat * 2);
        self
    }

    /// Sets how long a call waits for an object that is being found, activated or moved. Default:
    /// 20 seconds. It must exceed the lease, or calls fail when a node crashes.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how many calls of this node may wait for objects, and how many bytes of arguments.
    /// Defaults: 16,384 calls and 64 MiB.
    #[must_use]
    pub fn with_waiting(mut self, calls: usize, bytes: usize) -> Self {
        self.waiting_calls = calls;
        self.waiting_bytes = bytes;
        self
    }

    /// Sets how long an object that stops may finish its calls. Default: 10 seconds.
    #[must_use]
    pub fn with_drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    /// Sets the keys of [sturdy references](crate::SturdyRef), which all nodes need. By default
    /// there are none, and references are neither made nor restored.
    #[must_use]
    pub fn with_keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    pub(crate) fn pulse(&self) -> Pulse {
        Pulse {
            interval: self.heartbeat,
            silence: self.silence,
        }
    }

    pub(crate) fn slots(&self) -> SlotOptions {
        let (calls, bytes, wait) = (self.waiting_calls, self.waiting_bytes, self.patience);
        SlotOptions::new()
            .while_down(WhileDown::Queue { calls, bytes, wait })
            .retry(|call: &capnweb_core::lasting::LostCall<'_>| call.attempts < 16)
    }
}
