//! Calls by way of properties.

use capnweb_core::{Object, Stub};

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
