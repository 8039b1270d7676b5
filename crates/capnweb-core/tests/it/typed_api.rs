//! Types on top of stubs: arguments for parameters, pipelines of promises, callbacks, and maps.

use std::sync::Arc;

use capnweb_core::{
    Accepts, Bytes, Callback, Error, Json, Payload, Promise, Result, Stub, StubType, Value,
};
use capnweb_macros::{interface, value};

use crate::support::connect;

#[interface(crate = "capnweb_core")]
trait Authed {
    async fn get_user_id(&self) -> Result<u32>;
}

#[value(crate = "capnweb_core")]
#[derive(Debug, PartialEq)]
struct Profile {
    name: String,
}

/// The main interface. Its server is untyped, to show that both can be mixed.
#[interface(crate = "capnweb_core")]
trait Api {
    async fn authenticate(&self, token: String) -> Result<AuthedStub>;
    async fn profile(&self, id: u32) -> Result<Profile>;
    async fn greet(&self, names: Vec<String>) -> Result<String>;
    async fn whose(&self, authed: AuthedStub) -> Result<u32>;
    async fn twice(&self, callback: Callback<f64, f64>) -> Result<f64>;
}

struct User(u32);

impl Authed for User {
    async fn get_user_id(&self) -> Result<u32> {
        Ok(self.0)
    }
}

fn server() -> Stub {
    capnweb_core::Object::new()
        .method("authenticate", |token: String| async move {
            Ok(AuthedStub::new(User(u32::try_from(token.len()).unwrap())))
        })
        .method("profile", |id: u32| async move {
            Ok(Profile {
                name: format!("user {id}"),
            })
        })
        .method("greet", |names: Vec<String>| async move {
            Ok(names.join(" and "))
        })
        .method("whose", |authed: AuthedStub| async move {
            Ok(authed.get_user_id())
        })
        .method("twice", |callback: Callback<f64, f64>| async move {
            callback.call(callback.call(1.5)).await
        })
        .into_stub()
}

#[tokio::test]
async fn a_typed_interface_works_over_a_dynamic_server() {
    let connected = connect(server());
    let api = ApiStub::from_stub(connected.api.clone());
    let authed = api.authenticate("token");
    let profile = api.profile(authed.get_user_id());
    let greeting = api.greet(vec![profile.name(), profile.name()]);
    assert_eq!(
        profile.await.unwrap(),
        Profile {
            name: "user 5".to_owned()
        }
    );
    assert_eq!(greeting.await.unwrap(), "user 5 and user 5");
    assert_eq!(api.profile(9).await.unwrap().name, "user 9");
    assert_eq!(api.whose(User(3)).await.unwrap(), 3);
    assert_eq!(api.whose(&authed).await.unwrap(), 5);
    let stub: AuthedStub = authed.await.unwrap();
    assert_eq!(stub.get_user_id().await.unwrap(), 5);
    let tripled = api.twice(|n: f64| async move { Ok(3.0 * n) });
    assert_eq!(tripled.await.unwrap(), 13.5);
    assert_eq!(api.twice(|n: f64| 2.0 * n).await.unwrap(), 6.0);
    drop((stub, api));
    connected.settle().await;
}

/// Returns the wire format of an argument for a parameter of type `T`.
fn wire<T: Accepts<A, M>, A, M>(argument: A) -> String {
    Payload::encode(&T::wire(argument))
        .unwrap()
        .as_expression()
        .to_owned()
}

