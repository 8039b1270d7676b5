//! Closing of connections when the program panics.
//!
//! Without unwinding, a panic is a trap that ends only the JavaScript job in which it happens. The
//! host keeps running and the sockets stay open, so a peer would wait for the answer to its call
//! forever. A panic hook therefore closes the connections.

use std::{
    cell::{Cell, RefCell},
    panic,
    sync::Once,
};

use wasm_bindgen::{JsCast, JsValue};
use web_sys::WebSocket;

use crate::host::call;

/// The close code, one that pages may send, and the reason.
const CODE: u16 = 3000;
const REASON: &str = "the program panicked";

thread_local! {
    static OPEN: RefCell<Vec<(u64, JsValue)>> = const { RefCell::new(Vec::new()) };
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// A registration of a connection to be closed when the program panics. Dropping it cancels the
/// registration.
pub(crate) struct CloseOnPanic(u64);

impl CloseOnPanic {
    /// Registers a WebSocket or WebTransport connection.
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
