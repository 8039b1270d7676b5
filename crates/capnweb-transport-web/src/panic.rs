//! Closing of connections when the program panics or traps.
//!
//! Without unwinding, a panic is a trap that ends only the JavaScript job in which it happens. The
//! host keeps running and the sockets stay open, so a peer would wait for the answer to its call
//! forever. A panic hook therefore closes the connections. Other traps, such as running out of
//! memory or of stack, call no hook. The host reports them as unhandled errors, which are listened
//! to.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    panic,
    rc::Rc,
    sync::Once,
    task::{Context, Poll, Waker},
};

use capnweb_core::runtime::{Scope, spawn, take_trapped};
use js_sys::{Function, global};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::WebSocket;

use crate::host::{call, get};

/// The close code, one that pages may send, and the reasons.
const CODE: u16 = 3000;
const PANICKED: &str = "the program panicked";
const TRAPPED: &str = "the program trapped";

/// The events by which hosts report errors that nobody handles.
const UNHANDLED: [&str; 2] = ["error", "unhandledrejection"];

thread_local! {
    static OPEN: RefCell<Vec<(u64, Open)>> = const { RefCell::new(Vec::new()) };
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// A connection or work that ends when the program panics.
#[derive(Clone)]
enum Open {
    /// A WebSocket or WebTransport connection.
    Connection(JsValue),
    /// Work of a scope, whose end somebody awaits.
    Work(Scope, Rc<dyn Fail>),
}

trait Fail {
    fn fail(&self);
}

/// A registration of what ends when the program panics. Dropping it cancels the registration.
pub(crate) struct CloseOnPanic(u64);

impl CloseOnPanic {
    /// Registers a WebSocket or WebTransport connection.
    pub(crate) fn new(connection: &JsValue) -> Self {
        Self::register(Open::Connection(connection.clone()))
    }

    fn register(open: Open) -> Self {
        install();
        let number = LAST.get() + 1;
        LAST.set(number);
        OPEN.with_borrow_mut(|all| all.push((number, open)));
        Self(number)
    }
}

impl Drop for CloseOnPanic {
    fn drop(&mut self) {
        // The entry is dropped after the borrow has ended. `try_with` fails if the thread is
        // ending.
        let entry = OPEN.try_with(|open| {
            let mut open = open.borrow_mut();
            let at = open.iter().position(|(number, _)| *number == self.0)?;
            Some(open.swap_remove(at))
        });
        drop(entry);
    }
}

/// Runs work in a task of its own. Returns `None` if this task, or one that it has spawned, panics
/// or traps.
#[doc(hidden)]
pub async fn until_trap<T: 'static>(work: impl Future<Output = T> + 'static) -> Option<T> {
    let outcome = Rc::new(Outcome::default());
    let _registration = CloseOnPanic::register(Open::Work(Scope::current(), outcome.clone()));
    spawn({
        let outcome = outcome.clone();
        async move { outcome.settle(Some(work.await)) }
    });
    poll_fn(|cx| outcome.poll(cx)).await
}

/// The outcome of work, once it is known.
struct Outcome<T> {
    settled: RefCell<Option<Option<T>>>,
    waker: RefCell<Option<Waker>>,
}

impl<T> Default for Outcome<T> {
    fn default() -> Self {
        Self {
            settled: RefCell::default(),
            waker: RefCell::default(),
        }
    }
}

impl<T> Outcome<T> {
    fn settle(&self, outcome: Option<T>) {
        *self.settled.borrow_mut() = Some(outcome);
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<T>> {
        if let Some(outcome) = self.settled.borrow_mut().take() {
            return Poll::Ready(outcome);
        }
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Fail for Outcome<T> {
    fn fail(&self) {
        self.settle(None);
    }
}

/// Installs the hook, which runs the previous hook as well.
fn install() {
    static INSTALLED: Once = Once::new();
    // With unwinding, the core answers the call with an error and the session continues.
    if cfg!(panic = "unwind") {
        return;
    }
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            before(info);
            end_all(Scope::current(), PANICKED);
        }));
        listen_for_traps();
    });
}

/// Closes all connections once the host reports an error after a task has trapped.
fn listen_for_traps() {
    let Ok(listen) = get(&global(), "addEventListener").dyn_into::<Function>() else {
        // Node ends the process.
        return;
    };
    let callback = Closure::<dyn FnMut()>::new(|| {
        if let Some(scope) = take_trapped() {
            end_all(scope, TRAPPED);
        }
    })
    .into_js_value();
    for event in UNHANDLED {
        // Without listeners, a trap is noticed by the silence that follows.
        let _ = listen.call2(&global(), &JsValue::from_str(event), &callback);
    }
}

fn end_all(scope: Scope, reason: &str) {
    // None of the calls below may be made while this is borrowed.
    let open = OPEN.try_with(|open| open.try_borrow().map(|open| open.clone()));
    let Ok(Ok(open)) = open else { return };
    for (_, open) in open {
        match open {
            Open::Connection(connection) => match connection.dyn_ref::<WebSocket>() {
                // In a Worker this fails for the sockets of other requests.
                Some(socket) => drop(socket.close_with_code_and_reason(CODE, reason)),
                None => drop(call(&connection, "close", &[])),
            },
            Open::Work(of, work) if of == scope => work.fail(),
            Open::Work(..) => {}
        }
    }
}
