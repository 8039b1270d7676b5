"""The names and labels of metrics in the dashboard and the alerts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import promql_parser
import yaml
from files import ROOT, Files
from processes import Service, add_user, call
from prometheus_client.parser import text_string_to_metric_families

# Labels that Prometheus adds.
ADDED = {"instance", "job", "pod", "namespace"}

# The values of labels that come from fixed lists.
VALUES = {
    "side": {"in", "out"},
    "direction": {"in", "out"},
    "outcome": {"ok", "error", "dropped"},
    "role": {"client", "server"},
    "transport": {"websocket", "batch", "webtransport", "stream"},
    "reason": {"normal", "here", "peer", "network", "silence", "protocol", "limit"},
}


def documented() -> dict[str, tuple[str, set[str]]]:
    """Returns type and labels of each metric, from the documentation of `Metrics`."""
    text = (ROOT / "crates/capnweb-net/src/metrics.rs").read_text(encoding="utf-8")
    found = {}
    for row in re.findall(r"^/// \| (`capnweb_.*) \|$", text, re.MULTILINE):
        names, kind, labels = (cell.strip() for cell in row.split("|"))
        labels = set(re.findall(r"`(\w+)`", labels.split(":")[0]))
        for name in re.findall(r"`(\w+)`", names):
            found[name] = (kind, labels)
    assert len(found) >= 14, found
    return found


def check_series(name: str, labels: dict[str, str] | set[str]) -> None:
    """Checks that there are such series."""
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    kind, known = documented().get(name) or documented().get(base) or (None, set())
    assert kind, f"there is no metric `{name}`"
    assert (name == base) == (kind != "histogram"), f"`{name}` is a {kind}"
    for label in labels:
        if label == "le" and name.endswith("_bucket"):
            continue
        assert label in known | ADDED, f"`{name}` has no label `{label}`"
        if isinstance(labels, dict) and label in VALUES:
            assert labels[label] in VALUES[label], f"`{label}` is never {labels[label]!r}"


def check_query(query: str, shown: str) -> None:
    """Checks a query, and the labels of the text that shows its result."""
    query = query.replace("$__rate_interval", "5m")
    promql_parser.parse(query)
    names = re.findall(r"(capnweb_\w+)(\{[^}]*\})?", query)
    assert names, f"there is no metric of ours in {query}"
    grouped = {word.strip() for words in re.findall(r"by \(([^)]*)\)", query) for word in words.split(",")}
    for name, selector in names:
        selected = dict(re.findall(r'(\w+)!?="([^"]*)"', selector))
        patterns = set(re.findall(r"(\w+)=~", selector))
        check_series(name, selected)
        check_series(name, patterns | grouped)
    by_hand = set(re.findall(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}", shown))
    # A query that does not group keeps the labels that Prometheus adds.
    kept = grouped if grouped else ADDED
    assert by_hand <= kept, f"{by_hand - kept} is not a label of the result of {query}"


def dashboard(files: Files, _) -> None:
    board = json.loads(files.read("dashboard.json"))
    shown = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            check_query(target["expr"], target["legendFormat"])
            shown |= set(re.findall(r"capnweb_\w+", target["expr"]))
    for variable in board["templating"]["list"]:
        for name, label in re.findall(r"label_values\((\w+), (\w+)\)", variable["query"]):
            check_series(name, {label})
    # All metrics are shown.
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    missing = documented().keys() - shown
    assert not missing, f"the dashboard does not show {missing}"


def alerts(files: Files, _) -> None:
    for group in yaml.safe_load(files.read("alerts.yaml"))["groups"]:
        for rule in group["rules"]:
            check_query(rule["expr"], rule["annotations"]["summary"])
            assert re.fullmatch(r"\d+[smh]", rule["for"]), rule["for"]


def what_the_service_prints(files: Files, options) -> None:
    """The service has the metrics that are documented, with these types and labels."""
    database = files.path("notes.db")
    token = add_user([options.service], database)
    with Service(options.service, database) as service:
        call(f"http://127.0.0.1:{service.port}", token)
        status, text = service.get("/metrics")
        assert status == 200, status
        service.stop()
        service.ends()
    known = documented()
    families = [it for it in text_string_to_metric_families(text) if it.name.startswith("capnweb_")]
    assert len(families) >= 12, families
    for family in families:
        name = family.name + "_total" if family.type == "counter" else family.name
        kind, labels = known[name]
        assert family.type == kind, f"{name} is a {family.type}"
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, sample
            for label, value in sample.labels.items():
                assert value in VALUES.get(label, {value}), sample


CHECKS = [
    (
        dashboard,
        [
            ("dashboard.json", "sum(capnweb_exports", "sum(capnweb_exported"),
            ("dashboard.json", "sum by (reason)", "sum by (cause)"),
            ("dashboard.json", "{{method}}", "{{name}}"),
            ("dashboard.json", "side=\\\"in\\\"", "side=\\\"server\\\""),
            ("dashboard.json", "histogram_quantile(0.5, ", "histogram_quantile(0.5 "),
        ],
    ),
    (
        alerts,
        [
            ("alerts.yaml", "capnweb_unsent_bytes", "capnweb_unsent"),
            ("alerts.yaml", 'reason="silence"', 'reason="silent"'),
            ("alerts.yaml", "sum by (limit) (", "sum by (limit) "),
            ("alerts.yaml", "$labels.limit", "$labels.name"),
        ],
    ),
    (what_the_service_prints, []),
]
