//! The property `$interface`, which peers can read if they are allowed to.

use capnweb_core::{
    Callback, Object, Promise, Result, Session, SessionOptions, StubType, Value,
    describe::{self, Description, Type},
    pair,
};
use serde::de::DeserializeOwned;

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Door {
    /// Returns the API of the user with this token.
    async fn authenticate(&self, token: String) -> Result<RoomStub>;
    fn shelf(&self) -> Result<ShelfStub<u32>>;
    fn rooms(&self) -> Result<Vec<RoomStub>>;
}

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Room {
    fn listen(&self, on_sound: Callback<fn(String, u64)>) -> Result<()>;
    /// Returns the description to users who have logged in.
    fn about(&self) -> Result<Description>;
}

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Shelf<T> {
    fn top(&self) -> Result<Option<T>>;
}

/// An interface with its own property of that name.
#[capnweb_macros::interface(crate = "capnweb_core")]
trait Own {
    #[rpc(get, name = "$interface")]
    fn interface(&self) -> Result<String>;
}

/// An interface with a catch-all.
#[capnweb_macros::interface(crate = "capnweb_core")]
trait Catching: Shelf<String> {
    #[rpc(catch_all)]
    fn other(&self, method: String, args: Value) -> Result<String>;
}

struct House;

impl Door for House {
    async fn authenticate(&self, _token: String) -> Result<RoomStub> {
        Ok(RoomStub::new(House))
    }

    fn shelf(&self) -> Result<ShelfStub<u32>> {
        Ok(ShelfStub::new(House))
    }

    fn rooms(&self) -> Result<Vec<RoomStub>> {
        Ok(vec![RoomStub::new(House)])
    }
}

impl Room for House {
    fn listen(&self, _on_sound: Callback<fn(String, u64)>) -> Result<()> {
        Ok(())
    }

    fn about(&self) -> Result<Description> {
        Ok(Description::of::<RoomStub>())
    }
}

impl Shelf<u32> for House {
    fn top(&self) -> Result<Option<u32>> {
        Ok(None)
    }
}

impl Shelf<String> for House {
    fn top(&self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl Own for House {
    fn interface(&self) -> Result<String> {
        Ok("mine".to_owned())
    }
}

impl Catching for House {
    fn other(&self, method: String, _args: Value) -> Result<String> {
        Ok(method)
    }
}

/// Connects to `main` at a peer with these options.
fn connect(options: SessionOptions, main: impl StubType) -> Session {
    let (left, right) = pair();
    let (_, mut connection) = Session::server(options);
    connection.set_main(main.into_stub());
    tokio::spawn(connection.drive(left));
    let (session, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    session
}

fn introspectable(main: impl StubType) -> Session {
    connect(SessionOptions::new().with_introspection(true), main)
}

/// Reads the description of the peer's main object.
async fn description<T: DeserializeOwned + 'static>(session: &Session) -> T {
    let found = session.main().get(describe::PROPERTY).fetch();
    found.await.unwrap()
}

#[tokio::test]
async fn strangers_find_no_description_unless_the_session_has_one_for_them() {
    let session = connect(SessionOptions::new(), DoorStub::new(House));
    let found: Value = description(&session).await;
    assert_eq!(found, Value::Undefined);
    let room = session.main().call("authenticate", ("t",));
    let found: Value = room.get(describe::PROPERTY).fetch().await.unwrap();
    assert_eq!(found, Value::Undefined);
    let refused = session
        .main()
        .call(describe::PROPERTY, ())
        .fetch::<Value>()
        .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn the_description_of_an_interface_arrives_as_it_is_made_here() {
    let session = introspectable(DoorStub::new(House));
    let found: Description = description(&session).await;
    assert_eq!(found, Description::of::<DoorStub>());
    // Read it again, from the same text.
    let found: Description = description(&session).await;
    assert_eq!(found, Description::of::<DoorStub>());
}

#[tokio::test]
async fn it_can_be_asked_of_what_is_not_there_yet_and_in_maps() {
    let session = introspectable(DoorStub::new(House));
    let main = DoorStub::from_stub(session.main());
    let room = Promise::into_stub(main.authenticate("t"));
    let found: Description = room.get(describe::PROPERTY).fetch().await.unwrap();
    assert_eq!(found, Description::of::<RoomStub>());
    // Read a part of it.
    let methods: Vec<Value> = room
        .get(describe::PROPERTY)
        .get("interfaces")
        .get("0")
        .get("methods")
        .fetch()
        .await
        .unwrap();
    assert_eq!(methods.len(), 2);
    let each: Vec<Description> = session
        .main()
        .call("rooms", ())
        .map(|room| room.get(describe::PROPERTY))
        .fetch()
        .await
        .unwrap();
    assert_eq!(each, [Description::of::<RoomStub>()]);
}

#[tokio::test]
async fn arguments_of_a_generic_interface_are_unknown() {
    let session = introspectable(DoorStub::new(House));
    let shelf = session.main().call("shelf", ());
    let found: Description = shelf.get(describe::PROPERTY).fetch().await.unwrap();
    let Type::Reference { id, arguments } = &found.main else {
        panic!("{found:?}");
    };
    assert_eq!(arguments, &[Type::Unknown]);
    let top = &found.interface(id).unwrap().methods[0];
    assert_eq!(top.result, Type::nullable(Type::Parameter { index: 0 }));
}

#[tokio::test]
async fn an_own_property_of_that_name_goes_first() {
    let session = introspectable(OwnStub::new(House));
    let found: String = description(&session).await;
    assert_eq!(found, "mine");
}

#[tokio::test]
async fn it_is_not_taken_for_a_method_of_a_catch_all() {
    let session = introspectable(CatchingStub::new(House));
    let found: Description = description(&session).await;
    assert_eq!(found, Description::of::<CatchingStub>());
    let called: String = session.main().call("whatever", ()).fetch().await.unwrap();
    assert_eq!(called, "whatever");
    // If it must not be revealed, the name is like any other.
    let session = connect(SessionOptions::new(), CatchingStub::new(House));
    let called: String = session
        .main()
        .call(describe::PROPERTY, ())
        .fetch()
        .await
        .unwrap();
    assert_eq!(called, describe::PROPERTY);
}

#[tokio::test]
async fn objects_without_an_interface_have_none() {
    let session = introspectable(Object::new().property("a", 1).into_stub());
    let found: Value = description(&session).await;
    assert_eq!(found, Value::Undefined);
}

#[tokio::test]
async fn within_a_process_it_can_always_be_read() {
    let stub = DoorStub::new(House).into_stub();
    let found: Description = stub.get(describe::PROPERTY).fetch().await.unwrap();
    assert_eq!(found, Description::of::<DoorStub>());
}

#[tokio::test]
async fn a_method_can_return_a_description_to_those_who_have_its_object() {
    let session = connect(SessionOptions::new(), DoorStub::new(House));
    let main = DoorStub::from_stub(session.main());
    let about = main.authenticate("t").about().await.unwrap();
    assert_eq!(about, Description::of::<RoomStub>());
}
