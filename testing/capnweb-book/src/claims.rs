//! Claims of the book without an example.

use std::{net::Ipv4Addr, time::Duration};

use capnweb::{Error, KeepAlive};

/// Checks the table of times in `docs/lifetime.md`.
#[test]
fn pings_have_the_times_of_the_table() {
    assert_eq!(KeepAlive::new().interval(), Duration::from_secs(20));
    assert_eq!(KeepAlive::new().timeout(), Duration::from_secs(20));
}

#[capnweb::error]
#[derive(Debug)]
enum Refusal {
    #[rpc(message = "blocked")]
    Blocked { address: Ipv4Addr },
    #[rpc(other)]
    Other(Error),
}

/// Checks the claim of `docs/errors.md` that the fields of an error type can have any serde type.
#[test]
fn fields_of_errors_need_serde_alone() {
    let address = Ipv4Addr::LOCALHOST;
    let error = Error::from(Refusal::Blocked { address });
    assert_eq!(
        error.prop::<String>("address").as_deref(),
        Some("127.0.0.1")
    );
    let Refusal::Blocked { address: read } = Refusal::from(error) else {
        panic!("the error is read back as another variant");
    };
    assert_eq!(read, address);
}
