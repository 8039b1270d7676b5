//! A client that outlives its sessions, on a JavaScript host.

use std::time::Duration;

use capnweb::{
    Backoff, BatchClient, Client, Error, Promise, Result, Retry, WhileDown, client::Event,
};
use js_sys::Function;
use wasm_bindgen::{JsCast, JsError, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use crate::{counter::CounterStub, main_object::MainStub};

/// The time limit of calls that wait for the next session. It is generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes calls through a client while `restart` kills the server and starts it again at the same
/// address. Returns an error if the client does not go on. `nobody` is the URL of a port on which
/// nobody listens.
#[wasm_bindgen]
pub async fn outlive(url: String, nobody: String, restart: Function) -> Result<(), JsError> {
    let failed = |problem: String| JsError::new(&problem);
    over_web_socket(url.clone(), nobody.clone(), restart)
        .await
        .map_err(failed)?;
    over_batches(url, nobody).await.map_err(failed)
}

async fn over_web_socket(url: String, nobody: String, restart: Function) -> Result<(), String> {
    // The first server is never there.
    let client = Client::to([nobody, url])
        .backoff(Backoff::full_jitter(
            Duration::from_millis(20),
            Duration::from_millis(200),
        ))
        .while_down(WhileDown::Queue {
            calls: 16,
            bytes: 1 << 16,
            wait: PATIENCE,
        })
        .start();
    let mut events = client.events();
    let api: MainStub = client.main();
    expect("the first call", api.add(2.0, 3.0).await, 5.0)?;
    let counter = client.derive(&api, |api: MainStub| -> Promise<CounterStub> {
        api.make_counter(Some(10.0))
    });
    expect("the counter", counter.increment(Some(1.0)).await, 11.0)?;

    // The server runs this call when it is killed.
    let cut = api.sleep(600_000.0);
    let restarted = restart
        .call0(&JsValue::UNDEFINED)
        .map_err(|exception| format!("restart threw {exception:?}"))?;
    JsFuture::from(restarted.unchecked_into::<js_sys::Promise>())
        .await
        .map_err(|exception| format!("restart failed: {exception:?}"))?;
    match cut.await {
        Err(error) if error.is_disconnected() && error.may_have_run() => {}
        other => return Err(format!("the call that was cut off returned {other:?}")),
    }
    // The counter was made again, by the new server.
    expect("the new counter", counter.increment(Some(2.0)).await, 12.0)?;
    expect("a later call", api.square(4.0).await, 16.0)?;

    let mut ends = 0;
    while let Some(event) = events.try_next() {
        ends += usize::from(matches!(event, Event::Ended(_)));
    }
    if ends == 0 || client.attempts() < 3 || !client.state().get().is_up() {
        return Err(format!(
            "{ends} ends and {} attempts were seen, and the client is {:?}",
            client.attempts(),
            client.state().get()
        ));
    }
    client.close_with(Error::disconnected("this is enough"));
    let reason = client.closed().await;
    if reason.message() != "this is enough" {
        return Err(format!("the client closed because of {reason}"));
    }
    match api.square(4.0).await {
        Err(error) if error.message() == "this is enough" => Ok(()),
        other => Err(format!("a call of a closed client returned {other:?}")),
    }
}

async fn over_batches(url: String, nobody: String) -> Result<(), String> {
    let client = BatchClient::to([nobody, url]).retry(Retry::idempotent().attempts(3));
    let sum = client
        .run_idempotent(|api: MainStub| async move { api.add(4.0, 5.0).await })
        .await;
    expect("a batch", sum, 9.0)
}

fn expect(what: &str, found: Result<f64>, expected: f64) -> Result<(), String> {
    match found {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(format!("{what} returned {found}, not {expected}")),
        Err(error) => Err(format!("{what} failed: {error}")),
    }
}
