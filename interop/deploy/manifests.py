"""Kubernetes' manifests, the unit of systemd, and Envoy's configuration."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path

import metrics
import yaml
from files import Files, run
from processes import Service, add_user

# What `Sessions::drain` may take after its deadline.
CLOSING = 6


def kubernetes(files: Files, _) -> None:
    """The manifests are valid, and agree with each other, the service and the metrics."""
    path = files.path("kubernetes.yaml")
    run(Path(sys.executable).with_name("kubernetes-validate"), "--strict", path)
    found = {it["kind"]: it for it in yaml.safe_load_all(path.read_text(encoding="utf-8"))}
    deployment, autoscaler = found["Deployment"], found["HorizontalPodAutoscaler"]
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels, f"{selector} selects no pod with {labels}"
    [container] = pod["spec"]["containers"]
    env = {it["name"]: it["value"] for it in container["env"]}
    known = known_variables()
    assert env.keys() <= known, f"the service does not know {env.keys() - known}"
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    assert grace > int(env["DRAIN_DEADLINE"]) + CLOSING, f"{grace} s are too short for a drain"
    probe = container["readinessProbe"]
    noticed = probe["periodSeconds"] * probe["failureThreshold"]
    assert noticed < int(env["DRAIN_DELAY"]), f"a pod is left out after {noticed} s only"
    assert probe["httpGet"]["path"] == "/readyz", probe
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", container
    ports = {it["name"]: it["containerPort"] for it in container["ports"]}
    dockerfile = files.read("Dockerfile")
    for name, variable in (("api", "LISTEN"), ("monitor", "MONITOR")):
        assert f"{variable}=0.0.0.0:{ports[name]}" in dockerfile, f"{name} is on another port"
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert container[kind]["httpGet"]["port"] == "monitor", kind
    assert found["Service"]["spec"]["ports"][0]["targetPort"] in ports, found["Service"]
    assert f"USER {pod['spec']['securityContext']['runAsUser']}:" in dockerfile, "another user"
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    for metric in autoscaler["spec"]["metrics"]:
        metric = metric["pods"]["metric"]
        metrics.check_series(metric["name"], metric["selector"]["matchLabels"])


def known_variables() -> set[str]:
    config = Path(__file__).parents[2] / "examples/service/src/config.rs"
    return set(re.findall(r"`([A-Z_]+)`", config.read_text(encoding="utf-8")))


def systemd(files: Files, options) -> None:
    """The unit is valid, and leaves the service enough time."""
    unit = files.read("service.service")
    files.replace("service.service", ("/usr/local/bin/service", str(options.service.resolve())))
    # It only warns of most mistakes.
    said = run("systemd-analyze", "verify", files.path("service.service"))
    assert not said, said
    seconds = int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1])
    assert seconds > 25 + CLOSING, f"{seconds} s are too short for a drain"
    assert "\nType=notify\n" in unit, "the service notifies"
    environment = re.search(r"^Environment=(.*)$", unit, re.MULTILINE)[1]
    names = {word.split("=")[0] for word in environment.split()}
    assert names <= known_variables(), names


def notifications(files: Files, options) -> None:
    """The service tells systemd that it is ready, and that it stops."""
    path = files.path("notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(30)
        database = files.path("notes.db")
        add_user([options.service], database)
        with Service(options.service, database, NOTIFY_SOCKET=str(path)) as service:
            assert b"READY=1" in listener.recv(1024)
            service.stop()
            assert b"STOPPING=1" in listener.recv(1024)
            service.ends()


def envoy(files: Files, _) -> None:
    """Envoy's own schema knows all of the configuration."""
    check = Path(__file__).with_name("check_envoy.py")
    run(sys.executable, "-B", check, files.path("envoy.yaml"), env={**os.environ})


CHECKS = [
    (
        kubernetes,
        [
            ("kubernetes.yaml", "failureThreshold: 1", "failureTreshold: 1"),
            ("kubernetes.yaml", "maxReplicas: 10", "maxReplicas: ten"),
            ("kubernetes.yaml", "terminationGracePeriodSeconds: 35", "terminationGracePeriodSeconds: 30"),
            ("kubernetes.yaml", "DRAIN_SPREAD", "DRAIN_SPRAED"),
            ("kubernetes.yaml", "name: capnweb_sessions", "name: capnweb_connections"),
            ("kubernetes.yaml", "path: /readyz", "path: /healthz"),
            ("kubernetes.yaml", "containerPort: 9090", "containerPort: 9091"),
        ],
    ),
    (
        systemd,
        [
            ("service.service", "Type=notify", "Type=notfy"),
            ("service.service", "TimeoutStopSec=35", "TimeoutStopSec=30"),
            ("service.service", "StateDirectory=", "StateDirektory="),
        ],
    ),
    (notifications, []),
    (
        envoy,
        [
            ("envoy.yaml", "stream_idle_timeout", "stream_idel_timeout"),
            ("envoy.yaml", "upgrade_type: websocket", "upgrade_type: h2c"),
            ("envoy.yaml", "cluster: service", "cluster: servise"),
        ],
    ),
]
