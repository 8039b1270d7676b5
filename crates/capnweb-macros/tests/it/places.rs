//! Errors about values of the wrong type name the method, the parameter or the result, and the path
//! inside the value.

use capnweb::{Callback, Object, Promise, Result, Stub, interface, stream::Readable, value};
use futures_util::{StreamExt, stream};

use crate::support::connect;

#[value]
#[derive(Clone, Debug)]
struct User {
    tags: Vec<Tag>,
    photo_url: Option<String>,
}

#[value]
#[derive(Clone, Debug)]
struct Tag {
    name: String,
}

/// The server's type of users. One user has a tag without a name.
#[value]
#[derive(Clone)]
struct Nameless {
    tags: [NamelessTag; 2],
    photo_url: u32,
}

#[value]
#[derive(Clone)]
struct NamelessTag {
    name: Option<String>,
}

fn nameless() -> Nameless {
    let tags = [Some("a".to_owned()), None].map(|name| NamelessTag { name });
    Nameless { tags, photo_url: 7 }
}

/// The interface that the client expects.
#[interface]
trait Api {
    async fn user(&self) -> Result<User>;
    async fn get_user(&self) -> Result<User>;
    async fn users(&self) -> Result<Vec<User>>;
    async fn number(&self) -> Result<u32>;
    async fn login(&self) -> Result<ApiStub>;
    async fn watch(&self) -> Result<Readable<User>>;
    async fn tell(&self, listener: Callback<User, u32>) -> Result<String>;
    #[rpc(get)]
    async fn owner(&self) -> Result<User>;
    #[rpc(get)]
    async fn first_owner(&self) -> Result<User>;
}

fn server() -> Stub {
    Object::new()
        .method("user", || async { Ok(nameless()) })
        .method("getUser", || async { Ok(nameless()) })
        .method("users", || async { Ok([nameless()]) })
        .method("number", || async { Ok("seven") })
        .method("login", || async {
            Ok(Object::new().property("owner", nameless()).into_stub())
        })
        .method("watch", || async {
            Ok(Readable::from_stream(stream::iter([nameless()])))
        })
        .method("tell", |listener: Stub| async move {
            let error = listener.invoke((nameless(),)).await.unwrap_err();
            Ok(error.message().to_owned())
        })
        .property("owner", nameless())
        .property("firstOwner", nameless())
        .into_stub()
}

async fn message<T: capnweb::macro_support::Parameter + capnweb::typed::Pipelined>(
    promise: Promise<T>,
) -> String {
    match promise.await {
        Ok(_) => panic!("it fits"),
        Err(error) => {
            assert!(error.is_type_error());
            error.message().to_owned()
        }
    }
}

/// Runs a test with a stub of a local object, and with one of a peer's object.
async fn each_way<F: Future<Output = ()>>(test: impl Fn(ApiStub) -> F) {
    test(capnweb::StubType::from_stub(server())).await;
    let (api, connected) = connect::<ApiStub>(capnweb::StubType::from_stub(server()));
    test(api).await;
    connected.settle().await;
}

#[tokio::test]
async fn results_name_method_and_path() {
    each_way(async |api| {
        let end = "tags[1].name: expected a string, got null";
        assert_eq!(message(api.user()).await, format!("user: result.{end}"));
        assert_eq!(
            message(api.get_user()).await,
            format!("getUser: result.{end} (in Rust: `Api::get_user`)")
        );
        assert_eq!(
            message(api.users()).await,
            "users: result[0].tags[1].name: expected a string, got null"
        );
        assert_eq!(
            message(api.number()).await,
            "number: result: expected u32, got a string"
        );
        assert_eq!(
            message(Promise::cast::<bool>(api.login())).await,
            "login: result: expected a boolean, got a stub"
        );
        // The message is the same however the result is read.
        assert_eq!(
            message(api.call("user", ()).cast::<User>()).await,
            format!("user: result.{end}")
        );
        assert_eq!(
            api.call("number", ())
                .fetch::<bool>()
                .await
                .unwrap_err()
                .message(),
            "number: result: expected a boolean, got a string"
        );
    })
    .await;
}

