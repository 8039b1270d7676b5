//! The number of allocations per call: within this process no more than the types need, and with
//! types fewer than without. They are counted rather than timed, so the result is the same on every
//! machine.

use capnweb::{
    Promise, StubType,
    lasting::{SlotGroup, SlotOptions},
};
use capnweb_benches::{ServiceStub, User, connect, dynamic, typed};
use tokio::runtime::Runtime;

/// Returns the average number of allocations per call, both here and on the server, once all
/// buffers have grown.
fn count<F: Future<Output = ()>>(runtime: &Runtime, call: impl Fn() -> F) -> f64 {
    const CALLS: u32 = 1_000;
    let many = || {
        runtime.block_on(async {
            for _ in 0..CALLS {
                call().await;
            }
        });
    };
    many();
    let counted = allocation_counter::measure(many);
    #[expect(clippy::cast_precision_loss, reason = "an average, for people to read")]
    let per_call = counted.count_total as f64 / f64::from(CALLS);
    per_call
}

#[test]
fn a_typed_call_allocates_less_often() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let user = &User::example();
    for (place, typed, dynamic) in [
        ("local", &typed(), &dynamic()),
        (
            "session",
            &ServiceStub::from_stub(connect(typed())),
            &connect(dynamic()),
        ),
    ] {
        let rows = [
            (
                "add",
                count(&runtime, || async {
                    assert_eq!(typed.add(2.0, 3.0).await.unwrap(), 5.0);
                }),
                count(&runtime, || async {
                    let sum = dynamic.call("add", (2.0, 3.0)).await.unwrap();
                    assert_eq!(sum.as_f64(), Some(5.0));
                }),
            ),
            (
                "add, by a future",
                count(&runtime, || async {
                    assert_eq!(typed.add_later(2.0, 3.0).await.unwrap(), 5.0);
                }),
                count(&runtime, || async {
                    let sum = dynamic.call("addLater", (2.0, 3.0)).await.unwrap();
                    assert_eq!(sum.as_f64(), Some(5.0));
                }),
            ),
            (
                "a value",
                count(&runtime, || async {
                    assert_eq!(typed.rename(user, "Grace").await.unwrap().name, "Grace");
                }),
                count(&runtime, || async {
                    let renamed = dynamic.call("rename", (user, "Grace")).await.unwrap();
                    assert_eq!(renamed["name"].as_str(), Some("Grace"));
                }),
            ),
        ];
        if place == "local" {
            // The future is boxed. The value is nine strings and lists on either side, and in both
            // directions it is longer than what a payload stores inline.
            for ((call, typed, _), most) in rows.iter().zip([0.0, 1.0, 11.0]) {
                assert!(*typed <= most, "{call}: {typed}");
            }
        }
        for (call, typed, dynamic) in rows {
            println!("{place:8} {call:18} typed {typed:5.1}  dynamic {dynamic:5.1}");
            // A session also looks up methods by name, so types only save the decoding.
            let fewer = place == "local" || call == "a value";
            assert!(
                typed <= dynamic - f64::from(u8::from(fewer)),
                "{place}, {call}"
            );
        }
    }
}

#[test]
fn a_call_that_nobody_awaits_does_not_allocate() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let api = typed();
    let calls = count(&runtime, || async {
        Promise::detach(api.add(2.0, 3.0));
        // Let the task run that handles it.
        tokio::task::yield_now().await;
    });
    // The runtime decides whether the last task has run before the counting begins.
    assert!(calls < 0.01, "{calls}");
}

#[test]
fn a_call_through_a_lasting_stub_allocates_no_more_often() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let direct = connect(typed());
    let session = direct.session().unwrap();
    let (slot, lasting) = SlotGroup::new(SlotOptions::new()).slot();
    slot.put(&session, direct.clone());
    let [direct, lasting] = [direct, lasting].map(ServiceStub::from_stub);
    let user = &User::example();
    let calls = |api: &ServiceStub| {
        count(&runtime, || async {
            assert_eq!(api.add(2.0, 3.0).await.unwrap(), 5.0);
            let renamed = api.another().rename(user, "Grace").await;
            assert_eq!(renamed.unwrap().name, "Grace");
        })
    };
    let (direct, lasting) = (calls(&direct), calls(&lasting));
    println!("direct {direct:.2}, lasting {lasting:.2}");
    assert!(lasting <= direct + 0.01, "{lasting} against {direct}");
}
