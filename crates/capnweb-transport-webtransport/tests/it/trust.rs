//! Accepted and rejected certificates.

use capnweb_core::{ConnectFailure, Stub};
use capnweb_transport_webtransport::{
    CertificateHash, Connect, Identity, Server,
    rustls::{
        RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use wtransport::tls;

use crate::support::{Served, api, failure, identity, serve, soon};

async fn is_accepted(connect: Connect) {
    let api: Stub = soon(connect.connect()).await.unwrap();
    assert_eq!(
        soon(api.call("square", (3,)).fetch::<f64>()).await.unwrap(),
        9.0
    );
}

async fn is_not_accepted(connect: Connect, url: &str) -> String {
    let (kind, cause) = failure(connect, url).await;
    assert_eq!(kind, ConnectFailure::Certificate, "{cause}");
    cause
}

fn roots(identity: &Identity) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate().clone()).unwrap();
    roots
}

fn url(served: &Served) -> String {
    served.url("/api")
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_hash() {
    let served = serve();
    let other = CertificateHash::new([7; 32]);
    is_accepted(Connect::new(url(&served)).certificate_hashes([other, served.hash])).await;
    let connect = Connect::new(url(&served)).certificate_hashes([other]);
    is_not_accepted(connect, &url(&served)).await;
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_root() {
    let identity = identity();
    let listener = Server::new(&identity)
        .route("/api", |_| api())
        .bind("127.0.0.1:0")
        .unwrap();
    let addr = listener.local_addr();
    tokio::spawn(listener.serve());
    let url = format!("https://{addr}/api");
    is_accepted(Connect::new(&url).roots(roots(&identity))).await;
    let of_another = roots(&crate::support::identity());
    is_not_accepted(Connect::new(&url).roots(of_another), &url).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let identity = Identity::self_signed(["example.com"]).unwrap();
    let listener = Server::new(&identity)
        .route("/api", |_| api())
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("https://{}/api", listener.local_addr());
    tokio::spawn(listener.serve());
    let cause = is_not_accepted(Connect::new(&url).roots(roots(&identity)), &url).await;
    assert!(cause.contains("not valid for name"), "{cause}");
    // If the certificate is accepted by its hash, the name does not matter.
    is_accepted(Connect::new(&url).certificate_hashes([identity.certificate_hash()])).await;
}

#[tokio::test]
async fn a_certificate_that_the_platform_does_not_know_is_refused() {
    let served = serve();
    is_not_accepted(Connect::new(url(&served)), &url(&served)).await;
}

#[tokio::test]
async fn a_certificate_that_is_exchanged() {
    let before = identity();
    let listener = Server::new(&before)
        .route("/api", |_| api())
        .bind("127.0.0.1:0")
        .unwrap();
    let url = format!("https://{}/api", listener.local_addr());
    let reloader = listener.reloader();
    tokio::spawn(listener.serve());
    let by =
        |identity: &Identity| Connect::new(&url).certificate_hashes([identity.certificate_hash()]);
    let open: Stub = soon(by(&before).connect()).await.unwrap();

    let after = identity();
    reloader.reload(&after).unwrap();
    is_accepted(by(&after)).await;
    is_not_accepted(by(&before), &url).await;
    let square = open.call("square", (4,)).fetch::<f64>();
    assert_eq!(soon(square).await.unwrap(), 16.0);
}

fn pem(key: &rcgen::KeyPair) -> String {
    tls::PrivateKey::from_der_pkcs8(key.serialize_der()).to_secret_pem()
}

#[test]
fn certificates_are_read_from_files() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = tls::Certificate::from_der(issued.cert.der().to_vec()).unwrap();
    let certificate = certificate.to_pem();
    let key = pem(&issued.signing_key);
    let identity = Identity::from_pem(&certificate, &key).unwrap();
    assert_eq!(identity.certificate(), issued.cert.der());
    assert_eq!(
        Some(identity.certificate_hash()),
        CertificateHash::of(issued.cert.der())
    );

    let message = |certificate: &str, key: &str| {
        let error = Identity::from_pem(certificate, key).unwrap_err();
        error.message().to_owned()
    };
    assert_eq!(message("", &key), "there is no certificate");
    assert!(message(&certificate, "").contains("private key"));
    let other = pem(&rcgen::KeyPair::generate().unwrap());
    assert!(message(&certificate, &other).contains("cannot be used"));

    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let nonsense = vec![CertificateDer::from(vec![1, 2, 3])];
    assert!(Identity::from_der(nonsense, key).is_err());
}

#[test]
fn a_self_signed_certificate_suits_browsers() {
    use x509_parser::{oid_registry, prelude::*};
    let identity = Identity::self_signed(["localhost", "127.0.0.1"]).unwrap();
    let (_, certificate) = X509Certificate::from_der(identity.certificate()).unwrap();
    let validity = certificate.validity();
    assert!(validity.is_valid());
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    assert!(seconds < 14 * 24 * 60 * 60);
    let algorithm = &certificate.public_key().algorithm;
    assert_eq!(
        algorithm.algorithm,
        oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY
    );
    let curve = algorithm.parameters.as_ref().unwrap().as_oid().unwrap();
    assert_eq!(curve, oid_registry::OID_EC_P256);
    assert!(Identity::self_signed(["no name\u{7f}ü"]).is_err());
}
