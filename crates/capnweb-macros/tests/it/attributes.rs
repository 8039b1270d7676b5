//! Every option of `#[rpc(…)]`.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use capnweb::{
    Context, Payload, Promise, Result, Session, SessionOptions, StubType, Value, interface,
    lasting::{LostCall, SlotGroup, SlotOptions},
};
use tokio::sync::{Semaphore, oneshot};

use crate::support::{connect, here_and_there};

#[interface]
trait Clock {
    #[rpc(name = "now")]
    async fn current_time(&self) -> Result<f64>;
    #[rpc(get)]
    async fn zone(&self) -> Result<String>;
    #[rpc(get, name = "DST")]
    fn has_summer_time(&self) -> Result<bool>;
    #[rpc(get)]
    fn other_zone(&self, context: Context) -> Promise<String>;
    #[rpc(strict)]
    async fn alarm(&self, at: f64, label: Option<String>) -> Result<String>;
    async fn lenient_alarm(&self, at: f64) -> Result<f64>;
}

struct Utc;

impl Clock for Utc {
    async fn current_time(&self) -> Result<f64> {
        Ok(12.5)
    }

    async fn zone(&self) -> Result<String> {
        Ok("UTC".to_owned())
    }

    fn has_summer_time(&self) -> Result<bool> {
        Ok(false)
    }

    fn other_zone(&self, context: Context) -> Promise<String> {
        context.this().get("zone").cast()
    }

    async fn alarm(&self, at: f64, label: Option<String>) -> Result<String> {
        Ok(format!("{at} {}", label.unwrap_or_default()))
    }

    async fn lenient_alarm(&self, at: f64) -> Result<f64> {
        Ok(at)
    }
}

#[tokio::test]
async fn renamed_members_use_their_names_on_the_wire() {
    here_and_there(ClockStub::new(Utc), |clock| async move {
        assert_eq!(clock.current_time().await.unwrap(), 12.5);
        assert_eq!(clock.call("now", ()).fetch::<f64>().await.unwrap(), 12.5);
        let error = clock.call("currentTime", ()).await.unwrap_err();
        assert_eq!(error.message(), "'currentTime' is not a function.");
    })
    .await;
}

#[tokio::test]
async fn properties_are_read_without_a_call() {
    here_and_there(ClockStub::new(Utc), |clock| async move {
        assert_eq!(clock.zone().await.unwrap(), "UTC");
        assert!(!clock.has_summer_time().await.unwrap());
        assert_eq!(clock.other_zone().await.unwrap(), "UTC");
        assert!(!clock.get("DST").fetch::<bool>().await.unwrap());
        // A property cannot be called.
        let error = clock.call("zone", ()).await.unwrap_err();
        assert_eq!(error.message(), "'zone' is not a function.");
        // A method that is read as a property stays bound to its object. A member that does not
        // exist is undefined.
        assert_eq!(
            clock.get("now").invoke(()).fetch::<f64>().await.unwrap(),
            12.5
        );
        assert!(matches!(clock.get("then").await.unwrap(), Value::Undefined));
    })
    .await;
}

#[tokio::test]
async fn strict_methods_refuse_extra_arguments() {
    here_and_there(ClockStub::new(Utc), |clock| async move {
        assert_eq!(clock.alarm(7.0, "up").await.unwrap(), "7 up");
        assert_eq!(clock.alarm(7.0, ()).await.unwrap(), "7 ");
        let error = clock.call("alarm", (7, "up", 3)).await.unwrap_err();
        assert!(error.is_type_error());
        assert_eq!(
            error.message(),
            "alarm: expected at most 2 arguments, got 3"
        );
        let lenient = clock.call("lenientAlarm", (7, "up", 3));
        assert_eq!(lenient.fetch::<f64>().await.unwrap(), 7.0);
    })
    .await;
}

#[interface(strict)]
trait Strict {
    async fn none(&self) -> Result<()>;
}

#[interface]
#[rpc(strict)]
trait StrictToo {
    async fn none(&self) -> Result<()>;
}

struct Nothing;

impl Strict for Nothing {
    async fn none(&self) -> Result<()> {
        Ok(())
    }
}

