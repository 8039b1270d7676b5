"""nginx and HAProxy, checked by themselves and running before two services."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

from files import Files, run
from processes import Node, Process, Service, add_user, call, free_port
from running import make_certificate

# In place of the 60 seconds after which the proxies close silent connections.
SILENCE = 2


def nginx(files: Files, port: int, services: list[Service]) -> list[object]:
    """Replaces paths and ports. Returns the command that starts nginx."""
    folder = files.folder
    one, two = services
    files.replace(
        "nginx.conf",
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/service/", f"{folder}/"),
        ("/run/nginx.pid", f"{folder}/nginx.pid"),
        ("/var/log/nginx/", f"{folder}/"),
        ("worker_processes auto", "daemon off; worker_processes 1"),
        ("access_log off;", temporary(folder)),
        ("127.0.0.1:8080", f"127.0.0.1:{one.port}"),
        ("127.0.0.1:8081", f"127.0.0.1:{two.port}"),
        ("60s", f"{SILENCE}s"),
    )
    command = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    run(*command, "-t")
    return command


def temporary(folder) -> str:
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    return "access_log off; " + " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


def haproxy(files: Files, port: int, services: list[Service]) -> list[object]:
    """Replaces paths and ports. Returns the command that starts HAProxy."""
    one, two = services
    files.replace(
        "haproxy.cfg",
        ("bind :443", f"bind 127.0.0.1:{port}"),
        # As many as this machine may have open files for.
        ("maxconn 65536", "maxconn 1000"),
        ("/etc/service/", f"{files.folder}/"),
        ("127.0.0.1:8080 port 9090", f"127.0.0.1:{one.port} port {one.monitor}"),
        ("127.0.0.1:8081 port 9091", f"127.0.0.1:{two.port} port {two.monitor}"),
        ("60s", f"{SILENCE}s"),
    )
    config = files.path("haproxy.cfg")
    run("haproxy", "-c", "-f", config)
    return ["haproxy", "-db", "-q", "-f", config]


def before_two_services(files: Files, options, proxy) -> None:
    certificate, _ = make_certificate(files)
    database = files.path("notes.db")
    token = add_user([options.service], database)
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    trusting = {"env": {"NODE_EXTRA_CA_CERTS": str(certificate)}}
    with ExitStack() as stack:
        services = [
            stack.enter_context(
                Service(options.service, database, PING_INTERVAL="0.5", DRAIN_DELAY=delay)
            )
            for delay in ("3", "0")
        ]
        command = proxy(files, port, services)
        stack.enter_context(Process(command, stderr=subprocess.DEVNULL)).listens(port)
        call(url, token, **trusting)
        # Pings keep a session open that is otherwise silent.
        with Node("idle", url, "--token", token, "--seconds", 2 * SILENCE, **trusting) as client:
            client.ends()
        # Both shut down, so that it does not matter which of them has the session.
        with Node("drain", url, "--token", token, **trusting) as client:
            assert client.line() == "running"
            services[1].stop()
            # The other one takes all new sessions.
            call(url, token, **trusting)
            services[0].stop()
            client.ends()
        for service in services:
            service.ends()


def nginx_before_two_services(files: Files, options) -> None:
    before_two_services(files, options, nginx)


def haproxy_before_two_services(files: Files, options) -> None:
    before_two_services(files, options, haproxy)


CHECKS = [
    (
        nginx_before_two_services,
        [
            ("nginx.conf", "least_conn;", "least_con;"),
            ("nginx.conf", "proxy_set_header Upgrade $http_upgrade;", ""),
            ("nginx.conf", "proxy_read_timeout 60s", "proxy_read_timeout 300ms"),
        ],
    ),
    (
        haproxy_before_two_services,
        [
            ("haproxy.cfg", "balance leastconn", "balance leastcon"),
            ("haproxy.cfg", "timeout tunnel 60s", "timeout tunnel 300ms"),
            ("haproxy.cfg", "GET /readyz", "GET /ready"),
        ],
    ),
]
