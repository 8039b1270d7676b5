//! The addresses by which clients are counted.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

/// Returns the part of an address that its owner cannot choose.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// Shrinks a map of addresses that has become far too large, as after a flood.
pub(super) fn shrink<T>(by_address: &mut HashMap<IpAddr, T>) {
    if by_address.capacity() > 1024 && by_address.len() < by_address.capacity() / 8 {
        by_address.shrink_to_fit();
    }
}
