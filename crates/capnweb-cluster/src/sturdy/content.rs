//! The content of a sturdy reference.

use capnweb_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Keyring, SturdyRef, invalid, unix_time};
use crate::rights::Rights;

/// The content of a sturdy reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) rights: Rights,
    /// The end of its validity, in seconds since 1970.
    pub(crate) expiry: u64,
    /// The only party that may restore it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
    /// A random ID, under which it is revoked.
    pub(crate) id: String,
}

impl Content {
    pub(crate) fn seal(&self, keyring: &Keyring, cluster: &str) -> Result<SturdyRef> {
        let content = serde_json::to_vec(self).map_err(|error| Error::new(error.to_string()))?;
        Ok(SturdyRef::from_bytes(&keyring.seal(content, cluster)?))
    }

    /// Opens a reference, and checks all but its revocation.
    pub(crate) fn open(
        token: &SturdyRef,
        keyring: &Keyring,
        cluster: &str,
        audience: Option<&str>,
    ) -> Result<Self> {
        let content = Self::open_unchecked(token, keyring, cluster)?;
        if content.audience.as_deref() != audience {
            return Err(invalid());
        }
        if content.expiry <= unix_time() {
            let error = Error::permission_denied("the reference has expired");
            return Err(error.with_may_have_run(false));
        }
        Ok(content)
    }

    /// Opens a reference that may be expired or meant for others.
    pub(crate) fn open_unchecked(
        token: &SturdyRef,
        keyring: &Keyring,
        cluster: &str,
    ) -> Result<Self> {
        let content = keyring.open(token.to_bytes()?, cluster);
        let content = content.ok_or_else(invalid)?;
        serde_json::from_slice(&content).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        Content {
            kind: "room".to_owned(),
            name: "lobby".to_owned(),
            rights: Rights::bit(1),
            expiry: unix_time() + 60,
            audience: None,
            id: "7".to_owned(),
        }
    }

    fn open(token: &SturdyRef, keyring: &Keyring) -> Result<Content> {
        Content::open(token, keyring, "test", None)
    }

    #[test]
    fn references_survive_sealing() {
        let keyring = Keyring::new(1, &[7; 32]);
        let token = content().seal(&keyring, "test").unwrap();
        assert_eq!(open(&token, &keyring).unwrap(), content());
        // Equal contents have different texts.
        assert_ne!(token, content().seal(&keyring, "test").unwrap());
        assert!(!token.as_str().contains("lobby"));
    }

    #[test]
    fn no_changed_reference_opens() {
        let keyring = Keyring::new(1, &[7; 32]);
        let token = content().seal(&keyring, "test").unwrap();
        let bytes = token.to_bytes().unwrap();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut forged = bytes.clone();
                forged[place] ^= 1 << bit;
                let error = open(&SturdyRef::from_bytes(&forged), &keyring).unwrap_err();
                assert_eq!(error.code().as_deref(), Some("permission_denied"));
            }
        }
        for len in 0..bytes.len() {
            assert!(open(&SturdyRef::from_bytes(&bytes[..len]), &keyring).is_err());
        }
        assert!(open(&"no base64!".parse().unwrap(), &keyring).is_err());
    }

    #[test]
    fn references_belong_to_a_cluster_a_key_and_an_audience() {
        let keyring = Keyring::new(1, &[7; 32]);
        let token = content().seal(&keyring, "test").unwrap();
        assert!(Content::open(&token, &keyring, "other", None).is_err());
        assert!(Content::open(&token, &keyring, "test", Some("Ada")).is_err());
        assert!(open(&token, &Keyring::new(1, &[8; 32])).is_err());
        assert!(open(&token, &Keyring::new(2, &[7; 32])).is_err());
        let audience = Some("Ada".to_owned());
        let token = Content {
            audience,
            ..content()
        }
        .seal(&keyring, "test")
        .unwrap();
        assert!(Content::open(&token, &keyring, "test", Some("Ada")).is_ok());
        assert!(Content::open(&token, &keyring, "test", Some("Eve")).is_err());
        assert!(open(&token, &keyring).is_err());
    }

    #[test]
    fn references_expire() {
        let keyring = Keyring::new(1, &[7; 32]);
        let expiry = unix_time();
        let token = Content {
            expiry,
            ..content()
        }
        .seal(&keyring, "test")
        .unwrap();
        let error = open(&token, &keyring).unwrap_err();
        assert_eq!(error.message(), "the reference has expired");
    }

    #[test]
    fn keys_are_rotated() {
        let old = Keyring::new(1, &[7; 32]);
        let token = content().seal(&old, "test").unwrap();
        let both = Keyring::new(2, &[8; 32]).with_old(1, &[7; 32]);
        assert!(open(&token, &both).is_ok());
        let token = content().seal(&both, "test").unwrap();
        assert!(open(&token, &Keyring::new(2, &[8; 32])).is_ok());
        assert!(open(&token, &old).is_err());
    }
}
