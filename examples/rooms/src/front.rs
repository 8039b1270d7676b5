//! The objects of a node for the pages that are connected to it.

use std::{process::Command, sync::Arc};

use capnweb::{
    Callback, Result,
    cluster::{Cluster, Topic},
};
use tokio::{sync::Notify, task::AbortHandle};

use crate::api::{Front, Message, Place, Room, RoomStub, Seat, SeatStub, Switch, SwitchStub};

/// Returns the topic of a room's new messages.
pub(crate) fn news(cluster: &Cluster, room: &str) -> Topic<Message> {
    cluster.topic(&format!("room.{room}"))
}

/// Returns the kind of the switch of a node. Only the node itself hosts it.
pub(crate) fn switch_kind(node: &str) -> String {
    format!("switch of {node}")
}

#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) cluster: Cluster,
    pub(crate) node: String,
    pub(crate) nodes: Vec<String>,
}

impl Front for Desk {
    fn node(&self) -> Result<String> {
        Ok(self.node.clone())
    }

    fn nodes(&self) -> Result<Vec<String>> {
        Ok(self.nodes.clone())
    }

    fn room(&self, name: String) -> Result<RoomStub> {
        Ok(RoomStub::new(Door(self.cluster.get("room", &name))))
    }

    async fn watch(&self, room: String, on_message: Callback<Message>) -> Result<SeatStub> {
        let mut messages = news(&self.cluster, &room).subscribe().await?;
        let passing_on = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                // An error means that some messages were missed. The page reads them in the log.
                if let Ok(message) = message
                    && on_message.call(message).await.is_err()
                {
                    break;
                }
            }
        });
        let task = passing_on.abort_handle();
        Ok(SeatStub::new(Taken { room, task }))
    }

    fn switch(&self, node: String) -> Result<SwitchStub> {
        Ok(self.cluster.get(&switch_kind(&node), ""))
    }
}

/// Passes calls on through a typed stub, which knows which of them are idempotent. So they are made
/// again if the room's node crashes.
struct Door(RoomStub);

impl Room for Door {
    async fn post(&self, sender: String, number: u32, text: String) -> Result<Message> {
        self.0.post(sender, number, text).await
    }

    async fn messages(&self, after: u32) -> Result<Vec<Message>> {
        self.0.messages(after).await
    }

    async fn place(&self) -> Result<Place> {
        self.0.place().await
    }
}

struct Taken {
    room: String,
    task: AbortHandle,
}

impl Seat for Taken {
    fn room(&self) -> Result<String> {
        Ok(self.room.clone())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The switch of this node.
#[derive(Clone)]
pub(crate) struct Own {
    pub(crate) cluster: Cluster,
    pub(crate) stop: Arc<Notify>,
}

impl Switch for Own {
    async fn objects(&self) -> Result<usize> {
        Ok(self.cluster.objects())
    }

    async fn stop(&self) -> Result<()> {
        self.stop.notify_one();
        Ok(())
    }

    async fn kill(&self) -> Result<()> {
        let id = std::process::id().to_string();
        let _ = Command::new("kill").args(["-9", &id]).status();
        // There may be no such program.
        std::process::abort()
    }
}
