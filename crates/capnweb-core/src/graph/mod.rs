//! The graph of objects, promises, values and references to peers behind the handles.

pub(crate) mod asked;
pub(crate) mod cancellation;
pub(crate) mod connect_failure;
pub(crate) mod cycle;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod hook;
pub(crate) mod hooks;
pub(crate) mod import;
pub(crate) mod intercept;
pub(crate) mod lasting;
pub(crate) mod local_executor;
pub(crate) mod local_object;
pub(crate) mod name;
pub(crate) mod observe;
pub(crate) mod offload;
pub(crate) mod on_broken;
pub(crate) mod payload;
pub(crate) mod peer_call;
pub(crate) mod peer_edges;
pub(crate) mod promise_state;
pub(crate) mod propagate;
pub(crate) mod remote;
pub(crate) mod session_end;
pub(crate) mod stream;
pub(crate) mod work;
