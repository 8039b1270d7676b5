//! Random numbers from the host.

use js_sys::{Function, Reflect, Uint8Array, global};
use wasm_bindgen::{JsCast, JsValue};

/// The maximum number of bytes that the host returns in one call.
const MAX_AT_ONCE: usize = 65_536;

/// Fills a buffer with random bytes from `crypto.getRandomValues`. Returns false if the host does
/// not have it.
pub fn fill_random(bytes: &mut [u8]) -> bool {
    let found = Reflect::get(&global(), &JsValue::from_str("crypto")).and_then(|crypto| {
        let function = Reflect::get(&crypto, &JsValue::from_str("getRandomValues"))?;
        Ok((crypto, function.dyn_into::<Function>()?))
    });
    let Ok((crypto, get_random_values)) = found else {
        return false;
    };
    bytes.chunks_mut(MAX_AT_ONCE).all(|part| {
        // The length is at most 65,536.
        let Ok(length) = u32::try_from(part.len()) else {
            return false;
        };
        // The host writes to a separate array, since it refuses to write to shared memory.
        let array = Uint8Array::new_with_length(length);
        let filled = get_random_values.call1(&crypto, &array).is_ok();
        array.copy_to(part);
        filled
    })
}
