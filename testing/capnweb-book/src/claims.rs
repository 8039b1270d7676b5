//! Values that the book's tables state.

use std::time::Duration;

use capnweb::KeepAlive;

/// The table of times in `docs/lifetime.md`.
#[test]
fn pings_have_the_times_of_the_table() {
    assert_eq!(KeepAlive::new().interval(), Duration::from_secs(20));
    assert_eq!(KeepAlive::new().timeout(), Duration::from_secs(20));
}
