let (here, there) = capnweb::pair();
let (_server, mut connection) = capnweb::Session::server(capnweb::SessionOptions::new());
let notes = capnweb::Object::new().method("note", |_text: String| async { Ok(()) });
connection.set_main(notes.into_stub());
tokio::spawn(connection.drive(there));
let (client, connection) = capnweb::Session::client(capnweb::SessionOptions::new());
tokio::spawn(connection.drive(here));
let api = client.main();
drop(client);
