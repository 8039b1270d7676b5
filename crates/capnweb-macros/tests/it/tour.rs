//! The interfaces in the documentation.

use std::sync::{Arc, Mutex};

use capnweb::{Callback, Context, Error, Promise, Result, interface, value};

use crate::support::connect;

#[interface]
trait PublicApi {
    /// Logs in.
    async fn authenticate(&self, token: String) -> Result<AuthedApiStub>;
    async fn get_user_profile(&self, id: u32) -> Result<UserProfile>;
    async fn greet(&self, names: Vec<String>, greeting: Option<String>) -> Result<String>;
    async fn whose(&self, authed: AuthedApiStub) -> Result<Promise<u32>>;
}

#[interface]
trait AuthedApi {
    async fn get_user_id(&self) -> Result<u32>;
    async fn get_friend_ids(&self) -> Result<Vec<u32>>;
    #[rpc(get)]
    async fn title(&self) -> Result<String>;
    async fn subscribe(&self, on_event: Callback<String>) -> Result<()>;
    fn version(&self) -> Result<u32>;
    fn next(&self) -> Promise<u32>;
    fn own_title(&self, context: &Context) -> Promise<String>;
}

#[value]
#[derive(Debug, PartialEq)]
struct UserProfile {
    name: String,
    photo_url: String,
}

#[value]
#[derive(Debug, PartialEq)]
struct Friend<T> {
    user_id: T,
}

struct Server;

impl PublicApi for Server {
    async fn authenticate(&self, token: String) -> Result<AuthedApiStub> {
        if token.is_empty() {
            return Err(Error::new("a token is needed"));
        }
        Ok(AuthedApiStub::new(User(7)))
    }

    async fn get_user_profile(&self, id: u32) -> Result<UserProfile> {
        Ok(UserProfile {
            name: format!("user {id}"),
            photo_url: format!("/{id}.png"),
        })
    }

    async fn greet(&self, names: Vec<String>, greeting: Option<String>) -> Result<String> {
        let greeting = greeting.unwrap_or_else(|| "Hello".to_owned());
        Ok(format!("{greeting} {}!", names.join(" and ")))
    }

    async fn whose(&self, authed: AuthedApiStub) -> Result<Promise<u32>> {
        Ok(authed.get_user_id())
    }
}

struct User(u32);

impl AuthedApi for User {
    async fn get_user_id(&self) -> Result<u32> {
        Ok(self.0)
    }

    async fn get_friend_ids(&self) -> Result<Vec<u32>> {
        Ok(vec![self.0 + 1, self.0 + 2])
    }

    async fn title(&self) -> Result<String> {
        Ok(format!("User {}", self.0))
    }

    async fn subscribe(&self, on_event: Callback<String>) -> Result<()> {
        on_event.call("subscribed").await?;
        on_event.call(self.title().await?).await
    }

    fn version(&self) -> Result<u32> {
        Ok(3)
    }

    fn next(&self) -> Promise<u32> {
        Promise::ready(self.0 + 1)
    }

    fn own_title(&self, context: &Context) -> Promise<String> {
        context.this().get("title").cast()
    }
}

#[tokio::test]
async fn three_dependent_calls_are_made_at_once() {
    let (api, connected) = connect(PublicApiStub::new(Server));
    let authed = api.authenticate("token");
    let profile = api.get_user_profile(authed.get_user_id());
    let friends = authed
        .get_friend_ids()
        .map(|id| (id.clone(), api.get_user_profile(id).name()));
    let (profile, friends) = tokio::try_join!(profile, friends).unwrap();
    assert_eq!(profile.name, "user 7");
    assert_eq!(profile.photo_url, "/7.png");
    assert_eq!(
        friends,
        [(8, "user 8".to_owned()), (9, "user 9".to_owned())]
    );

    assert_eq!(authed.title().await.unwrap(), "User 7");
    assert_eq!(authed.own_title().await.unwrap(), "User 7");
    assert_eq!(authed.version().await.unwrap(), 3);
    assert_eq!(authed.next().await.unwrap(), 8);
    assert_eq!(api.whose(User(4)).await.unwrap(), 4);
    assert_eq!(api.whose(&authed).await.unwrap(), 7);
    let greeting = api.greet(vec![api.get_user_profile(1).name()], ());
    assert_eq!(greeting.await.unwrap(), "Hello user 1!");
    let greeting = api.greet(["Ada", "Grace"], "Welcome");
    assert_eq!(greeting.await.unwrap(), "Welcome Ada and Grace!");

    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = events.clone();
    authed
        .subscribe(move |event: String| seen.lock().unwrap().push(event))
        .await
        .unwrap();
    assert_eq!(*events.lock().unwrap(), ["subscribed", "User 7"]);

    let friends = authed
        .get_friend_ids()
        .map(|user_id| Friend { user_id })
        .await
        .unwrap();
    assert_eq!(friends, [Friend { user_id: 8 }, Friend { user_id: 9 }]);

    let error = api.authenticate("").await.unwrap_err();
    assert_eq!(error.message(), "a token is needed");
    drop((api, authed));
    connected.settle().await;
}
