//! The page of the example `drawing`, in Rust:
//!
//! ```sh
//! cargo xtask wasm --drawing
//! ```
//!
//! Then open the page at the address that it prints, twice, or beside the page in TypeScript. The
//! interface is the server's own trait, in `board.rs`.

#![cfg(all(target_family = "wasm", target_os = "unknown"))]

// The server's part of it is not used here.
#[allow(dead_code)]
#[path = "../../../crates/capnweb/examples/drawing/board.rs"]
mod board;

use std::{cell::Cell, rc::Rc};

use capnweb::{Callback, Promise, Result, web::Local};
use wasm_bindgen::{JsCast, JsError, JsValue, closure::Closure, prelude::wasm_bindgen};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement, PointerEvent};

use crate::board::{DrawingStub, Line};

const COLOR: &str = "#8e4ec6";

/// Runs the page.
#[wasm_bindgen(start)]
async fn start() -> std::result::Result<(), JsError> {
    let page = Page::find().ok_or_else(|| JsError::new("the page has no canvas"))?;
    if let Err(error) = page.run().await {
        page.state.set_inner_text(error.message());
    }
    Ok(())
}

/// The elements of the page.
#[derive(Clone)]
struct Page {
    canvas: HtmlCanvasElement,
    pen: CanvasRenderingContext2d,
    state: HtmlElement,
}

impl Page {
    fn find() -> Option<Self> {
        let document = web_sys::window()?.document()?;
        let canvas: HtmlCanvasElement = document.get_element_by_id("canvas")?.dyn_into().ok()?;
        canvas.set_width(u32::try_from(canvas.client_width()).ok()?);
        canvas.set_height(u32::try_from(canvas.client_height()).ok()?);
        let pen = canvas.get_context("2d").ok()??.dyn_into().ok()?;
        let state = document.get_element_by_id("state")?.dyn_into().ok()?;
        Some(Self { canvas, pen, state })
    }

    async fn run(&self) -> Result<()> {
        let api: DrawingStub = capnweb::web::connect("/api")?;
        // The server calls this page for each line. Nothing waits for anything here: both calls go
        // in one round trip.
        let page = Local::new(self.clone());
        let seat = api.watch(Callback::new(move |line: Line| page.paint(&line)));
        let before = api.since(0_usize).await?;
        before.lines.iter().for_each(|line| self.paint(line));
        self.state.set_inner_text(&format!(
            "WebSocket, in Rust: the server calls this page, and {} others.",
            before.people.saturating_sub(1)
        ));
        self.draw_with_pointer(&api);
        let reason = api.closed().await;
        drop(seat);
        Err(reason)
    }

    fn paint(&self, line: &Line) {
        let (width, height) = (
            f64::from(self.canvas.width()),
            f64::from(self.canvas.height()),
        );
        self.pen.set_stroke_style_str(&line.color);
        self.pen.set_line_width(4.0);
        self.pen.set_line_cap("round");
        self.pen.begin_path();
        self.pen.move_to(line.from.0 * width, line.from.1 * height);
        self.pen.line_to(line.to.0 * width, line.to.1 * height);
        self.pen.stroke();
    }

    /// Sends a line for each move of a pressed pointer, for as long as the page is open.
    fn draw_with_pointer(&self, api: &DrawingStub) {
        let last = Rc::new(Cell::new(None));
        let (canvas, api) = (self.canvas.clone(), api.clone());
        let handle = Closure::<dyn FnMut(PointerEvent)>::new(move |event: PointerEvent| {
            let at = (
                f64::from(event.offset_x()) / f64::from(canvas.client_width()),
                f64::from(event.offset_y()) / f64::from(canvas.client_height()),
            );
            match event.type_().as_str() {
                "pointerdown" => last.set(Some(at)),
                "pointermove" => {
                    if let Some(from) = last.get() {
                        last.set(Some(at));
                        Promise::detach(api.draw(Line {
                            color: COLOR.to_owned(),
                            from,
                            to: at,
                        }));
                    }
                }
                _ => last.set(None),
            }
        });
        let function = handle.into_js_value();
        for event in ["pointerdown", "pointermove", "pointerup"] {
            // A canvas is always a target of events.
            let _: std::result::Result<(), JsValue> =
                (self.canvas).add_event_listener_with_callback(event, function.unchecked_ref());
        }
    }
}
