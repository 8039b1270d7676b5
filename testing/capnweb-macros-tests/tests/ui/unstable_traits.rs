use capnweb::interface;

#[interface]
auto trait Auto {}

#[interface]
const trait Const {}

fn main() {}
