"""The service itself, with clients in Node."""

from __future__ import annotations


from files import Files, run
from processes import Node, Service, add_user, call


def sign_in_and_calls(files: Files, options) -> None:
    database = files.path("notes.db")
    add_user([options.service], database)
    with Service(options.service, database) as service:
        url = f"http://127.0.0.1:{service.port}"
        credentials = ["--name", "ada", "--password", "secret"]
        with Node("check", url, *credentials) as client:
            client.ends()
        service.stop()
        service.ends()


def drain(files: Files, options) -> None:
    """Readiness fails first, and calls that run are answered."""
    database = files.path("notes.db")
    token = add_user([options.service], database)
    with Service(options.service, database, DRAIN_DELAY="1") as service:
        url = f"http://127.0.0.1:{service.port}"
        assert service.get("/readyz") == (200, "ready\n")
        with Node("drain", url, "--token", token) as client:
            assert client.line() == "running"
            service.stop()
            ready = 200
            while ready == 200:
                ready, _ = service.get("/readyz")
            assert ready == 503, ready
            assert service.get("/healthz")[0] == 200
            client.ends()
        service.ends()


def tls(files: Files, options) -> None:
    """The service handles TLS by itself."""
    certificate, key = make_certificate(files)
    database = files.path("notes.db")
    token = add_user([options.service], database)
    env = {"TLS_CERT": str(certificate), "TLS_KEY": str(key)}
    with Service(options.service, database, **env) as service:
        url = f"https://127.0.0.1:{service.port}"
        call(url, token, env={"NODE_EXTRA_CA_CERTS": str(certificate)})


def make_certificate(files: Files) -> tuple:
    """Makes a certificate for 127.0.0.1. Returns the paths of it and its key."""
    certificate, key = files.path("cert.pem"), files.path("key.pem")
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", key, "-out", certificate,
    )  # fmt: skip
    both = files.path("cert-and-key.pem")
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate, key


CHECKS = [(sign_in_and_calls, []), (drain, []), (tls, [])]
