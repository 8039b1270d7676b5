//! Reports to the harness from JavaScript hosts.

use std::cell::RefCell;

use js_sys::Function;
use wasm_bindgen::JsValue;

thread_local! {
    static REPORT: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Sets the function that receives the reports, one line each.
pub(crate) fn report_to(function: Function) {
    REPORT.set(Some(function));
}

/// Passes on the report of a check.
pub(crate) fn report(report: &serde_json::Value) {
    let function = REPORT.with_borrow(Clone::clone);
    if let Some(function) = function {
        let line = JsValue::from_str(&report.to_string());
        // If it throws, the harness notices that the report is missing.
        let _ = function.call1(&JsValue::UNDEFINED, &line);
    }
}
