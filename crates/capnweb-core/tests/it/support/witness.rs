//! A notification of a drop that a test can await.

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// A value that reports its drop.
pub(crate) struct Witness(Option<Sender<()>>);

impl Witness {
    /// Returns a witness, and the notification of its drop.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = channel();
        (Self(Some(sender)), receiver)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // It fails if the test does not wait for it.
            let _ = sender.send(());
        }
    }
}
