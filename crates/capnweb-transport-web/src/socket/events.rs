//! The events of a WebSocket.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::{Context, Waker},
};

use js_sys::{ArrayBuffer, Function, JsString, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{CloseEvent, Event, MessageEvent, WebSocket};

use crate::host::{describe, get};

/// A message that the host has received.
pub(super) enum Frame {
    Text(JsString),
    Binary(Uint8Array),
    /// A message that can be read only asynchronously.
    Unreadable,
}

impl Frame {
    /// Returns the length. For text it is in UTF-16 code units, which is at most the number of
    /// bytes.
    pub(super) fn len(&self) -> usize {
        let len = match self {
            Self::Text(text) => text.length(),
            Self::Binary(bytes) => bytes.length(),
            Self::Unreadable => 0,
        };
        usize::try_from(len).unwrap_or(usize::MAX)
    }
}

/// The events of a WebSocket that have not been processed.
#[derive(Default)]
pub(super) struct Happened {
    frames: RefCell<VecDeque<Frame>>,
    is_open: Cell<bool>,
    /// The code and the reason of the close event.
    closed: RefCell<Option<(u16, String)>>,
    /// The description from an error event.
    error: RefCell<Option<String>>,
    waker: RefCell<Option<Waker>>,
}

impl Happened {
    pub(super) fn take_frame(&self) -> Option<Frame> {
        self.frames.borrow_mut().pop_front()
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    pub(super) fn closed(&self) -> Option<(u16, String)> {
        self.closed.borrow().clone()
    }

    pub(super) fn error(&self) -> Option<String> {
        self.error.borrow().clone()
    }

    /// Registers the task of `cx` to be woken by the next event.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|old| old.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn wake(&self) {
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn handle(&self, event: &Event) {
        match event.type_().as_str() {
            "open" => self.is_open.set(true),
            "message" => {
                let data = event.unchecked_ref::<MessageEvent>().data();
                self.frames.borrow_mut().push_back(frame(data));
            }
            "close" => {
                let event = event.unchecked_ref::<CloseEvent>();
                *self.closed.borrow_mut() = Some((event.code(), event.reason()));
            }
            _ => {
                // Browsers do not report the cause; Node and Workers do.
                let error = get(event, "error");
                let text = match get(event, "message").as_string() {
                    Some(text) if !text.is_empty() => text,
                    _ if error.is_undefined() || error.is_null() => String::new(),
                    _ => describe(&error),
                };
                *self.error.borrow_mut() = Some(text);
            }
        }
        self.wake();
    }
}

fn frame(data: JsValue) -> Frame {
    let data = match data.dyn_into::<JsString>() {
        Ok(text) => return Frame::Text(text),
        Err(data) => data,
    };
    if data.is_instance_of::<ArrayBuffer>() || data.is_instance_of::<Uint8Array>() {
        return Frame::Binary(Uint8Array::new(&data));
    }
    Frame::Unreadable
}

/// Listens to a WebSocket until it is dropped.
pub(super) struct Listener {
    socket: WebSocket,
    callback: Closure<dyn FnMut(Event)>,
    pub(super) happened: Rc<Happened>,
}

const EVENTS: [&str; 4] = ["open", "message", "error", "close"];

impl Listener {
    pub(super) fn new(socket: &WebSocket) -> Self {
        let happened = Rc::new(Happened::default());
        happened
            .is_open
            .set(socket.ready_state() == WebSocket::OPEN);
        let callback = Closure::new({
            let happened = happened.clone();
            move |event: Event| happened.handle(&event)
        });
        let listener = Self {
            socket: socket.clone(),
            callback,
            happened,
        };
        for event in EVENTS {
            // This fails only for objects that are not event targets.
            let _ = socket.add_event_listener_with_callback(event, listener.function());
        }
        listener
    }

    fn function(&self) -> &Function {
        self.callback.as_ref().unchecked_ref()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for event in EVENTS {
            let _ = (self.socket).remove_event_listener_with_callback(event, self.function());
        }
    }
}
