"""Checks of our WebTransport server with a peer on aioquic.

    python run.py --bin ../../target/debug/capnweb-interop [--only TEXT]

Prints each check that failed and their sum, and exits with 1 if there are any. `cargo xtask interop --python` builds the
program, makes a virtual environment with aioquic in it, and runs this.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable

from peer import Peer, connected

CHECK_SECONDS = 20
SQUARE = ["push", ["pipeline", 0, ["square"], [3]]]

checks: list[tuple[str, Callable[[str], Awaitable[None]]]] = []


def check(name: str):
    def register(run):
        checks.append((name, run))
        return run

    return register


def equal(actual, expected) -> None:
    if actual != expected:
        raise AssertionError(f"expected {expected!r}, got {actual!r}")


def is_quiet(peer: Peer) -> None:
    """The server has said nothing but on the peer's stream, and nothing on the CONNECT stream but its answer."""
    equal(peer.streams_seen, {peer.stream})
    equal(peer.capsules, b"")


@check("the stream comes before the answer")
async def _(address: str) -> None:
    async with connected(address) as peer:
        peer.ask()
        peer.send_messages(SQUARE, ["pull", 1])
        equal(peer.answer.done(), False)
        equal(await peer.receive(), ["resolve", 1, 9])
        equal((await peer.headers())[":status"], "200")
        is_quiet(peer)


@check("the stream comes before the request")
async def _(address: str) -> None:
    async with connected(address) as peer:
        # The first stream is for the request, which is held back.
        peer.session = peer._quic.get_next_available_stream_id()
        peer._quic.send_stream_data(peer.session, b"")
        peer.send_messages(SQUARE, ["pull", 1])
        await asyncio.sleep(0.1)
        peer.ask()
        equal(await peer.receive(), ["resolve", 1, 9])
        is_quiet(peer)


@check("calls, pipelining and a callback on one stream")
async def _(address: str) -> None:
    async with connected(address) as peer:
        peer.ask()
        peer.send_messages(
            ["push", ["pipeline", 0, ["makeCounter"], [10]]],
            ["push", ["pipeline", 1, ["increment"], [5]]],
            ["pull", 2],
        )
        equal(await peer.receive(), ["resolve", 2, 15])
        peer.send_messages(
            ["push", ["pipeline", 0, ["callBack"], [["export", -1], 7]]],
            ["pull", 3],
        )
        equal(await peer.receive(), ["push", ["pipeline", -1, [], [7]]])
        equal(await peer.receive(), ["pull", 1])
        peer.send_messages(["resolve", 1, "seven"])
        answers = [await peer.receive() for _ in range(3)]
        answers.sort(key=lambda message: message[0])
        equal([message[0] for message in answers], ["release", "release", "resolve"])
        equal(answers[2], ["resolve", 3, {"got": "seven"}])
        is_quiet(peer)


@check("lines in pieces, with CRLF, blank ones, and without the last newline")
async def _(address: str) -> None:
    async with connected(address) as peer:
        peer.ask()
        text = "\r\n\n" + json.dumps(SQUARE) + "\r\n\n" + '["pull",1]'
        for at in range(0, len(text), 7):
            peer.send(text[at : at + 7])
            await asyncio.sleep(0.002)
        peer.send("", end=True)
        # What came before the end counts; the answer may be given or not, and the stream ends.
        while (message := await peer.receive()) is not None:
            equal(message, ["resolve", 1, 9])
        is_quiet(peer)


@check("large messages both ways")
async def _(address: str) -> None:
    async with connected(address) as peer:
        peer.ask()
        text = "x" * 2_000_000
        peer.send_messages(["push", ["pipeline", 0, ["echo"], [text]]], ["pull", 1])
        equal(await peer.receive(), ["resolve", 1, text])
        is_quiet(peer)


@check("further streams and datagrams do no harm")
async def _(address: str) -> None:
    async with connected(address) as peer:
        peer.ask()
        peer.send_messages(SQUARE, ["pull", 1])
        equal(await peer.receive(), ["resolve", 1, 9])
        for _ in range(3):
            stream = peer.open_stream()
            peer._quic.send_stream_data(stream, b'["abort",1]\n')
            peer.http.send_datagram(peer.session, b"a datagram")
        peer.transmit()
        peer.send_messages(SQUARE, ["pull", 2])
        equal(await peer.receive(), ["resolve", 2, 9])
        is_quiet(peer)


@check("the reason of an end travels as abort, then the stream ends")
async def _(address: str) -> None:
    async with connected(address) as peer:
        peer.ask()
        peer.send_messages(["nonsense"])
        message = await peer.receive()
        equal(message[0], "abort")
        equal(await peer.receive(), None)
        is_quiet(peer)


@check("the peer ends the session")
async def _(address: str) -> None:
    async with connected(address) as watcher:
        watcher.ask()
        asked = 0

        async def mains() -> int:
            nonlocal asked
            asked += 1
            watcher.send_messages(["push", ["pipeline", 0, ["probe", "live"], []]], ["pull", asked])
            message = await watcher.receive()
            equal(message[:2], ["resolve", asked])
            return message[2]["mains"]

        before = await mains()
        async with connected(address) as peer:
            peer.ask()
            peer.send_messages(SQUARE, ["pull", 1])
            equal(await peer.receive(), ["resolve", 1, 9])
            equal(await mains(), before + 1)
            peer.send_messages(["abort", ["error", "Error", "enough"]])
            equal(await peer.receive(), None)
            is_quiet(peer)
        for _ in range(100):
            if await mains() == before:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the server keeps the session")


@check("a refusal has its status")
async def _(address: str) -> None:
    for status in ["401", "403", "404", "429", "503"]:
        async with connected(address) as peer:
            peer.ask(f"/refuse/{status}")
            equal((await peer.headers())[":status"], status)


@check("a request that is none for a session")
async def _(address: str) -> None:
    async with connected(address) as peer:
        stream = peer._quic.get_next_available_stream_id()
        peer.http.send_headers(
            stream_id=stream,
            headers=[
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":authority", b"localhost"),
                (b":path", b"/"),
            ],
            end_stream=True,
        )
        peer.transmit()
        # The connection is still good for one.
        peer.session = None
        peer.ask()
        peer.send_messages(SQUARE, ["pull", 1])
        equal(await peer.receive(), ["resolve", 1, 9])


async def run_checks(address: str, only: str | None) -> tuple[int, int]:
    passed = failed = 0
    for name, run in checks:
        if only and only not in name:
            continue
        started = time.monotonic()
        try:
            await asyncio.wait_for(run(address), CHECK_SECONDS)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", file=sys.stderr)
        else:
            passed += 1
            print(f"{name}: {1000 * (time.monotonic() - started):.0f} ms")
    return passed, failed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    command = [options.bin, "serve", "--listen", "127.0.0.1:0", "--webtransport", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            address = json.loads(server.stdout.readline())["webtransport"]["addr"]
            passed, failed = asyncio.run(run_checks(address, options.only))
            if server.poll() is not None:
                failed += 1
                print("FAILED  the server stays up", file=sys.stderr)
        finally:
            server.kill()
        errors = server.stderr.read()
    if "panicked at" in errors:
        failed += 1
        print(f"FAILED  nothing panics\n{errors}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
