//! The service that is measured.

use capnweb::{Bytes, Error, Result, stream::Readable};
use futures_util::{StreamExt, stream};

/// The size of a stream's chunk in bytes.
pub(crate) const CHUNK: usize = 64 << 10;

/// The byte that downloads consist of, in all programs.
const FILL: u8 = 7;

/// The service that all measured programs offer, in the ways of their frameworks.
#[capnweb::interface]
pub(crate) trait Service {
    fn add(&self, a: f64, b: f64) -> Result<f64>;
    /// Returns a new object.
    fn child(&self) -> Result<ServiceStub>;
    /// Returns the number of `child()` calls between the main object and this one.
    fn value(&self) -> Result<u32>;
    /// Returns the numbers below `n`.
    fn numbers(&self, n: u32) -> Result<Vec<u32>>;
    fn double(&self, n: u32) -> Result<u32>;
    fn echo(&self, bytes: Bytes) -> Result<Bytes>;
    fn echo_text(&self, text: String) -> Result<String>;
    /// Returns the number of bytes in `stream`.
    async fn upload(&self, stream: Readable<Bytes>) -> Result<u64>;
    /// Returns a stream of `bytes` bytes.
    fn download(&self, bytes: u64) -> Result<Readable<Bytes>>;
}

/// The main object, and every object that it returns.
pub(crate) struct Server {
    depth: u32,
}

/// Returns the main object.
pub(crate) fn main_object() -> ServiceStub {
    ServiceStub::new(Server { depth: 0 })
}

impl Service for Server {
    fn add(&self, a: f64, b: f64) -> Result<f64> {
        Ok(a + b)
    }

    fn child(&self) -> Result<ServiceStub> {
        Ok(ServiceStub::new(Self {
            depth: self.depth + 1,
        }))
    }

    fn value(&self) -> Result<u32> {
        Ok(self.depth)
    }

    fn numbers(&self, n: u32) -> Result<Vec<u32>> {
        Ok((0..n).collect())
    }

    fn double(&self, n: u32) -> Result<u32> {
        n.checked_mul(2).ok_or_else(|| Error::new("too large"))
    }

    fn echo(&self, bytes: Bytes) -> Result<Bytes> {
        Ok(bytes)
    }

    fn echo_text(&self, text: String) -> Result<String> {
        Ok(text)
    }

    async fn upload(&self, mut stream: Readable<Bytes>) -> Result<u64> {
        let mut bytes = 0;
        while let Some(chunk) = stream.next().await {
            bytes += chunk?.len() as u64;
        }
        Ok(bytes)
    }

    fn download(&self, bytes: u64) -> Result<Readable<Bytes>> {
        let chunk = chunk();
        let chunks = stream::unfold(bytes, move |left| {
            let len = left.min(CHUNK as u64);
            #[expect(clippy::cast_possible_truncation, reason = "no longer than a chunk")]
            let next = (len > 0).then(|| (chunk.slice(..len as usize), left - len));
            async { next }
        });
        Ok(Readable::from_stream(chunks))
    }
}

/// Returns a chunk of a download.
pub(crate) fn chunk() -> Bytes {
    vec![FILL; CHUNK].into()
}
