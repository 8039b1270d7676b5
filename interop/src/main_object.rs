//! The main object of `capnweb-interop serve`. `node/main-object.mjs` implements the same object in
//! JavaScript.
//!
//! It uses JavaScript's numbers, so the result of one method can be the argument of another.

use std::{sync::Arc, time::Duration};

use capnweb::{
    Bytes, Callback, Context, Date, Error, OrInternal, Payload, Promise, Result, Stub, StubType,
    Url, Value,
    fetch::{Blob, Request, Response},
    stream::{Readable, Writable},
    target::{Answer, Call, Target},
    typed::TypedArray,
};

use crate::{
    commons::{Commons, Member},
    counter::{CounterStub, counter},
    differential, fetch,
    moody::{Mood, moody},
    probe::{ProbeStub, probe},
    shapes::shapes,
    streams,
    tour::{TourStub, tour},
};

/// The methods that a server offers to each connection.
#[capnweb::interface]
pub(crate) trait Main {
    fn square(&self, i: f64) -> Result<f64>;
    fn add(&self, a: f64, b: f64) -> Result<f64>;
    fn next(&self, n: f64) -> Result<f64>;
    fn ping(&self) -> Result<String>;

    /// Returns the argument undecoded.
    fn echo(&self, x: Payload) -> Result<Payload>;

    /// Returns a function that returns all its arguments undecoded. A method would have a fixed
    /// number of them.
    #[rpc(get)]
    fn echo_args(&self) -> Result<Stub>;

    /// Returns the numbers below `n`.
    fn list(&self, n: u32) -> Result<Vec<f64>>;
    fn generate_fibonacci(&self, n: u32) -> Result<Vec<f64>>;
    fn get_user(&self) -> Result<User>;

    /// Returns null.
    fn return_null(&self) -> Result<Option<f64>>;
    fn return_undefined(&self) -> Result<()>;
    fn nothing(&self) -> Result<()>;
    fn return_number(&self, i: f64) -> Result<f64>;

    /// Returns this object itself.
    #[rpc(name = "self")]
    fn this(&self, context: &Context) -> Result<MainStub>;

    /// Counts an ID, which all sessions of the server count together. Returns how often it was
    /// counted.
    fn count(&self, id: Payload) -> Result<u32>;

    /// Returns how often each ID was counted.
    fn counts(&self) -> Result<Vec<(Payload, u32)>>;

    /// Returns `ms` after `ms` milliseconds. It keeps this object alive until then, even after the
    /// end of its session.
    async fn sleep(&self, ms: f64) -> Result<f64>;
    fn throw_error(&self) -> Result<f64>;

    /// Fails with a RangeError with this message.
    fn fail(&self, message: String) -> Result<f64>;

    /// Fails with an error of our own type with the code `kind`.
    fn moody(&self, kind: String) -> Result<f64, Mood>;

    #[rpc(get)]
    fn version(&self) -> Result<String>;

    fn make_counter(&self, start: Option<f64>) -> Result<CounterStub>;
    fn increment_counter(&self, counter: CounterStub, by: Option<f64>) -> Promise<f64>;
    fn use_counter(&self, counter: CounterStub, by: f64) -> Promise<f64>;

    async fn call_square(&self, target: MainStub, i: f64) -> Result<Outcome<f64>>;

    /// Calls any function with any value. Their types are up to the function and the caller.
    async fn call_function(&self, function: Stub, i: Payload) -> Result<Outcome<Payload>>;

    /// Does the same, with other names in the result.
    async fn call_back(&self, function: Stub, x: Payload) -> Result<Got>;

    /// Returns counters that start with 0 … n − 1.
    fn get_many(&self, n: u32) -> Result<Vec<CounterStub>>;

    /// Calls the function with 0 … n − 1, one after another.
    async fn subscribe(&self, function: Callback<u32, Payload>, n: u32) -> Result<()>;

    /// Calls the function `n` times with a text of `size` characters without awaiting the calls,
    /// and returns `n` at once.
    fn flood(&self, function: Callback<String, Payload>, n: u32, size: usize) -> Result<u32>;

    fn echo_blob(&self, blob: Blob) -> Result<Blob>;
    /// Returns values that old versions of the reference do not support.
    fn novelties(&self) -> Result<Novelties>;

    /// Returns a response with status 201, the header `x-a: b`, and this text.
    fn make_response(&self, text: String) -> Result<Response>;

    /// Returns the URL, the method, the header `x-a`, and the body as text.
    async fn read_request(&self, request: Request) -> Result<fetch::Seen>;

