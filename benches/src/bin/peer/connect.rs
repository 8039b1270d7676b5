//! Connecting to the server.

use capnweb::{StubType, tcp, unix, webtransport, ws};

use crate::{
    Result, address,
    options::{Options, Over},
    service::{self, ServiceStub},
};

/// Starts a new session with the server at `address`. Over HTTP it is a new batch.
pub(crate) async fn connect(options: &Options, address: &str) -> Result<ServiceStub> {
    Ok(match options.over {
        Over::WebSocket => {
            ws::Connect::new(format!("ws://{address}/"))
                .encoding(options.encoding)
                .connect()
                .await?
        }
        Over::Lines => tcp::connect(address).await?,
        Over::Unix => unix::connect(address).await?,
        Over::Batch => batch(&format!("http://{address}/")),
        Over::WebTransport => {
            let (at, hash) = address::split(address)?;
            webtransport::Connect::new(format!("https://{at}/"))
                .certificate_hashes([hash])
                .connect()
                .await?
        }
        Over::Local => service::main_object(),
        Over::InProcess => ServiceStub::from_stub(capnweb_benches::connect(service::main_object())),
    })
}

/// Starts a new batch for the server at `url`.
pub(crate) fn batch(url: &str) -> ServiceStub {
    capnweb::http::batch(url)
}
