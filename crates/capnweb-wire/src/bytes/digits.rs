//! Base64 digits, in the standard alphabet and without padding.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(super) use self::large::{decode, encode};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(super) use self::small::{decode, encode};

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod large {
    use base64::{
        Engine,
        engine::{GeneralPurposeConfig, general_purpose::NO_PAD},
    };

    use crate::invariant::Invariant;

    /// JavaScript accepts any value for unused trailing bits, and so does this.
    const LENIENT: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

    /// The engine for the widest instructions of the machine.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    static ENGINE: std::sync::LazyLock<base64::engine::Simd> =
        std::sync::LazyLock::new(|| base64::engine::Simd::standard(LENIENT));

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    static ENGINE: base64::engine::GeneralPurpose =
        base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);

    /// Writes the digits of `bytes`, which fill `digits`.
    pub(crate) fn encode(bytes: &[u8], digits: &mut [u8]) {
        ENGINE
            .encode_slice(bytes, digits)
            .or_bug("the digits have room");
    }

    /// Appends the bytes. If this returns `None`, the digits are invalid, and some bytes may have
    /// been appended.
    pub(crate) fn decode(digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
        ENGINE.decode_vec(digits, out).ok()
    }
}

/// Loops without tables, for modules. They are slower, in a tenth of the code.
#[cfg(any(test, all(target_family = "wasm", target_os = "unknown")))]
mod small {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    /// Writes the digits of `bytes`, which fill `digits`.
    pub(crate) fn encode(bytes: &[u8], digits: &mut [u8]) {
        for (bytes, digits) in bytes.chunks(3).zip(digits.chunks_mut(4)) {
            let mut bits = bytes
                .iter()
                .fold(0, |bits, byte| bits << 8 | u32::from(*byte));
            bits <<= 32 - 8 * bytes.len();
            for digit in digits {
                if let Some(letter) = ALPHABET.get((bits >> 26) as usize) {
                    *digit = *letter;
                }
                bits <<= 6;
            }
        }
    }

    /// Appends the bytes. If this returns `None`, the digits are invalid, and some bytes may have
    /// been appended.
    pub(crate) fn decode(digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
        out.reserve(digits.len() / 4 * 3 + 2);
        for digits in digits.chunks(4) {
            let mut bits = 0;
            for digit in digits {
                bits = bits << 6 | value(*digit)?;
            }
            bits <<= 32 - 6 * digits.len();
            let len = match digits.len() {
                1 => return None,
                digits => digits - 1,
            };
            out.extend(bits.to_be_bytes().iter().take(len));
        }
        Some(())
    }

    fn value(digit: u8) -> Option<u32> {
        Some(match digit {
            b'A'..=b'Z' => u32::from(digit - b'A'),
            b'a'..=b'z' => u32::from(digit - b'a') + 26,
            b'0'..=b'9' => u32::from(digit - b'0') + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::base64_len, large, small};

    fn decoded(
        decode: fn(&[u8], &mut Vec<u8>) -> Option<()>,
        digits: &[u8],
    ) -> (Option<()>, Vec<u8>) {
        let mut out = vec![7];
        let is_valid = decode(digits, &mut out);
        assert_eq!(out.remove(0), 7);
        if is_valid.is_none() {
            out.clear();
        }
        (is_valid, out)
    }

    proptest! {
        #[test]
        fn both_encode_alike(bytes: Vec<u8>) {
            let mut digits = [(); 2].map(|()| vec![0; base64_len(bytes.len())]);
            large::encode(&bytes, &mut digits[0]);
            small::encode(&bytes, &mut digits[1]);
            prop_assert_eq!(&digits[0], &digits[1]);
            prop_assert_eq!(decoded(small::decode, &digits[0]), (Some(()), bytes));
        }

        #[test]
        fn both_decode_alike(digits in "[A-Za-z0-9+/]{0,40}[-=_ é]?") {
            let digits = digits.as_bytes();
            prop_assert_eq!(decoded(small::decode, digits), decoded(large::decode, digits));
        }
    }
}
