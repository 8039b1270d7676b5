"""The image of the Dockerfile, built by umoci and run without a daemon."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path

from files import Files, run
from processes import Process, add_user, call


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Returns the instructions of the last stage, which has to begin with nothing."""
    text = dockerfile.replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [tuple(line.split(maxsplit=1)) for line in lines]
    last = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    assert found[last][1] == "scratch", found[last]
    return found[last + 1 :]


def build(files: Files, service: Path) -> tuple[Path, dict[str, str]]:
    """Follows the Dockerfile. Returns the image, and what was copied into it: sources by targets."""
    layout = files.path("image")
    tagged = f"{layout}:service"
    # What the first stage leaves.
    stage = files.path("stage")
    (stage / "image/data").mkdir(parents=True)
    shutil.copy(service, stage / "image/service")
    (stage / "image/service").chmod(0o755)
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", tagged)
    copied, config = {}, []
    for name, rest in instructions(files.read("Dockerfile")):
        if name == "COPY":
            words = shlex.split(rest)
            flags = dict(word.split("=", 1) for word in words if word.startswith("--"))
            assert flags.pop("--from") == "build", rest
            source, target = (word for word in words if not word.startswith("--"))
            path = stage / source.lstrip("/")
            if owner := flags.pop("--chown", None):
                user, group = (int(number) for number in owner.split(":"))
                os.chown(path, user, group)
            assert not flags, flags
            run("umoci", "insert", "--image", tagged, path, target)
            copied[target] = source
        elif name == "ENV":
            config += [f"--config.env={word}" for word in shlex.split(rest)]
        elif name == "EXPOSE":
            config += [f"--config.exposedports={port}/tcp" for port in rest.split()]
        elif name == "ENTRYPOINT":
            config += [f"--config.entrypoint={word}" for word in json.loads(rest)]
        elif name in ("USER", "STOPSIGNAL"):
            config.append(f"--config.{name.lower()}={rest}")
        else:
            raise AssertionError(f"{name} is not known here")
    run("umoci", "config", "--image", tagged, *config)
    return layout, copied


def image(files: Files, options) -> None:
    """The root file system holds what was copied, and answers calls as an unprivileged user."""
    layout, copied = build(files, options.service)
    bundle = files.path("bundle")
    run("umoci", "unpack", "--image", f"{layout}:service", bundle)
    root = bundle / "rootfs"
    found = {f"/{path.relative_to(root)}" for path in root.rglob("*")}
    assert found == set(copied), f"the image holds {found}, and the Dockerfile copies {copied}"
    config = json.loads((bundle / "config.json").read_text(encoding="utf-8"))["process"]
    user = config["user"]
    assert user["uid"] == 65532, user
    env = dict(word.split("=", 1) for word in config["env"])
    for name in ("LISTEN", "MONITOR"):
        assert env[name].startswith("0.0.0.0:"), env
        env[name] = "127.0.0.1:0"
    env["RUST_LOG"] = "warn"
    inside = [
        "unshare", "--mount", "--pid", "--fork", "--kill-child",
        "env", "--ignore-environment", *(f"{name}={value}" for name, value in env.items()),
        "chroot", f"--userspec={user['uid']}:{user['gid']}", root, *config["args"],
    ]  # fmt: skip
    bundle.chmod(0o755)
    token = add_user(inside, Path("unused"))
    with Process(inside, stdout=-1) as service:
        ports = re.findall(r"127\.0\.0\.1:(\d+)", service.line())
        call(f"http://127.0.0.1:{ports[0]}", token)
        [child] = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
        status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
        assert re.search(r"^Uid:(\s+65532){4}$", status, re.MULTILINE), status
        assert Path(f"/proc/{child}/root").resolve() == root.resolve()
        # It is the first process of its namespace, as in a container.
        os.kill(int(child), signal.SIGTERM)
        assert service.process.wait(60) == 0


CHECKS = [
    (
        image,
        [
            ("Dockerfile", "--chown=65532:65532 ", ""),
            ("Dockerfile", "USER 65532:65532", "USER 0:0"),
            ("Dockerfile", "/image/service /service", "/image/service /server"),
            ("Dockerfile", "DATABASE=/data/notes.db", "DATABASE=/notes.db"),
        ],
    ),
]
