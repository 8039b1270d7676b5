//! The objects that pages call.

use capnweb::{Callback, Result};

/// The main object of a page's session, on the node that the page is connected to.
#[capnweb::interface]
pub(crate) trait Front {
    /// Returns the name of this node.
    fn node(&self) -> Result<String>;
    /// Returns the names of all nodes.
    fn nodes(&self) -> Result<Vec<String>>;
    /// Returns a room, wherever it lives.
    fn room(&self, name: String) -> Result<RoomStub>;
    /// Passes new messages of a room to the page's function, until the page disconnects or drops
    /// the returned seat.
    async fn watch(&self, room: String, on_message: Callback<Message>) -> Result<SeatStub>;
    /// Returns the switch of a node.
    fn switch(&self, node: String) -> Result<SwitchStub>;
}

/// A chat room. It lives on one node at a time.
#[capnweb::interface]
pub(crate) trait Room {
    /// Adds a message to the log, once for each sender and number.
    #[rpc(idempotent)]
    async fn post(&self, sender: String, number: u32, text: String) -> Result<Message>;
    /// Returns the messages after this position in the log.
    #[rpc(idempotent)]
    async fn messages(&self, after: u32) -> Result<Vec<Message>>;
    /// Returns where the room lives.
    #[rpc(idempotent)]
    async fn place(&self) -> Result<Place>;
}

/// A page's subscription to the messages of a room.
#[capnweb::interface]
pub(crate) trait Seat {
    /// Returns the room's name.
    fn room(&self) -> Result<String>;
}

/// The switch of a node. It lives on the node itself.
#[capnweb::interface]
pub(crate) trait Switch {
    /// Returns the number of objects on the node.
    #[rpc(idempotent)]
    async fn objects(&self) -> Result<usize>;
    /// Stops the node in order: its rooms move first, then its sessions end.
    async fn stop(&self) -> Result<()>;
    /// Kills the node's process.
    async fn kill(&self) -> Result<()>;
}

#[capnweb::value]
pub(crate) struct Message {
    /// The position in the log, from 1 on.
    pub(crate) position: u32,
    pub(crate) sender: String,
    pub(crate) number: u32,
    pub(crate) text: String,
}

#[capnweb::value]
pub(crate) struct Place {
    pub(crate) node: String,
    /// The number of the activation, which grows when the room moves.
    pub(crate) epoch: u64,
    /// The length of the log.
    pub(crate) length: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        capnweb::typescript::of::<FrontStub>().keep("rooms.d.ts");
    }
}