impl StrictToo for Nothing {
    async fn none(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn whole_interfaces_can_be_strict() {
    let expected = "none: expected at most 0 arguments, got 1";
    here_and_there(StrictStub::new(Nothing), |stub| async move {
        stub.none().await.unwrap();
        let error = stub.call("none", (1,)).await.unwrap_err();
        assert_eq!(error.message(), expected);
    })
    .await;
    here_and_there(StrictTooStub::new(Nothing), |stub| async move {
        stub.none().await.unwrap();
        let error = stub.call("none", (1,)).await.unwrap_err();
        assert_eq!(error.message(), expected);
    })
    .await;
}

#[interface]
trait Anything {
    async fn known(&self) -> Result<String>;
    #[rpc(get)]
    fn size(&self) -> Result<u32>;
    #[rpc(catch_all)]
    async fn other(&self, method: String, context: Context, args: Vec<Value>) -> Result<String>;
}

struct Recorder;

impl Anything for Recorder {
    async fn known(&self) -> Result<String> {
        Ok("known".to_owned())
    }

    fn size(&self) -> Result<u32> {
        Ok(1)
    }

    async fn other(&self, method: String, context: Context, args: Vec<Value>) -> Result<String> {
        let whence = if context.session().is_some() {
            "there"
        } else {
            "here"
        };
        assert!(["here", "there"].contains(&whence));
        Ok(format!("{method}/{}", args.len()))
    }
}

#[tokio::test]
async fn a_catch_all_answers_to_every_other_name() {
    here_and_there(AnythingStub::new(Recorder), |stub| async move {
        assert_eq!(stub.known().await.unwrap(), "known");
        assert_eq!(stub.size().await.unwrap(), 1);
        assert_eq!(stub.other("unknown", (1, 2)).await.unwrap(), "unknown/2");
        assert_eq!(stub.other("known", ()).await.unwrap(), "known");
        let dynamic = stub.call("whatElse", ()).fetch::<String>();
        assert_eq!(dynamic.await.unwrap(), "whatElse/0");
        // When it is read as a property, any name is a method.
        let bound = stub.get("later").invoke((1,)).fetch::<String>();
        assert_eq!(bound.await.unwrap(), "later/1");
    })
    .await;
}

#[interface]
trait Proxy {
    #[rpc(catch_all)]
    fn forward(&self, method: String, args: Payload) -> Promise<Value>;
}

struct Forwarder(ClockStub);

impl Proxy for Forwarder {
    fn forward(&self, method: String, args: Payload) -> Promise<Value> {
        self.0.call(&method, args)
    }
}

#[tokio::test]
async fn a_catch_all_can_be_a_proxy() {
    let proxy = ProxyStub::new(Forwarder(ClockStub::new(Utc)));
    here_and_there(proxy, |proxy| async move {
        let alarm = proxy.forward("alarm", (7.0, "up"));
        assert!(matches!(alarm.await.unwrap(), Value::String(text) if text == "7 up"));
        // Any stub can be converted into any other.
        let clock: ClockStub = StubType::from_stub(StubType::into_stub(proxy));
        assert_eq!(clock.current_time().await.unwrap(), 12.5);
    })
    .await;
}

#[interface]
trait Work {
    #[rpc(cancel_on_release)]
    async fn cancelable(&self) -> Result<u32>;
    async fn stubborn(&self) -> Result<u32>;
}

struct Worker {
    gate: Arc<Semaphore>,
    finished: Arc<AtomicU32>,
    /// Notified when a handler is dropped, finished or not.
    dropped: std::sync::Mutex<Option<oneshot::Sender<()>>>,
}

struct Witness(Option<oneshot::Sender<()>>);

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            // It fails if the test does not wait for it.
            let _ = sender.send(());
        }
    }
}

impl Worker {
    fn stub() -> (
        WorkStub,
        Arc<Semaphore>,
        Arc<AtomicU32>,
        oneshot::Receiver<()>,
    ) {
        let (gate, finished) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU32::new(0)));
        let (sender, dropped) = oneshot::channel();
        let worker = Self {
            gate: gate.clone(),
            finished: finished.clone(),
            dropped: std::sync::Mutex::new(Some(sender)),
        };
        (WorkStub::new(worker), gate, finished, dropped)
    }

    async fn work(&self) -> Result<u32> {
        let _witness = Witness(self.dropped.lock().unwrap().take());
        self.gate.acquire().await.unwrap().forget();
        Ok(self.finished.fetch_add(1, SeqCst) + 1)
    }
}

impl Work for Worker {
    async fn cancelable(&self) -> Result<u32> {
        self.work().await
    }

    async fn stubborn(&self) -> Result<u32> {
        self.work().await
    }
}

#[tokio::test]
async fn a_cancelable_method_is_dropped_with_its_promise() {
    let (work, gate, finished, dropped) = Worker::stub();
    let (api, connected) = connect(work);
    drop(api.cancelable());
    dropped.await.unwrap();
    assert_eq!(finished.load(SeqCst), 0);
    gate.add_permits(1);
    assert_eq!(api.cancelable().await.unwrap(), 1);
    drop(api);
    connected.settle().await;
}

#[tokio::test]
async fn an_uncancelable_method_runs_to_its_end() {
    let (work, gate, finished, dropped) = Worker::stub();
    let (api, connected) = connect(work);
    drop(api.stubborn());
    // The release has arrived once a later call is answered.
    gate.add_permits(1);
    dropped.await.unwrap();
    assert_eq!(finished.load(SeqCst), 1);
    drop(api);
    connected.settle().await;
}

