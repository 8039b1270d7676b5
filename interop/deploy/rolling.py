"""A rolling restart of two services behind HAProxy, under load from Node and Rust."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from files import ROOT, Files, run
from processes import Node, Process, Service, add_user, free_port, until

# HAProxy asks once a second whether a server is ready. Clients that are notified of the drain have
# two seconds to move.
DRAIN = {"DRAIN_DELAY": "2", "DRAIN_SPREAD": "4", "DRAIN_DEADLINE": "20"}


def rolling_restart(files: Files, options) -> None:
    """No call is lost, and none runs twice."""
    database = files.path("notes.db")
    token = add_user([options.service], database)
    port = free_port()
    with ExitStack() as stack:
        services = [Service(options.service, database, **DRAIN) for _ in range(2)]
        for service in services:
            stack.callback(lambda service=service: service.__exit__())
        status = start_haproxy(stack, files, port, services)
        clients = [
            ("node", Node("load", f"http://127.0.0.1:{port}", "--token", token)),
            ("rust", rust(options.interop, f"ws://127.0.0.1:{port}/api", token)),
        ]
        for _, client in clients:
            stack.enter_context(client)
        until("both clients have made calls", lambda: set(counted(database)) == {"node", "rust"})
        start = time.monotonic()
        for _ in range(options.restarts):
            for at, name in enumerate(("one", "two")):
                old = services[at]
                ports = (old.port, old.monitor)
                old.stop()
                old.ends()
                until(f"HAProxy has noticed that {name} is down", lambda: status(name) != "UP")
                services[at] = Service(options.service, database, *ports, **DRAIN)
                stack.callback(services[at].__exit__)
                until(f"HAProxy has noticed that {name} is up", lambda: status(name) == "UP")
        seconds = time.monotonic() - start
        for _, client in clients:
            client.stop()
        outcomes = {}
        for name, client in clients:
            outcomes[name] = json.loads(client.line())
            client.ends()
        for name, numbers in counted(database).items():
            outcome = outcomes[name]
            lost = set(range(1, max(numbers) + 1)) - set(numbers)
            assert not lost, f"{name}: {len(lost)} calls have not run, such as {min(lost)}"
            twice = len(numbers) - len(set(numbers))
            assert not twice, f"{name}: {twice} calls have run twice"
            assert len(numbers) == outcome["acknowledged"], f"{name}: {len(numbers)} {outcome}"
        print(f"    {2 * options.restarts} restarts in {seconds:.0f} s: {json.dumps(outcomes)}")


def rust(interop: Path, url: str, token: str) -> Process:
    command = [interop, "notes", "--url", url, "--token", token]
    return Process(command, stdout=subprocess.PIPE)


def counted(database: Path) -> dict[str, list[int]]:
    """Returns the numbers of the calls that have run, by the name of their client."""
    numbers: dict[str, list[int]] = {}
    connection = sqlite3.connect(database)
    for (text,) in connection.execute("SELECT text FROM notes"):
        name, number = text.split()
        numbers.setdefault(name, []).append(int(number))
    connection.close()
    return numbers


def start_haproxy(stack: ExitStack, files: Files, port: int, services: list[Service]):
    """Starts HAProxy without TLS. Returns a function that returns what it knows of a server."""
    one, two = services
    control = files.path("haproxy.sock")
    files.replace(
        "haproxy.cfg",
        ("bind :443 ssl crt /etc/service/cert-and-key.pem", f"bind 127.0.0.1:{port}"),
        ("    maxconn 65536", f"    maxconn 1000\n    stats socket {control}"),
        ("127.0.0.1:8080 port 9090", f"127.0.0.1:{one.port} port {one.monitor}"),
        ("127.0.0.1:8081 port 9091", f"127.0.0.1:{two.port} port {two.monitor}"),
    )
    config = files.path("haproxy.cfg")
    run("haproxy", "-c", "-f", config)
    command = ["haproxy", "-db", "-q", "-f", config]
    stack.enter_context(Process(command, stderr=subprocess.DEVNULL)).listens(port)

    def status(name: str) -> str:
        with socket.socket(socket.AF_UNIX) as stats:
            stats.connect(str(control))
            stats.sendall(b"show stat\n")
            rows = stats.makefile().read().splitlines()
        columns = rows[0].removeprefix("# ").split(",")
        for row in rows[1:]:
            cells = dict(zip(columns, row.split(",")))
            if cells.get("svname") == name:
                return cells["status"]
        raise AssertionError(f"HAProxy knows no server {name}")

    return status


def the_page_shows_the_client(files: Files, _) -> None:
    """The client in Node is the one of `docs/deployment.md`."""
    page = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    client = (ROOT / "interop/node/reconnecting.mjs").read_text(encoding="utf-8")
    assert f"```js\n{client}```" in page, "docs/deployment.md shows another client"


CHECKS = [(rolling_restart, []), (the_page_shows_the_client, [])]
