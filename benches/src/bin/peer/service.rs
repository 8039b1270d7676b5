//! The service that is measured.

use capnweb::{Bytes, Error, Readable, Result};
use futures_util::{StreamExt, stream};

/// How many bytes a chunk of a stream has.
pub(crate) const CHUNK: usize = 64 << 10;

/// The byte that downloads consist of, in every program.
const FILL: u8 = 7;

/// What all programs under measurement offer, in their frameworks' own ways.
#[capnweb::interface]
pub(crate) trait Service {
    fn add(&self, a: f64, b: f64) -> Result<f64>;
    /// A new object.
    fn child(&self) -> Result<ServiceStub>;
    /// How many `child()` lie between the main object and this one.
    fn value(&self) -> Result<u32>;
    /// From 0 up to `n`, which is not in it.
    fn numbers(&self, n: u32) -> Result<Vec<u32>>;
    fn double(&self, n: u32) -> Result<u32>;
    fn echo(&self, bytes: Bytes) -> Result<Bytes>;
    fn echo_text(&self, text: String) -> Result<String>;
    /// How many bytes `stream` had.
    async fn upload(&self, stream: Readable<Bytes>) -> Result<u64>;
    /// So many bytes.
    fn download(&self, bytes: u64) -> Result<Readable<Bytes>>;
}

/// The main object, and every one that comes from it.
pub(crate) struct Server {
    depth: u32,
}

/// The main object.
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

/// A chunk of a download.
pub(crate) fn chunk() -> Bytes {
    vec![FILL; CHUNK].into()
}
