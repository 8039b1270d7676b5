//! A room, on the node where it lives.

use std::sync::Arc;

use capnweb::{
    Result,
    cluster::{Activation, Topic},
};

use crate::{
    api::{Message, Place, Room},
    store::Store,
};

pub(crate) struct Hall {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) here: Activation,
    pub(crate) store: Arc<Store>,
    /// Reaches the pages that watch the room, on all nodes.
    pub(crate) news: Topic<Message>,
}

impl Room for Hall {
    async fn post(&self, sender: String, number: u32, text: String) -> Result<Message> {
        let message = (&*sender, number, &*text);
        let added = self.store.add(&self.name, self.here.epoch(), message);
        let (message, is_new) = added.inspect_err(|_| {
            // Perhaps the room lives elsewhere by now. The next call finds it there.
            self.here.retire();
        })?;
        if is_new {
            // A page that misses this sees a gap, and reads the log.
            let _ = self.news.publish(&message).await;
        }
        Ok(message)
    }

    async fn messages(&self, after: u32) -> Result<Vec<Message>> {
        self.store.messages(&self.name, after)
    }

    async fn place(&self) -> Result<Place> {
        Ok(Place {
            node: self.node.clone(),
            epoch: self.here.epoch().0,
            length: self.store.length(&self.name)?,
        })
    }
}
