//! Tokens of subjects and keys.

use std::fmt::Write as _;

/// Returns a random token of 128 bits, in hexadecimal.
pub(crate) fn random_token() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        // Without entropy, tokens only have to differ.
        use std::hash::{BuildHasher as _, Hasher as _};
        for half in bytes.chunks_mut(8) {
            let number = std::hash::RandomState::new().build_hasher().finish();
            half.copy_from_slice(&number.to_le_bytes());
        }
    }
    bytes.iter().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

/// Appends `name` to `out` as one token of a subject or key: bytes other than `A-Z a-z 0-9 _ -`
/// become `=` and two hexadecimal digits. Different names yield different tokens.
fn write_token(name: &str, out: &mut String) {
    if name.is_empty() {
        // A token must not be empty, and a `=` alone is no escaped byte.
        out.push('=');
    }
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "={byte:02X}");
        }
    }
}

/// Joins names to a subject or key, each as one token.
pub(crate) fn join(names: &[&str]) -> String {
    let mut subject = String::new();
    for (number, name) in names.iter().enumerate() {
        if number > 0 {
            subject.push('.');
        }
        write_token(name, &mut subject);
    }
    subject
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_tokens() {
        assert_eq!(join(&["shop", "a.b", "", "ä="]), "shop.a=2Eb.=.=C3=A4=3D");
    }

    #[test]
    fn random_tokens_differ() {
        let (one, other) = (random_token(), random_token());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
