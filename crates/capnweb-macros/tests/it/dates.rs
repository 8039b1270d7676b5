//! Points in time that are sent as JavaScript's `Date`.

use std::time::{Duration, SystemTime};

use capnweb::{Date, Object, Promise, Result, Stub, interface, typed::AsDate, value};

use crate::support::here_and_there;

#[value]
#[derive(Clone, Debug, PartialEq)]
struct Event {
    #[serde(with = "capnweb::date")]
    at: SystemTime,
    #[serde(with = "capnweb::date::option", default)]
    until: Option<SystemTime>,
}

#[interface]
trait Calendar {
    async fn next(&self, after: AsDate<SystemTime>) -> Result<AsDate<SystemTime>>;
    async fn move_on(&self, event: Event) -> Result<Event>;
    async fn all(&self, times: Vec<AsDate<SystemTime>>) -> Result<Vec<AsDate<SystemTime>>>;
}

struct Daily;

const DAY: Duration = Duration::from_secs(86_400);

impl Calendar for Daily {
    async fn next(&self, after: AsDate<SystemTime>) -> Result<AsDate<SystemTime>> {
        Ok(AsDate(*after + DAY))
    }

    async fn move_on(&self, event: Event) -> Result<Event> {
        Ok(Event {
            at: event.at + DAY,
            until: event.until.map(|until| until + DAY),
        })
    }

    async fn all(&self, times: Vec<AsDate<SystemTime>>) -> Result<Vec<AsDate<SystemTime>>> {
        Ok(times)
    }
}

#[tokio::test]
async fn times_are_dates_on_the_wire() {
    let epoch = SystemTime::UNIX_EPOCH;
    here_and_there(CalendarStub::new(Daily), async |calendar| {
        assert_eq!(*calendar.next(epoch).await.unwrap(), epoch + DAY);
        assert_eq!(calendar.next(AsDate(epoch)).await.unwrap().0, epoch + DAY);
        let next: Promise<AsDate<SystemTime>> = calendar.next(epoch);
        assert_eq!(*calendar.next(next).await.unwrap(), epoch + 2 * DAY);
        assert_eq!(calendar.all([epoch]).await.unwrap(), [AsDate(epoch)]);
        // The values that a JavaScript peer sends and receives.
        let date: Date = calendar
            .call("next", (Date::from_millis(0),))
            .fetch()
            .await
            .unwrap();
        assert_eq!(date, Date::from_millis(86_400_000));
        let event = Event {
            at: epoch,
            until: None,
        };
        assert_eq!(calendar.move_on(&event).await.unwrap().at, epoch + DAY);
        let moved = calendar.call("moveOn", (&event,));
        let at: Date = moved.get("at").fetch().await.unwrap();
        assert_eq!(at, Date::from_millis(86_400_000));
        let both = Event {
            at: epoch,
            until: Some(epoch),
        };
        assert_eq!(
            calendar.move_on(both).await.unwrap().until,
            Some(epoch + DAY)
        );
    })
    .await;
    let peer: Stub = Object::new()
        .method("next", async |_: Date| Ok(Date::INVALID))
        .into_stub();
    let calendar: CalendarStub = capnweb::StubType::from_stub(peer);
    let error = calendar.next(epoch).await.unwrap_err();
    assert!(
        error
            .message()
            .starts_with("next: result: the date is invalid"),
        "{error}"
    );
}
