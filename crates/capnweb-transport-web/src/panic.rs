//! The end of sessions when the program panics.
//!
//! Without unwinding a panic traps: it ends the JavaScript job that it happens in, and nothing tells
//! anybody else. The host goes on, the sockets stay open, and a peer would wait for the answer to its
//! call for ever. So a hook closes the connections.

use std::{
    cell::{Cell, RefCell},
    panic,
    sync::Once,
};

use wasm_bindgen::{JsCast, JsValue};
use web_sys::WebSocket;

use crate::host::call;

/// The close code, which a page may send, and the reason.
const CODE: u16 = 3000;
const REASON: &str = "the program panicked";

thread_local! {
    static OPEN: RefCell<Vec<(u64, JsValue)>> = const { RefCell::new(Vec::new()) };
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Closes a connection when the program panics, until this is dropped.
pub(crate) struct CloseOnPanic(u64);

impl CloseOnPanic {
    /// Registers a WebSocket, or a WebTransport connection.
    pub(crate) fn new(connection: &JsValue) -> Self {
        install();
        let number = LAST.get() + 1;
        LAST.set(number);
        OPEN.with_borrow_mut(|open| open.push((number, connection.clone())));
        Self(number)
    }
}

impl Drop for CloseOnPanic {
    fn drop(&mut self) {
        // Dropped after the borrow: the value is JavaScript's, but there may be a thread's end.
        let entry = OPEN.try_with(|open| {
            let mut open = open.borrow_mut();
            let at = open.iter().position(|(number, _)| *number == self.0)?;
            Some(open.swap_remove(at))
        });
        drop(entry);
    }
}

/// Adds the hook to the one that is there.
fn install() {
    static INSTALLED: Once = Once::new();
    // With unwinding, the core answers the call with an error, and the session goes on.
    if cfg!(panic = "unwind") {
        return;
    }
    INSTALLED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            before(info);
            close_all();
        }));
    });
}

fn close_all() {
    let _ = OPEN.try_with(|open| {
        let Ok(open) = open.try_borrow() else { return };
        for (_, connection) in open.iter() {
            // In a Worker this fails for the sockets of other requests.
            match connection.dyn_ref::<WebSocket>() {
                Some(socket) => drop(socket.close_with_code_and_reason(CODE, REASON)),
                None => drop(call(connection, "close", &[])),
            }
        }
    });
}
