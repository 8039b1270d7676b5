//! Calls of functions that are properties.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use capnweb_core::{Error, Object, Promise, Result, Stub, Value};

use crate::support::{connect, within};

fn object() -> Stub {
    Object::new()
        .property("number", 5)
        .getter("o", |_| Ok(serde_json::json!({"b": 5, "c": {"d": 6}})))
        .into_stub()
}

#[tokio::test]
async fn errors_name_the_whole_path() {
    let connected = connect(object());
    for api in [connected.api.clone(), object()] {
        for (path, name) in [
            (&["o", "b"][..], "o.b"),
            (&["o", "none"], "o.none"),
            (&["o", "c", "d"], "o.c.d"),
            (&["number"], "number"),
            (&["number", "x"], "number.x"),
            (&["none"], "none"),
        ] {
            let (method, before) = path.split_last().unwrap();
            let mut at = api.clone();
            for key in before {
                at = at.get(*key).into();
            }
            let error = within(at.call(method, ()).fetch::<f64>())
                .await
                .unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("TypeError: '{name}' is not a function.")
            );
        }
    }
}

fn plus(more: f64) -> Stub {
    Stub::function(move |n: f64| async move { Ok(n + more) })
}

#[tokio::test]
async fn a_function_that_a_property_holds_is_called() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = reads.clone();
    let object = Object::new()
        .property("cb", plus(1.0))
        .property("of_promise", Promise::<Value>::ready(plus(2.0)))
        .getter("got", move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(plus(3.0))
        })
        .getter("fails", |_| -> Result<()> {
            Err(Error::range_error("not now"))
        })
        .sync_method("both", |n: f64| Ok(-n))
        .into_stub();
    let connected = connect(object.clone());
    for api in [&connected.api, &object] {
        for (name, expected) in [
            ("cb", 2.0),
            ("of_promise", 3.0),
            ("got", 4.0),
            ("both", -1.0),
        ] {
            let result = within(api.call(name, (1,)).fetch::<f64>()).await;
            assert_eq!(result.unwrap(), expected, "{name}");
            // One argument is a promise.
            let one = api.call("both", (-1,));
            let result = within(api.call(name, (one,)).fetch::<f64>()).await;
            assert_eq!(result.unwrap(), expected, "{name}");
            // The property is read as a stub first.
            let result = within(api.get(name).invoke((1,)).fetch::<f64>()).await;
            assert_eq!(result.unwrap(), expected, "{name}");
        }
        let error = within(api.call("fails", ()).fetch::<f64>()).await;
        assert_eq!(error.unwrap_err().to_string(), "RangeError: not now");
        let error = within(api.call("cb", ("x",)).fetch::<f64>()).await;
        assert!(error.unwrap_err().is_type_error());
    }
    assert_eq!(reads.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn a_property_that_is_called_by_way_of_itself_fails() {
    let own = Arc::new(Mutex::new(None::<Stub>));
    let read = own.clone();
    let object = Object::new()
        .getter("cb", move |_| Ok(read.lock().unwrap().clone()))
        .into_stub();
    *own.lock().unwrap() = Some(object.get("cb").into());
    let connected = connect(object);
    let result = within(connected.api.call("cb", ()).fetch::<f64>()).await;
    assert!(result.unwrap_err().is_type_error());
    own.lock().unwrap().take();
}