#[tokio::test]
async fn properties_and_fields_of_promises_name_their_path() {
    each_way(async |api| {
        let end = "tags[1].name: expected a string, got null";
        assert_eq!(message(api.owner()).await, format!("owner.{end}"));
        assert_eq!(
            message(api.first_owner()).await,
            format!("firstOwner.{end} (in Rust: `Api::first_owner`)")
        );
        assert_eq!(
            message(api.owner().photo_url()).await,
            "owner.photoUrl: expected a string, got a number"
        );
        assert_eq!(
            message(api.user().tags().at(1)).await,
            "user: result.tags[1].name: expected a string, got null"
        );
        assert_eq!(
            message(api.login().owner().tags()).await,
            "login: result.owner.tags[1].name: expected a string, got null"
        );
        let kept: Promise<User> = api.user();
        assert_eq!(message(kept.clone()).await, format!("user: result.{end}"));
    })
    .await;
}

#[tokio::test]
async fn outcomes_of_maps_name_their_path() {
    each_way(async |api| {
        let users = api.users();
        assert_eq!(
            message(users.map(|user| (1, user.tags()))).await,
            "map: result[0][1][1].name: expected a string, got null"
        );
    })
    .await;
}

#[tokio::test]
async fn chunks_name_their_path() {
    each_way(async |api| {
        let mut chunks = api.watch().await.unwrap();
        let error = chunks.next().await.unwrap().unwrap_err();
        assert_eq!(
            error.message(),
            "chunk.tags[1].name: expected a string, got null"
        );
    })
    .await;
}

#[tokio::test]
async fn callbacks_name_arguments_and_results() {
    each_way(async |api| {
        let told = api.tell(|_: User| 1).await.unwrap();
        assert_eq!(
            told,
            "the callback: argument 1.tags[1].name: expected a string, got null"
        );
    })
    .await;
    let callback: Callback<u32, Vec<u32>> =
        capnweb::StubType::from_stub(Stub::function(async |_: u32| Ok(vec![Some(1), None])));
    assert_eq!(
        message(callback.call(1)).await,
        "the callback: result[1]: expected u32, got null"
    );
}

#[interface]
trait Shop {
    async fn set_owner(&self, user: User, the_tags: Vec<Tag>) -> Result<()>;
    async fn add(&self, user: User) -> Result<()>;
    #[rpc(catch_all)]
    async fn other(&self, method: String, args: (u32, Vec<Tag>)) -> Result<()>;
}

struct Closed;

impl Shop for Closed {
    async fn set_owner(&self, _: User, _: Vec<Tag>) -> Result<()> {
        Ok(())
    }

    async fn add(&self, _: User) -> Result<()> {
        Ok(())
    }

    async fn other(&self, _: String, _: (u32, Vec<Tag>)) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn parameters_name_their_path() {
    crate::support::here_and_there(ShopStub::new(Closed), async |shop| {
        let good = User {
            tags: Vec::new(),
            photo_url: None,
        };
        for (call, message) in [
            (
                shop.call("add", (nameless(),)),
                "add: parameter `user.tags[1].name`: expected a string, got null",
            ),
            (
                shop.call("add", ()),
                "add: parameter `user`: expected struct User, got undefined",
            ),
            (
                shop.call("setOwner", (nameless(),)),
                "setOwner: parameter `user.tags[1].name`: expected a string, got null \
                 (in Rust: `user` of `Shop::set_owner`)",
            ),
            (
                shop.call("setOwner", (&good, [1])),
                "setOwner: parameter `theTags[0]`: expected struct Tag, got a number \
                 (in Rust: `the_tags` of `Shop::set_owner`)",
            ),
            (
                shop.call("unknown", (1, nameless().tags)),
                "unknown: arguments[1][1].name: expected a string, got null",
            ),
        ] {
            assert_eq!(call.await.unwrap_err().message(), message);
        }
    })
    .await;
}
