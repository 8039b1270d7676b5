//! Observing the verification of a server's certificate.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Records the verification of a server's certificate. The errors of QUIC do not tell whether there
/// was any answer, and identify certificate errors only by a number.
#[derive(Debug, Default)]
pub(super) struct Witness {
    answered: AtomicBool,
    refusal: Mutex<Option<Error>>,
}

impl Witness {
    /// Returns whether a server has shown a certificate.
    pub(super) fn has_seen_one(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Returns the reason why the certificate was not accepted, if it was not.
    pub(super) fn refusal(&self) -> Option<Error> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.clone()
    }
}

/// A verifier that delegates to `inner` and records the result in a witness.
#[derive(Debug)]
pub(super) struct Witnessed {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) witness: Arc<Witness>,
}

impl ServerCertVerifier for Witnessed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.witness.answered.store(true, Ordering::Relaxed);
        let outcome = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        if let Err(error) = &outcome {
            let refusal = self.witness.refusal.lock();
            *refusal.unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        outcome
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
