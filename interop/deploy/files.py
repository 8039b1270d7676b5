"""The files of `examples/service/deploy`, as they are or with a mistake in one of them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "examples/service/deploy"


class Files:
    """A copy of the files, in which tests may replace text."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="capnweb-deploy-"))
        self.folder.chmod(0o755)
        for file in DEPLOY.iterdir():
            shutil.copy(file, self.folder)

    def __enter__(self) -> Files:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> str:
        return self.path(name).read_text(encoding="utf-8")

    def replace(self, name: str, *pairs: tuple[str, str]) -> None:
        """Replaces texts, each of which has to be there."""
        text = self.read(name)
        for old, new in pairs:
            assert old in text, f"{name} does not contain {old!r}"
            text = text.replace(old, new)
        self.path(name).write_text(text, encoding="utf-8")


def run(*command: object, **options) -> str:
    """Runs a program to its end and returns its output. Fails if the program does."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, f"{command[0]} exited with {done.returncode}: {done.stdout}"
    return done.stdout
