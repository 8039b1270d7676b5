//! A flag that can be waited for.

use tokio::sync::watch;

/// A flag that is set once, and that any number of tasks can wait for.
#[derive(Debug)]
pub(crate) struct Flag(watch::Sender<bool>);

impl Flag {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn set(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the flag is set.
    pub(crate) async fn wait(&self) {
        let mut flag = self.0.subscribe();
        // It fails if the sender is dropped, which `self` holds.
        let _ = flag.wait_for(|is_set| *is_set).await;
    }
}
