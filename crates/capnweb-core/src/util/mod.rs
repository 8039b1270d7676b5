//! Building blocks that are independent of Cap'n Web.

pub(crate) mod buffer_pool;
pub(crate) mod byte_budget;
pub(crate) mod lock;
pub(crate) mod long_bytes;
pub(crate) mod search;
pub(crate) mod seq_table;
pub(crate) mod sharded_map;
pub(crate) mod tuples;
pub(crate) mod wakers;
pub(crate) mod weak_list;

pub(crate) use capnweb_wire::invariant;
