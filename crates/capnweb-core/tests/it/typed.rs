//! What a typed interface needs of this crate, written by hand: stubs with methods, promises that
//! deref to them, arguments that may be values, promises, targets or closures.

use std::{future::Future, sync::Arc};

use capnweb_core::{
    Accepts, Answer, Call, Callback, FromStub, Get, Pipelined, Promise, Property, Result, Stub,
    Target, TypedPipeline,
};
use serde::{Deserialize, Serialize};

use crate::support::connect;

// As a macro would expand `trait Authed`.
trait Authed: Send + Sync + 'static {
    fn get_user_id(&self) -> impl Future<Output = Result<u32>> + Send;
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct AuthedStub(Stub);

impl AuthedStub {
    fn new(target: impl Authed) -> Self {
        Self(Stub::new(AuthedTarget(target)))
    }

    fn get_user_id(&self) -> Promise<u32> {
        Promise::cast(self.0.call("getUserId", ()))
    }
}

impl FromStub for AuthedStub {
    fn from_stub(stub: Stub) -> Self {
        Self(stub)
    }

    fn as_stub(&self) -> &Stub {
        &self.0
    }

    fn into_stub(self) -> Stub {
        self.0
    }
}

impl TypedPipeline for AuthedStub {}

impl Pipelined for AuthedStub {
    type Pipeline = Self;
}

impl<T: Authed> Accepts<T> for AuthedStub {
    type Wire = Self;
    fn wire(argument: T) -> Self {
        Self::new(argument)
    }
}

struct AuthedTarget<T>(T);

impl<T: Authed> Target for AuthedTarget<T> {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match call.method() {
            "getUserId" => Answer::future(async move { self.0.get_user_id().await }),
            _ => Answer::not_found(),
        }
    }

    fn get(self: Arc<Self>, get: Get<'_>) -> Property {
        match get.name() {
            "getUserId" => Property::Method,
            _ => Property::Undefined,
        }
    }
}

// As a macro would expand `struct Profile`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Profile {
    name: String,
}

struct ProfilePipeline(Stub);

impl ProfilePipeline {
    fn name(&self) -> Promise<String> {
        Promise::cast(self.0.get("name"))
    }
}

impl FromStub for ProfilePipeline {
    fn from_stub(stub: Stub) -> Self {
        Self(stub)
    }

    fn as_stub(&self) -> &Stub {
        &self.0
    }

    fn into_stub(self) -> Stub {
        self.0
    }
}

impl TypedPipeline for ProfilePipeline {}

impl Pipelined for Profile {
    type Pipeline = ProfilePipeline;
}

// The client of the main interface; its server is dynamic, to show that both mix.
#[derive(Clone)]
struct ApiStub(Stub);

impl ApiStub {
    fn authenticate<A, M>(&self, token: A) -> Promise<AuthedStub>
    where
        String: Accepts<A, M>,
    {
        Promise::cast(self.0.call("authenticate", (String::wire(token),)))
    }

    fn profile<A, M>(&self, id: A) -> Promise<Profile>
    where
        u32: Accepts<A, M>,
    {
        Promise::cast(self.0.call("profile", (u32::wire(id),)))
    }

    fn greet<A, M>(&self, names: A) -> Promise<String>
    where
        Vec<String>: Accepts<A, M>,
    {
        Promise::cast(self.0.call("greet", (<Vec<String>>::wire(names),)))
    }

    fn whose<A, M>(&self, authed: A) -> Promise<u32>
    where
        AuthedStub: Accepts<A, M>,
    {
        Promise::cast(self.0.call("whose", (AuthedStub::wire(authed),)))
    }

    fn twice<A, M>(&self, callback: A) -> Promise<f64>
    where
        Callback<f64, f64>: Accepts<A, M>,
    {
        let callback = <Callback<f64, f64>>::wire(callback);
        Promise::cast(self.0.call("twice", (callback,)))
    }
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
async fn an_interface_by_hand() {
    let connected = connect(server());
    let api = ApiStub(connected.api.clone());
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

#[tokio::test]
async fn everything_crosses_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    fn is_send<T: Send>(_: T) {}
    is_send_and_sync::<Stub>();
    is_send_and_sync::<Promise<Profile>>();
    is_send_and_sync::<capnweb_core::Value>();
    is_send_and_sync::<capnweb_core::Payload>();
    is_send_and_sync::<capnweb_core::Error>();
    is_send_and_sync::<capnweb_core::Session>();
    is_send_and_sync::<capnweb_core::Connection>();
    is_send_and_sync::<capnweb_core::Context>();
    is_send(async {
        let api = ApiStub(server());
        api.greet(vec![api.profile(1).name()]).await
    });
}
