"""Runs a command at one end of a line that loses and delays packets.

    python3 benches/lossy.py [--loss 1] [--delay 25] [--seed 1] -- COMMAND…

Makes two network namespaces, `capnweb-near` (10.99.0.1) and `capnweb-far` (10.99.0.2), each with a TUN device, and
carries the packets between the two itself: `--delay` milliseconds each way, `--loss` percent lost each way. So it
needs no module of the kernel (`tc netem` does the same where the kernel has it), but root, and `ip` of iproute2.
The command runs in the near one. Both are taken down afterwards.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
CLONE_NEWNET = 0x40000000

ENDS = [("capnweb-near", "10.99.0.1"), ("capnweb-far", "10.99.0.2")]

# More packets than this do not fit between two ends; it is never reached at the rates measured here.
QUEUE = 100_000

libc = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def open_tun(namespace: str) -> int:
    """A TUN device in the namespace; this process sees what is sent into it."""
    device: list[int] = []

    def enter() -> None:
        # A thread of its own, for only a thread can be in another namespace.
        with open(f"/run/netns/{namespace}") as target:
            if libc.setns(target.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        found = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(found, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN | IFF_NO_PI))
        device.append(found)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return device[0]


def set_up() -> list[int]:
    devices = []
    for namespace, address in ENDS:
        ip("netns", "add", namespace)
        devices.append(open_tun(namespace))
        for arguments in (
            ["addr", "add", f"{address}/24", "dev", "line"],
            ["link", "set", "line", "txqueuelen", "10000"],
            ["link", "set", "line", "up"],
            ["link", "set", "lo", "up"],
        ):
            ip("-n", namespace, *arguments)
    return devices


def carry(devices: list[int], loss: float, delay: float, seed: int, stop: threading.Event) -> None:
    """Takes packets out at one end and puts them in at the other, late or never."""
    chance = random.Random(seed)
    ways: list[collections.deque[tuple[float, bytes]]] = [collections.deque(), collections.deque()]
    others = {devices[0]: (0, devices[1]), devices[1]: (1, devices[0])}
    while not stop.is_set():
        now = time.monotonic()
        due = [queue[0][0] for queue in ways if queue]
        wait = min([max(0.0, at - now) for at in due], default=0.1)
        readable, _, _ = select.select(devices, [], [], min(wait, 0.1))
        now = time.monotonic()
        for device in readable:
            way, _ = others[device]
            for _ in range(64):
                try:
                    packet = os.read(device, 65536)
                except BlockingIOError:
                    break
                if chance.random() >= loss and len(ways[way]) < QUEUE:
                    ways[way].append((now + delay, packet))
        for device in devices:
            way, other = others[device]
            while ways[way] and ways[way][0][0] <= now:
                _, packet = ways[way].popleft()
                try:
                    os.write(other, packet)
                except (BlockingIOError, OSError):
                    pass


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loss", type=float, default=1.0, help="percent, each way")
    parser.add_argument("--delay", type=float, default=25.0, help="milliseconds, each way")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    stop = threading.Event()
    try:
        devices = set_up()
        settings = (devices, options.loss / 100, options.delay / 1000, options.seed, stop)
        carrier = threading.Thread(target=carry, args=settings)
        carrier.start()
        near = ENDS[0][0]
        return subprocess.run(["ip", "netns", "exec", near, *options.command]).returncode
    finally:
        stop.set()
        for namespace, _ in ENDS:
            subprocess.run(["ip", "netns", "del", namespace])


if __name__ == "__main__":
    sys.exit(main())