    /// Returns a stream of `n` chunks of `size` bytes.
    fn readable(&self, n: usize, size: usize) -> Result<Readable<Bytes>>;
    async fn count_bytes(&self, stream: Readable<Value>) -> Result<usize>;

    /// Returns a stream that discards everything.
    fn writable(&self) -> Result<Writable<Value>>;

    /// Returns all chunks joined as text.
    async fn read_all(&self, stream: Readable<Value>) -> Result<String>;

    /// Returns a stream with one chunk "hi".
    fn get_stream(&self) -> Result<Readable<String>>;

    /// Writes "hi" and closes the stream.
    async fn write_to(&self, to: Writable<String>) -> Result<()>;
    fn echo_stream(&self, stream: Readable<Value>) -> Result<Readable<Value>>;

    /// Returns objects with a field `value` of any kind, in each of serde's representations.
    fn shapes(&self) -> Result<Stub>;

    /// Returns the same objects with the value undecoded.
    fn payloads(&self) -> Result<Stub>;

    /// Returns the object for values of many types, which are decoded and encoded again.
    fn differential(&self) -> Result<Stub>;

    /// Returns the object that lets checks observe and control the server.
    #[rpc(get)]
    fn probe(&self) -> Result<ProbeStub>;

    /// Returns the object for the examples in the reference's documentation.
    #[rpc(get)]
    fn tour(&self) -> Result<TourStub>;
}

#[capnweb::value]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: f64,
    pub(crate) tags: Vec<String>,
}

/// Values that were added to the protocol after its first version.
#[capnweb::value]
pub(crate) struct Novelties {
    url: Url,
    floats: TypedArray<f32>,
    blob: Blob,
    never: Date,
}

/// The result of calling a function or stub.
#[capnweb::value]
pub(crate) struct Outcome<T> {
    pub(crate) result: T,
}

/// The same, with the names of `callBack`.
#[capnweb::value]
pub(crate) struct Got {
    pub(crate) got: Payload,
}

/// Creates the main object for one connection.
pub(crate) fn main_object(commons: &Arc<Commons>) -> MainStub {
    MainStub::new(Server {
        commons: commons.clone(),
        probe: probe(commons),
        tour: tour(),
        _member: commons.mains.join(),
    })
}

struct Server {
    commons: Arc<Commons>,
    probe: ProbeStub,
    tour: TourStub,
    _member: Member,
}

impl Main for Server {
    fn square(&self, i: f64) -> Result<f64> {
        Ok(i * i)
    }

    fn add(&self, a: f64, b: f64) -> Result<f64> {
        Ok(a + b)
    }

    fn next(&self, n: f64) -> Result<f64> {
        Ok(n + 1.0)
    }

    fn ping(&self) -> Result<String> {
        Ok("pong from rust".to_owned())
    }

    fn echo(&self, x: Payload) -> Result<Payload> {
        Ok(x)
    }

    fn echo_args(&self) -> Result<Stub> {
        Ok(Stub::new(EchoArgs))
    }

    fn list(&self, n: u32) -> Result<Vec<f64>> {
        Ok((0..n).map(f64::from).collect())
    }

    fn generate_fibonacci(&self, n: u32) -> Result<Vec<f64>> {
        let numbers = std::iter::successors(Some((0.0, 1.0)), |&(a, b)| Some((b, a + b)));
        Ok((0..n).zip(numbers).map(|(_, (a, _))| a).collect())
    }

    fn get_user(&self) -> Result<User> {
        Ok(User {
            name: "Ada".to_owned(),
            id: 7.0,
            tags: vec!["x".to_owned()],
        })
    }

    fn return_null(&self) -> Result<Option<f64>> {
        Ok(None)
    }

    fn return_undefined(&self) -> Result<()> {
        Ok(())
    }

    fn nothing(&self) -> Result<()> {
        Ok(())
    }

    fn return_number(&self, i: f64) -> Result<f64> {
        Ok(i)
    }

    fn this(&self, context: &Context) -> Result<MainStub> {
        Ok(MainStub::from_stub(context.this()))
    }

    fn count(&self, id: Payload) -> Result<u32> {
        Ok(self.commons.count(id))
    }

    fn counts(&self) -> Result<Vec<(Payload, u32)>> {
        Ok(self.commons.counts())
    }

    async fn sleep(&self, ms: f64) -> Result<f64> {
        let duration = Duration::try_from_secs_f64(ms / 1000.0)
            .map_err(|_| Error::range_error(format!("cannot sleep for {ms} ms")))?;
        tokio::time::sleep(duration).await;
        Ok(ms)
    }

