//! The API that the examples in the TypeScript reference's documentation call: the property `tour`
//! of the main object. `node/tour.mjs` implements it in JavaScript.

mod serving;

use capnweb::{Callback, Promise, Result};

pub(crate) use self::serving::tour;

/// The methods that any client may call.
#[capnweb::interface]
pub(crate) trait Tour {
    fn hello(&self, name: String) -> Result<String>;

    /// Returns the user with this token.
    fn authenticate(&self, token: String) -> Result<AuthedStub>;

    /// Authenticates several users at once.
    fn authenticate_all(&self, tokens: Vec<String>) -> Result<Vec<AuthedStub>>;

    /// Returns the number of users of this connection that are still authenticated.
    fn authenticated(&self) -> Result<usize>;
    fn get_user_profile(&self, id: u32) -> Result<Profile>;
    fn get_user_name(&self, id: u32) -> Result<String>;
    fn list_user_ids(&self) -> Result<Vec<u32>>;
    fn find_user_id(&self, name: String) -> Result<Option<u32>>;
    fn list_teams(&self) -> Result<Vec<Team>>;

    /// Returns the profiles of active users: a filter as a method.
    fn get_active_users(&self, ids: Vec<u32>) -> Result<Vec<Profile>>;

    fn first(&self) -> Result<u32>;
    fn second(&self, n: u32) -> Result<u32>;
    fn third(&self, n: u32) -> Result<u32>;

    fn get_user_info(&self) -> Result<Profile>;
    fn greet(&self, name: String) -> Result<String>;

    /// Returns a line with the arguments.
    fn log(&self, id: u32, n: u32, at: String) -> Result<String>;

    /// Returns a meeting that a user hosts.
    fn meeting(&self) -> Result<Meeting>;

    /// Tells a listener the name of a user.
    fn subscribe(&self, id: u32, listener: ListenerStub) -> Promise<()>;

    /// Stores a listener, replacing the previous one.
    fn register_listener(&self, listener: Callback<String>) -> Result<()>;

    /// Calls the stored listener.
    fn notify(&self, message: String) -> Promise<()>;
}

/// The methods that an authenticated user may call.
#[capnweb::interface]
pub(crate) trait Authed {
    #[rpc(get)]
    fn id(&self) -> Result<u32>;
    fn get_user_id(&self) -> Result<u32>;
    fn get_friend_ids(&self) -> Result<Vec<u32>>;
    fn get_notifications(&self) -> Result<Vec<String>>;
}

/// An object of the client that receives events.
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
