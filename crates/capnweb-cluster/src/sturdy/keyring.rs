//! The keys that seal sturdy references.

use std::{collections::BTreeMap, fmt, sync::Arc};

use capnweb_core::{Error, Result};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

const VERSION: u8 = 1;

/// The length of the version and the key's ID.
const PREFIX: usize = 5;

/// The secret keys that seal and open [sturdy references](crate::SturdyRef).
///
/// All nodes need the same keys. To rotate them, first add the new key as an
/// [old](Self::with_old) one on all nodes, then make it the current one, and remove the former one
/// when the references that it has sealed are expired. A key should seal at most 2³² references.
///
/// ```
/// use capnweb_cluster::{ClusterOptions, Keyring};
///
/// # fn secret(name: &str) -> [u8; 32] { [name.len() as u8; 32] }
/// let keyring = Keyring::new(2, &secret("key-2")).with_old(1, &secret("key-1"));
/// let options = ClusterOptions::new().with_keyring(keyring);
/// ```
#[derive(Clone)]
pub struct Keyring {
    current: u32,
    keys: Arc<BTreeMap<u32, Arc<LessSafeKey>>>,
}

impl Keyring {
    /// Creates a keyring with one key. The ID is not secret, and must differ for each key.
    pub fn new(id: u32, secret: &[u8; 32]) -> Self {
        let keyring = Self {
            current: id,
            keys: Arc::default(),
        };
        keyring.with_old(id, secret)
    }

    /// Adds a key that opens references, but seals none.
    #[must_use]
    pub fn with_old(mut self, id: u32, secret: &[u8; 32]) -> Self {
        // The only error is a wrong length.
        if let Ok(key) = UnboundKey::new(&CHACHA20_POLY1305, secret) {
            let mut keys = (*self.keys).clone();
            keys.insert(id, Arc::new(LessSafeKey::new(key)));
            self.keys = Arc::new(keys);
        }
        self
    }

    /// Encrypts and authenticates `content` for the cluster.
    pub(super) fn seal(&self, mut content: Vec<u8>, cluster: &str) -> Result<Vec<u8>> {
        let failed = || Error::new("the reference could not be sealed");
        let key = self.keys.get(&self.current).ok_or_else(failed)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| failed())?;
        let mut token = vec![VERSION];
        token.extend_from_slice(&self.current.to_be_bytes());
        let aad = Aad::from(context(&token, cluster));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut content)
            .map_err(|_| failed())?;
        token.extend_from_slice(&nonce);
        token.extend_from_slice(&content);
        Ok(token)
    }

    /// Decrypts what a key of this keyring has sealed for the cluster.
    pub(super) fn open(&self, token: Vec<u8>, cluster: &str) -> Option<Vec<u8>> {
        let (prefix, rest) = token.split_at_checked(PREFIX)?;
        let (version, id) = prefix.split_first()?;
        if *version != VERSION {
            return None;
        }
        let id = u32::from_be_bytes(id.try_into().ok()?);
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let aad = Aad::from(context(prefix, cluster));
        let mut content = sealed.to_vec();
        let len = self
            .keys
            .get(&id)?
            .open_in_place(nonce, aad, &mut content)
            .ok()?
            .len();
        content.truncate(len);
        Some(content)
    }
}

/// Returns what is authenticated but not contained.
fn context(prefix: &[u8], cluster: &str) -> Vec<u8> {
    [prefix, cluster.as_bytes()].concat()
}

/// Does not show the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}
