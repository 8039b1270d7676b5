"""Services, proxies and clients, as processes that end with their test."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from files import ROOT

SECONDS = 60
QUICK = {"DRAIN_DELAY": "0", "DRAIN_SPREAD": "0.5", "DRAIN_DEADLINE": "20"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Process:
    """A process that is killed at the end of its test, with the processes that it has started."""

    def __init__(self, command: list[object], env: Mapping[str, str] = {}, **options) -> None:
        self.name = Path(str(command[0])).name
        self.process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            **options,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        # nginx leaves its workers behind if it is killed alone.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def line(self) -> str:
        """Returns the next line of the output."""
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        assert ready, f"{self.name} has printed nothing"
        line = self.process.stdout.readline().rstrip()
        assert line, f"{self.name} has ended: {self.process.wait()}"
        return line

    def listens(self, port: int) -> None:
        """Waits until the process accepts connections."""

        def is_so() -> bool:
            assert self.process.poll() is None, f"{self.name} has ended"
            return accepts(port)

        until(f"{self.name} accepts connections", is_so)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ends(self) -> None:
        """Waits for the end, which has to be a success."""
        code = self.process.wait(SECONDS)
        assert code == 0, f"{self.name} exited with {code}"


class Service(Process):
    """The service, on free ports unless others are given."""

    def __init__(
        self, binary: Path, database: Path, listen: int = 0, monitor: int = 0, **env: str
    ) -> None:
        env = {
            "LISTEN": f"127.0.0.1:{listen}",
            "MONITOR": f"127.0.0.1:{monitor}",
            "DATABASE": str(database),
            "RUST_LOG": "warn",
            **QUICK,
            **env,
        }
        super().__init__([binary], env, stdout=subprocess.PIPE)
        ports = re.findall(r"127\.0\.0\.1:(\d+)", self.line())
        self.port, self.monitor = (int(port) for port in ports)

    def get(self, path: str) -> tuple[int, str]:
        """Asks the port for operators."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}{path}", timeout=10) as it:
                return it.status, it.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def add_user(command: list[object], database: Path, name: str = "ada") -> str:
    """Adds a user with the password `secret`, and returns a token."""
    done = subprocess.run(
        [*map(str, command), "add-user", name],
        env={**os.environ, "DATABASE": str(database)},
        input="secret\n",
        stdout=subprocess.PIPE,
        timeout=SECONDS,
        text=True,
        check=True,
    )
    return done.stdout.strip()


class Node(Process):
    """A client in Node: see `interop/node/service.mjs`."""

    def __init__(self, command: str, url: str, *arguments: object, **options) -> None:
        words = ["node", ROOT / "interop/node/service.mjs", command, "--url", url, *arguments]
        super().__init__(words, stdout=subprocess.PIPE, **options)


def call(url: str, token: str, *arguments: object, **options) -> None:
    """Makes calls over a WebSocket and in a batch."""
    for transport in ([], ["--batch"]):
        with Node("call", url, "--token", token, *arguments, *transport, **options) as client:
            client.ends()