#[interface]
trait Defaults {
    async fn name(&self) -> Result<String>;
    /// The default body awaits, returns early and uses its parameters.
    async fn greet(&self, mut times: u32) -> Result<String> {
        if times == 0 {
            return Err(capnweb::Error::range_error("no times"));
        }
        let mut greeting = String::new();
        while times > 0 {
            times -= 1;
            greeting += &self.name().await?;
        }
        Ok(greeting)
    }
    fn twice(&self, n: u32) -> Result<u32> {
        Ok(2 * n)
    }
}

struct Ada;

impl Defaults for Ada {
    async fn name(&self) -> Result<String> {
        Ok("Ada".to_owned())
    }
}

struct Quiet;

impl Defaults for Quiet {
    async fn name(&self) -> Result<String> {
        Ok("Quiet".to_owned())
    }

    async fn greet(&self, _times: u32) -> Result<String> {
        Ok(String::new())
    }
}

#[tokio::test]
async fn default_bodies_are_kept_and_can_be_replaced() {
    here_and_there(DefaultsStub::new(Ada), |stub| async move {
        assert_eq!(stub.greet(2).await.unwrap(), "AdaAda");
        assert!(stub.greet(0).await.unwrap_err().is_range_error());
        assert_eq!(stub.twice(4).await.unwrap(), 8);
    })
    .await;
    here_and_there(DefaultsStub::new(Arc::new(Quiet)), |stub| async move {
        assert_eq!(stub.greet(2).await.unwrap(), "");
    })
    .await;
}

#[interface]
trait Conditional {
    #[cfg(test)]
    async fn exists(&self) -> Result<bool>;
    #[cfg(not(test))]
    async fn does_not(&self, missing: NoSuchType) -> Result<NoSuchType>;
    #[cfg(test)]
    #[rpc(name = "either")]
    async fn this(&self) -> Result<u32>;
    #[cfg(not(test))]
    #[rpc(name = "either")]
    async fn that(&self) -> Result<u32>;
    #[cfg(not(test))]
    #[rpc(get)]
    async fn no_property(&self) -> Result<u32>;
}

impl Conditional for Nothing {
    async fn exists(&self) -> Result<bool> {
        Ok(true)
    }

    async fn this(&self) -> Result<u32> {
        Ok(1)
    }
}

#[interface]
#[cfg(not(test))]
trait Absent {
    async fn missing(&self) -> Result<NoSuchType>;
}

#[tokio::test]
async fn methods_exist_when_their_cfg_says_so() {
    here_and_there(ConditionalStub::new(Nothing), |stub| async move {
        assert!(stub.exists().await.unwrap());
        assert_eq!(stub.call("either", ()).fetch::<u32>().await.unwrap(), 1);
        assert_eq!(
            stub.call("doesNot", ()).await.unwrap_err().message(),
            "'doesNot' is not a function."
        );
        let bound = stub.get("exists").invoke(()).fetch::<bool>();
        assert!(bound.await.unwrap());
    })
    .await;
}

#[interface]
trait Ledger {
    #[rpc(idempotent)]
    async fn balance(&self, of: String) -> Result<u32>;
    #[rpc(get, idempotent)]
    async fn currency(&self) -> Result<String>;
    async fn pay(&self, amount: u32) -> Result<u32>;
    #[rpc(idempotent)]
    async fn itself(&self, context: Context) -> Result<LedgerStub>;
}

struct Bank;

impl Ledger for Bank {
    async fn balance(&self, of: String) -> Result<u32> {
        Ok(u32::try_from(of.len()).unwrap_or_default())
    }

    async fn currency(&self) -> Result<String> {
        Ok("EUR".to_owned())
    }

    async fn pay(&self, amount: u32) -> Result<u32> {
        Ok(amount)
    }

    async fn itself(&self, context: Context) -> Result<LedgerStub> {
        Ok(LedgerStub::from_stub(context.this()))
    }
}

#[tokio::test]
async fn idempotent_methods_survive_the_end_of_a_session() {
    let options = SlotOptions::new().retry(|_: &LostCall<'_>| true);
    let (slot, stub) = SlotGroup::new(options).slot();
    let bank = LedgerStub::from_stub(stub);
    let (mut lost, connection) = Session::client(SessionOptions::new());
    slot.put(&lost, lost.main());
    let balance = bank.balance("Ada");
    let currency = bank.currency();
    let of_itself = bank.itself().balance("Grace");
    let pay = bank.pay(10);
    drop(connection);
    let error = pay.await.unwrap_err();
    assert!(error.is_disconnected() && !error.may_have_run());
    let (direct, connected) = connect(LedgerStub::new(Bank));
    lost = direct.as_stub().session().unwrap();
    slot.put(&lost, lost.main());
    assert_eq!(balance.await.unwrap(), 3);
    assert_eq!(currency.await.unwrap(), "EUR");
    assert_eq!(of_itself.await.unwrap(), 5);
    drop((lost, connected));
    // On other stubs, the option has no effect.
    here_and_there(LedgerStub::new(Bank), |bank| async move {
        assert_eq!(bank.balance("Ada").await.unwrap(), 3);
        assert_eq!(bank.currency().await.unwrap(), "EUR");
    })
    .await;
}
