let (here, there) = capnweb::pair();
let (_serving, mut server) = capnweb::Session::server(capnweb::SessionOptions::default());
let (session, mut client) = capnweb::Session::client(capnweb::SessionOptions::default());
