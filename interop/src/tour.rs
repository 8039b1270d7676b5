//! The API that the examples of the TypeScript reference's documentation call: the property `tour` of the
//! main object. `node/tour.mjs` has the same in JavaScript.

mod serving;

use capnweb::{Callback, Promise, Result};

pub(crate) use self::serving::tour;

/// What anybody may call.
#[capnweb::interface]
pub(crate) trait Tour {
    fn hello(&self, name: String) -> Result<String>;

    /// The user whose token it is.
    fn authenticate(&self, token: String) -> Result<AuthedStub>;

    /// Several at once.
    fn authenticate_all(&self, tokens: Vec<String>) -> Result<Vec<AuthedStub>>;

    /// How many users of this connection are authenticated still.
    fn authenticated(&self) -> Result<usize>;
    fn get_user_profile(&self, id: u32) -> Result<Profile>;
    fn get_user_name(&self, id: u32) -> Result<String>;
    fn list_user_ids(&self) -> Result<Vec<u32>>;
    fn find_user_id(&self, name: String) -> Result<Option<u32>>;
    fn list_teams(&self) -> Result<Vec<Team>>;

    /// The profiles of those who are active: a filter, as a method.
    fn get_active_users(&self, ids: Vec<u32>) -> Result<Vec<Profile>>;

    fn first(&self) -> Result<u32>;
    fn second(&self, n: u32) -> Result<u32>;
    fn third(&self, n: u32) -> Result<u32>;

    fn get_user_info(&self) -> Result<Profile>;
    fn greet(&self, name: String) -> Result<String>;

    /// What it was told, in a line.
    fn log(&self, id: u32, n: u32, at: String) -> Result<String>;

    /// A meeting that one user holds.
    fn meeting(&self) -> Result<Meeting>;

    /// Tells a listener the name of a user.
    fn subscribe(&self, id: u32, listener: ListenerStub) -> Promise<()>;

    /// Keeps a listener, in place of one before.
    fn register_listener(&self, listener: Callback<String>) -> Result<()>;

    /// Tells the listener that is kept.
    fn notify(&self, message: String) -> Promise<()>;
}

/// What a user may call who has shown a token.
#[capnweb::interface]
pub(crate) trait Authed {
    #[rpc(get)]
    fn id(&self) -> Result<u32>;
    fn get_user_id(&self) -> Result<u32>;
    fn get_friend_ids(&self) -> Result<Vec<u32>>;
    fn get_notifications(&self) -> Result<Vec<String>>;
}

/// An object of the client's that is told something.
#[capnweb::interface]
pub(crate) trait Listener {
    fn on_event(&self, event: String) -> Result<()>;
}

#[capnweb::value]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) active: bool,
}

#[capnweb::value]
pub(crate) struct Team {
    pub(crate) member_ids: Vec<u32>,
}

#[capnweb::value]
pub(crate) struct Meeting {
    pub(crate) host: AuthedStub,
}