#[tokio::test]
async fn parameters_accept_more_than_their_own_type() {
    let seven = || Promise::<u32>::ready(7);
    // References, and literals without a suffix.
    assert_eq!(wire::<u64, _, _>(7), "7");
    assert_eq!(wire::<u32, _, _>(&7), "7");
    assert_eq!(wire::<String, _, _>("a"), r#""a""#);
    assert_eq!(wire::<String, _, _>(&"a".to_owned()), r#""a""#);
    assert_eq!(wire::<Bytes, _, _>(b"a"), r#"["bytes","YQ"]"#);
    assert_eq!(wire::<Bytes, _, _>(vec![97]), r#"["bytes","YQ"]"#);
    // Numbers that the parameter can hold.
    assert_eq!(wire::<f64, _, _>(7), "7");
    assert_eq!(wire::<f64, _, _>(0.5), "0.5");
    assert_eq!(wire::<f64, _, _>(7_u8), "7");
    assert_eq!(wire::<f64, _, _>(seven()), "0");
    assert_eq!(wire::<f64, _, _>(&seven()), "0");
    // Containers with promises in them. (In place of a promise, the text has a placeholder.)
    assert_eq!(wire::<Vec<u32>, _, _>([1, 2]), "[[1,2]]");
    assert_eq!(wire::<Vec<u32>, _, _>(&[1, 2]), "[[1,2]]");
    assert_eq!(wire::<Vec<u32>, _, _>(&vec![1, 2]), "[[1,2]]");
    assert_eq!(wire::<Vec<u32>, _, _>(&[1, 2][..1]), "[[1]]");
    assert_eq!(wire::<Vec<u32>, _, _>(vec![seven()]), "[[0]]");
    assert_eq!(wire::<Vec<u32>, _, _>(&[seven()]), "[[0]]");
    assert_eq!(wire::<Vec<Vec<String>>, _, _>([["a"]]), r#"[[[["a"]]]]"#);
    assert_eq!(
        wire::<(u32, Vec<String>), _, _>((seven(), ["a"])),
        r#"[[0,[["a"]]]]"#
    );
    let map = |value| std::collections::BTreeMap::from([("a".to_owned(), value)]);
    assert_eq!(
        wire::<std::collections::BTreeMap<String, u32>, _, _>(map(seven())),
        r#"{"a":0}"#
    );
    let map = std::collections::HashMap::from([("a", 1)]);
    assert_eq!(
        wire::<std::collections::HashMap<String, u32>, _, _>(&map),
        r#"{"a":1}"#
    );
    // Options, with and without the `Some`.
    assert_eq!(wire::<Option<u32>, _, _>(7), "7");
    assert_eq!(wire::<Option<u32>, _, _>(Some(7)), "7");
    assert_eq!(wire::<Option<u32>, _, _>(seven()), "0");
    assert_eq!(wire::<Option<u32>, _, _>(Some(seven())), "0");
    assert_eq!(wire::<Option<u32>, _, _>(None::<u32>), "null");
    assert_eq!(wire::<Option<u32>, _, _>(()), r#"["undefined"]"#);
    assert_eq!(wire::<Option<String>, _, _>("a"), r#""a""#);
    assert_eq!(wire::<Option<String>, _, _>(&Some("a")), r#""a""#);
    assert_eq!(wire::<Option<u32>, _, _>(&None::<u32>), "null");
    assert_eq!(wire::<Option<Value>, _, _>(Some("a")), r#""a""#);
    assert_eq!(wire::<Option<Value>, _, _>(None::<Value>), "null");
    assert_eq!(wire::<Option<Payload>, _, _>(()), r#"["undefined"]"#);
    assert_eq!(wire::<(u32, String), _, _>(&(7, "a")), r#"[[7,"a"]]"#);
    assert_eq!(wire::<Box<String>, _, _>("a"), r#""a""#);
    // Parameters without a type, and parameters that are promises.
    assert_eq!(wire::<Value, _, _>(("a", 1)), r#"[["a",1]]"#);
    assert_eq!(wire::<Payload, _, _>(seven()), "0");
    assert_eq!(
        wire::<Json<Profile>, _, _>(Json(Profile { name: "a".into() })),
        r#"{"name":"a"}"#
    );
    assert_eq!(
        wire::<Json<Profile>, _, _>(Profile { name: "a".into() }),
        r#"{"name":"a"}"#
    );
    assert_eq!(wire::<Promise<u32>, _, _>(7), "7");
    assert_eq!(wire::<Promise<u32>, _, _>(seven()), "0");
    // Stubs of any interface, promises of them, objects, closures.
    let stub = || AuthedStub::new(User(3));
    assert_eq!(wire::<AuthedStub, _, _>(User(3)), "0");
    assert_eq!(
        wire::<AuthedStub, _, _>(Promise::<AuthedStub>::ready(User(3))),
        "0"
    );
    assert_eq!(wire::<Stub, _, _>(stub()), "0");
    assert_eq!(wire::<Stub, _, _>(&stub()), "0");
    assert_eq!(
        wire::<Stub, _, _>(Promise::<AuthedStub>::ready(stub())),
        "0"
    );
    assert_eq!(wire::<Callback<u32>, _, _>(|_: u32| {}), "0");
    assert_eq!(
        wire::<Callback<u32, String>, _, _>(async |_: u32| "a".to_owned()),
        "0"
    );
    assert_eq!(wire::<Callback<fn(), u32>, _, _>(|| 7), "0");
    assert_eq!(wire::<Callback<fn(u32), u32>, _, _>(|n: u32| n), "0");
    assert_eq!(wire::<Option<Callback<u32>>, _, _>(|_: u32| {}), "0");
}

#[tokio::test]
async fn callbacks_return_values_errors_and_promises() {
    let plain: Callback<u32, u32> = Callback::new(|n: u32| n + 1);
    assert_eq!(plain.call(1).await.unwrap(), 2);
    let later: Callback<u32, u32> = Callback::new(async |n: u32| n + 2);
    assert_eq!(later.call(plain.call(1)).await.unwrap(), 4);
    let failing: Callback<u32, u32> =
        Callback::new(|n: u32| Err::<u32, _>(Error::range_error(format!("{n}"))));
    let error = failing.call(5).await.unwrap_err();
    assert_eq!((error.name(), error.message()), ("RangeError", "5"));
    let inner = plain.clone();
    let promising: Callback<u32, u32> = Callback::new(move |n: u32| inner.call(n));
    assert_eq!(promising.call(1).await.unwrap(), 2);
    let nothing: Callback<String> = Callback::new(|_: String| {});
    nothing.call("a").await.unwrap();
    let two: Callback<fn(u32, String), String> =
        Callback::new(|n: u32, text: String| format!("{text}{n}"));
    assert_eq!(two.call(1, "a").await.unwrap(), "a1");
    // Received arguments are checked.
    let error = plain.invoke(("one",)).await.unwrap_err();
    assert_eq!(
        error.message(),
        "the callback: argument 1: expected u32, got a string"
    );
    let error = plain.call_method_of_none().await.unwrap_err();
    assert_eq!(error.message(), "'x' is not a function.");
}

trait CallMethodOfNone {
    fn call_method_of_none(&self) -> Promise<Value>;
}

impl CallMethodOfNone for Callback<u32, u32> {
    fn call_method_of_none(&self) -> Promise<Value> {
        Stub::call(self, "x", ())
    }
}

#[tokio::test]
async fn a_callback_lives_as_long_as_it_is_kept() {
    let kept = Arc::new(std::sync::Mutex::new(None::<Callback<u32>>));
    let shelf = kept.clone();
    let connected = connect(
        capnweb_core::Object::new()
            .method("keep", move |callback: Callback<u32>| {
                *shelf.lock().unwrap() = Some(callback);
                async { Ok(()) }
            })
            .into_stub(),
    );
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let callback = <Callback<u32>>::wire(move |n: u32| {
        let _ = sender.send(n);
    });
    connected.api.call("keep", (callback,)).await.unwrap();
    let callback = kept.lock().unwrap().take().unwrap();
    callback.call(1).await.unwrap();
    assert_eq!(received.recv().await, Some(1));
    drop(callback);
    // The closure is dropped too, with its sender.
    assert_eq!(received.recv().await, None);
    connected.settle().await;
}

#[tokio::test]
async fn promises_offer_the_operations_of_their_type() {
    let list: Promise<Vec<u32>> = Promise::ready([1, 2, 3]);
    assert_eq!(list.at(1).await.unwrap(), 2);
    assert!(list.at(9).await.is_err());
    let doubled = list.map(|n| (n.clone(), [n], "constant", None::<u32>));
    assert_eq!(
        doubled.at(2).await.unwrap(),
        (3, vec![3], "constant".to_owned(), None)
    );
    let nested: Promise<Vec<Vec<u32>>> = list.map(|n| vec![n.clone(), n]);
    let maps = nested.map(|inner| inner.map(|n| n));
    assert_eq!(maps.await.unwrap(), [[1, 1], [2, 2], [3, 3]]);
    let some: Promise<Option<Profile>> = Promise::ready(Some(Profile { name: "Ada".into() }));
    assert_eq!(
        some.map(|p| p.name()).await.unwrap().as_deref(),
        Some("Ada")
    );
    let none: Promise<Option<Profile>> = Promise::ready(());
    assert_eq!(none.map(|p| p.name()).await.unwrap(), None);
    let options: Promise<Vec<Option<u32>>> = Promise::ready([Some(1), None]);
    assert_eq!(
        options.map(|n| n.map(|n| (n, true))).await.unwrap(),
        [Some((1, true)), None]
    );
    // Awaiting the wrong type returns an error that says so.
    let wrong: Promise<String> = Promise::cast(list.at(0));
    assert_eq!(
        wrong.await.unwrap_err().message(),
        "[0]: expected a string, got a number"
    );
}

#[tokio::test]
async fn placeholders_fail_outside_their_map() {
    let mut escaped = None;
    let list: Promise<Vec<u32>> = Promise::ready([1]);
    let mapped = list.map(|n| {
        escaped = Some(n.clone());
        n
    });
    assert_eq!(mapped.await.unwrap(), [1]);
    let escaped = escaped.unwrap();
    let error = escaped.clone().await.unwrap_err();
    assert!(error.message().contains("`map`"), "{error}");
    // Nor does it arrive at a local object.
    let local = ApiStub::from_stub(server());
    let error = local.profile(&escaped).await.unwrap_err();
    assert!(error.message().contains("`map`"), "{error}");
    let callback: Callback<Value, Value> = Callback::new(|value: Value| value);
    let error = callback.call(&escaped).await.unwrap_err();
    assert!(error.message().contains("`map`"), "{error}");
}

#[tokio::test]
async fn handles_cross_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    fn is_send<T: Send>(_: T) {}
    is_send_and_sync::<Stub>();
    is_send_and_sync::<Promise<Profile>>();
    is_send_and_sync::<Value>();
    is_send_and_sync::<Payload>();
    is_send_and_sync::<Error>();
    is_send_and_sync::<capnweb_core::Session>();
    is_send_and_sync::<capnweb_core::Connection>();
    is_send_and_sync::<capnweb_core::Context>();
    is_send(async {
        let api = ApiStub::from_stub(server());
        api.greet(vec![api.profile(1).name()]).await
    });
}