    fn throw_error(&self) -> Result<f64> {
        Err(Error::range_error("test error"))
    }

    fn fail(&self, message: String) -> Result<f64> {
        Err(Error::range_error(message))
    }

    fn moody(&self, kind: String) -> Result<f64, Mood> {
        Err(moody(&kind))
    }

    fn version(&self) -> Result<String> {
        Ok("1.0".to_owned())
    }

    fn make_counter(&self, start: Option<f64>) -> Result<CounterStub> {
        Ok(counter(&self.commons, start.unwrap_or(0.0)))
    }

    fn increment_counter(&self, counter: CounterStub, by: Option<f64>) -> Promise<f64> {
        counter.increment(by.unwrap_or(1.0))
    }

    fn use_counter(&self, counter: CounterStub, by: f64) -> Promise<f64> {
        counter.increment(by)
    }

    async fn call_square(&self, target: MainStub, i: f64) -> Result<Outcome<f64>> {
        Ok(Outcome {
            result: target.square(i).await?,
        })
    }

    async fn call_function(&self, function: Stub, i: Payload) -> Result<Outcome<Payload>> {
        Ok(Outcome {
            result: function.invoke((i,)).fetch().await?,
        })
    }

    async fn call_back(&self, function: Stub, x: Payload) -> Result<Got> {
        Ok(Got {
            got: function.invoke((x,)).fetch().await?,
        })
    }

    fn get_many(&self, n: u32) -> Result<Vec<CounterStub>> {
        let counters = (0..n).map(|n| counter(&self.commons, f64::from(n)));
        Ok(counters.collect())
    }

    async fn subscribe(&self, function: Callback<u32, Payload>, n: u32) -> Result<()> {
        for i in 0..n {
            function.call(i).await?;
        }
        Ok(())
    }

    fn novelties(&self) -> Result<Novelties> {
        Ok(Novelties {
            url: "https://example.com/a".parse().or_internal()?,
            floats: TypedArray(vec![1.5]),
            blob: Blob::new("text/plain", "a blob"),
            never: Date::INVALID,
        })
    }

    fn flood(&self, function: Callback<String, Payload>, n: u32, size: usize) -> Result<u32> {
        /// The number of calls before other tasks get their turn.
        const TURN: u32 = 256;

        let text = "x".repeat(size);
        let gone = function.closed();
        let calling = async move {
            for call in 1..=n {
                Promise::detach(function.call(&text));
                if call % TURN == 0 {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = calling => {}
                _ = gone => {}
            }
        });
        Ok(n)
    }

    fn echo_blob(&self, blob: Blob) -> Result<Blob> {
        Ok(blob)
    }

    fn make_response(&self, text: String) -> Result<Response> {
        fetch::make_response(text)
    }

    async fn read_request(&self, request: Request) -> Result<fetch::Seen> {
        fetch::read_request(request).await
    }

    fn readable(&self, n: usize, size: usize) -> Result<Readable<Bytes>> {
        Ok(streams::readable(n, size))
    }

    async fn count_bytes(&self, stream: Readable<Value>) -> Result<usize> {
        streams::count_bytes(stream).await
    }

    fn writable(&self) -> Result<Writable<Value>> {
        Ok(streams::writable())
    }

    async fn read_all(&self, stream: Readable<Value>) -> Result<String> {
        streams::read_all(stream).await
    }

    fn get_stream(&self) -> Result<Readable<String>> {
        Ok(streams::hi())
    }

    async fn write_to(&self, to: Writable<String>) -> Result<()> {
        streams::write_hi(to).await
    }

    fn echo_stream(&self, stream: Readable<Value>) -> Result<Readable<Value>> {
        Ok(stream)
    }

    fn shapes(&self) -> Result<Stub> {
        Ok(shapes::<Value>())
    }

    fn payloads(&self) -> Result<Stub> {
        Ok(shapes::<Payload>())
    }

    fn differential(&self) -> Result<Stub> {
        Ok(differential::serving())
    }

    fn probe(&self) -> Result<ProbeStub> {
        Ok(self.probe.clone())
    }

    fn tour(&self) -> Result<TourStub> {
        Ok(self.tour.clone())
    }
}

/// The function in the property `echoArgs`.
struct EchoArgs;

impl Target for EchoArgs {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match call.method() {
            "" => Answer::result(Ok(call.into_args())),
            _ => Answer::not_found(),
        }
    }
}
