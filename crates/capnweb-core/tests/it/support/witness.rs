//! A drop that a test can await.

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// A value that reports its drop.
pub(crate) struct Witness(Option<Sender<()>>);

impl Witness {
    /// A witness, and the news of its drop.
    pub(crate) fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = channel();
        (Self(Some(sender)), receiver)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // The test may not want to know.
            let _ = sender.send(());
        }
    }
}
