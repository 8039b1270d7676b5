//! Enums in serde's four representations.

use capnweb::{Promise, Result, Value, interface, value};

use crate::support::here_and_there;

/// `"notStarted" | {halfDone: number} | {inTheEnd: {exitCode: number}}`
#[value]
#[derive(Clone, Debug, PartialEq)]
enum Progress {
    NotStarted,
    HalfDone(f64),
    InTheEnd { exit_code: i32 },
}

/// `{type: "logIn", userName: string} | {type: "logOut"}`
#[value]
#[serde(tag = "type")]
#[derive(Clone, Debug, PartialEq)]
enum Event {
    LogIn { user_name: String },
    LogOut,
}

/// `{kind: "TEXT", data: string} | {kind: "LIST", data: number[]}`
#[value]
#[serde(tag = "kind", content = "data", rename_all = "UPPERCASE")]
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Text(String),
    List(Vec<u32>),
}

/// `number | string | number[]`
#[value]
#[serde(untagged)]
#[derive(Clone, Debug, PartialEq)]
enum Loose<T> {
    Number(T),
    Text(String),
    List(Vec<T>),
}

#[interface]
trait Enums {
    async fn progress(&self, progress: Progress) -> Result<Option<Progress>>;
    async fn event(&self, event: Event) -> Result<Event>;
    async fn content(&self, content: Content) -> Result<Content>;
    async fn loose(&self, loose: Loose<u32>) -> Result<Loose<u32>>;
    async fn value(&self, value: Value) -> Result<Value>;
}

struct Echo;

impl Enums for Echo {
    async fn progress(&self, progress: Progress) -> Result<Option<Progress>> {
        Ok(Some(progress))
    }

    async fn event(&self, event: Event) -> Result<Event> {
        Ok(event)
    }

    async fn content(&self, content: Content) -> Result<Content> {
        Ok(content)
    }

    async fn loose(&self, loose: Loose<u32>) -> Result<Loose<u32>> {
        Ok(loose)
    }

    async fn value(&self, value: Value) -> Result<Value> {
        Ok(value)
    }
}

#[tokio::test]
async fn each_enum_representation_round_trips() {
    here_and_there(EnumsStub::new(Echo), |api| async move {
        for progress in [
            Progress::NotStarted,
            Progress::HalfDone(0.5),
            Progress::InTheEnd { exit_code: 1 },
        ] {
            assert_eq!(api.progress(&progress).await.unwrap(), Some(progress));
        }
        let log_in = Event::LogIn {
            user_name: "Ada".to_owned(),
        };
        for event in [log_in, Event::LogOut] {
            assert_eq!(api.event(&event).await.unwrap(), event);
        }
        for content in [Content::Text("x".to_owned()), Content::List(vec![1])] {
            assert_eq!(api.content(&content).await.unwrap(), content);
        }
        for loose in [
            Loose::Number(1),
            Loose::Text("x".to_owned()),
            Loose::List(vec![1, 2]),
        ] {
            assert_eq!(api.loose(&loose).await.unwrap(), loose);
        }
    })
    .await;
}

#[tokio::test]
async fn enums_are_written_as_typescript_does() {
    here_and_there(EnumsStub::new(Echo), |api| async move {
        let seen = api.value(Progress::NotStarted);
        assert_eq!(seen.fetch::<String>().await.unwrap(), "notStarted");
        let seen = api.value(Progress::InTheEnd { exit_code: 3 });
        let code = seen.get("inTheEnd").get("exitCode").fetch::<i32>();
        assert_eq!(code.await.unwrap(), 3);
        let seen = api.value(Event::LogIn {
            user_name: "Ada".to_owned(),
        });
        assert_eq!(seen.get("type").fetch::<String>().await.unwrap(), "logIn");
        assert_eq!(seen.get("userName").fetch::<String>().await.unwrap(), "Ada");
        let seen = api.value(Content::Text("x".to_owned()));
        assert_eq!(seen.get("kind").fetch::<String>().await.unwrap(), "TEXT");
        assert_eq!(seen.get("data").fetch::<String>().await.unwrap(), "x");
        let seen = api.value(Loose::List(vec![1]));
        assert_eq!(seen.fetch::<Vec<u32>>().await.unwrap(), [1]);
    })
    .await;
}

#[tokio::test]
async fn an_enum_that_is_no_array_can_be_mapped_in_an_option() {
    here_and_there(EnumsStub::new(Echo), |api| async move {
        let again = api
            .progress(Progress::HalfDone(0.25))
            .map(|progress| api.progress(progress));
        let expected = Some(Some(Progress::HalfDone(0.25)));
        assert_eq!(again.await.unwrap(), expected);
        // A promise can replace a generic part or the whole value.
        let number: Promise<u32> = Promise::ready(5);
        let loose = api.loose(Loose::Number(number)).await.unwrap();
        assert_eq!(loose, Loose::Number(5));
        let event = api.event(api.event(Event::LogOut));
        assert_eq!(event.await.unwrap(), Event::LogOut);
    })
    .await;
}
