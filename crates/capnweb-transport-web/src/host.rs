//! Host APIs for which there are no bindings, and JavaScript's errors.

use js_sys::{Function, Object, Promise, Reflect, global};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Url;

/// Reads a property. Returns `undefined` if there is none.
pub(crate) fn get(of: &JsValue, name: &str) -> JsValue {
    Reflect::get(of, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a property of a new object.
pub(crate) fn set(of: &Object, name: &str, value: &JsValue) {
    // This fails only for objects that cannot be changed, such as frozen ones.
    let _ = Reflect::set(of, &JsValue::from_str(name), value);
}

/// Calls a method that returns a promise.
pub(crate) fn call(of: &JsValue, name: &str, args: &[&JsValue]) -> Result<Promise, JsValue> {
    let function: Function = get(of, name).dyn_into()?;
    let result = match args {
        [] => function.call0(of),
        [first, ..] => function.call1(of, first),
    }?;
    Ok(Promise::resolve(&result))
}

/// Returns an object from the global scope.
pub(crate) fn of_global(name: &str) -> Option<JsValue> {
    let value = get(&global(), name);
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

/// Describes an exception.
pub(crate) fn describe(exception: &JsValue) -> String {
    let message = get(exception, "message");
    message
        .as_string()
        .filter(|message| !message.is_empty())
        .or_else(|| exception.as_string())
        .unwrap_or_else(|| "no reason was given".to_owned())
}

/// Resolves a URL, which may be relative to the page's URL.
///
/// # Errors
///
/// Returns the host's error message for an invalid URL.
pub(crate) fn resolve_url(url: &str) -> Result<Url, String> {
    let base = of_global("location").and_then(|location| get(&location, "href").as_string());
    let parsed = match base {
        Some(base) => Url::new_with_base(url, &base),
        None => Url::new(url),
    };
    parsed.map_err(|exception| describe(&exception))
}

/// Replaces the scheme by its equivalent of the two schemes `plain` and `secure`.
///
/// # Errors
///
/// Returns an error if the scheme has no such equivalent.
pub(crate) fn set_scheme(url: &Url, plain: &str, secure: &str) -> Result<(), String> {
    match url.protocol().as_str() {
        "ws:" | "http:" => url.set_protocol(plain),
        "wss:" | "https:" => url.set_protocol(secure),
        other => {
            return Err(format!(
                "the URL has to begin with `{plain}//` or `{secure}//`, not `{other}`"
            ));
        }
    }
    Ok(())
}
