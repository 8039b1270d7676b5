//! The syntax of URLs, which is that of JavaScript's `URL` class.

pub(crate) use self::imp::{is_normal_url, is_url};

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod imp {
    use url::Url;

    /// Returns whether a text is an absolute URL.
    pub(crate) fn is_url(text: &str) -> bool {
        Url::parse(text).is_ok()
    }

    /// Returns whether a text is an absolute URL as `URL.href` has it.
    pub(crate) fn is_normal_url(text: &str) -> bool {
        Url::parse(text).is_ok_and(|url| url.as_str() == text)
    }
}

/// JavaScript hosts have a parser, so a module needs none.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod imp {
    use js_sys::{Array, Function, Reflect, global};
    use wasm_bindgen::{JsCast, JsValue};

    /// Returns whether a text is an absolute URL.
    pub(crate) fn is_url(text: &str) -> bool {
        parse(text).is_some()
    }

    /// Returns whether a text is an absolute URL as `URL.href` has it.
    pub(crate) fn is_normal_url(text: &str) -> bool {
        let href = |url| Reflect::get(&url, &JsValue::from_str("href")).ok();
        parse(text)
            .and_then(href)
            .and_then(|href| href.as_string())
            .is_some_and(|href| href == text)
    }

    fn parse(text: &str) -> Option<JsValue> {
        let class = Reflect::get(&global(), &JsValue::from_str("URL")).ok()?;
        let class: Function = class.dyn_into().ok()?;
        Reflect::construct(&class, &Array::of1(&JsValue::from_str(text))).ok()
    }
}
