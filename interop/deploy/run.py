"""Checks of `examples/service` as it is shipped, and of the files in `examples/service/deploy`.

    python run.py --service target/debug/service --interop target/debug/capnweb-interop
                  [--only TEXT] [--restarts N]

Each check of a file runs once with the file as it is, when it has to pass, and once for each mistake in it, when it has
to fail. `cargo xtask deploy` builds the programs, makes a virtual environment, and runs this.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

import image
import manifests
import metrics
import proxies
import rolling
import running
from files import Files

MODULES = [running, image, manifests, metrics, proxies, rolling]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--service", type=Path, required=True)
    parser.add_argument("--interop", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--restarts", type=int, default=1)
    options = parser.parse_args()
    passed = failed = 0
    for check, name, mistake in cases():
        if options.only not in name:
            continue
        start = time.monotonic()
        reason = outcome(check, mistake, options)
        print(f"{'FAILED' if reason else 'ok'} {name} ({time.monotonic() - start:.1f} s)", flush=True)
        if reason:
            failed += 1
            print(reason, flush=True)
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def cases():
    """Yields each check, without a mistake and with each of its own."""
    for module in MODULES:
        for check, mistakes in module.CHECKS:
            name = f"{module.__name__}: {check.__name__.replace('_', ' ')}"
            yield check, name, None
            for file, old, new in mistakes:
                yield check, f"{name}, with {new or 'nothing'!r} for {old!r}", (file, old, new)


def outcome(check, mistake, options) -> str | None:
    """Runs a check. Returns the reason if it has not gone as it should."""
    with Files() as files:
        if mistake:
            file, old, new = mistake
            files.replace(file, (old, new))
        try:
            check(files, options)
        except (Exception, SystemExit):
            return None if mistake else traceback.format_exc()
        return f"the mistake in {mistake[0]} was not found" if mistake else None


if __name__ == "__main__":
    sys.exit(main())
