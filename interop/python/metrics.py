"""Checks what the example `monitoring`, whose path is the argument, prints of its route `/metrics`."""

import subprocess
import sys

from prometheus_client.parser import text_string_to_metric_families

# Name and type of each metric, and the names of its labels.
METRICS = {
    "capnweb_sessions": ("gauge", {"transport", "role"}),
    "capnweb_sessions_opened": ("counter", {"transport", "role"}),
    "capnweb_sessions_ended": ("counter", {"reason"}),
    "capnweb_call_duration_seconds": ("histogram", {"side", "method", "outcome"}),
    "capnweb_calls_in_flight": ("gauge", {"side", "method"}),
    "capnweb_exports": ("gauge", set()),
    "capnweb_imports": ("gauge", set()),
    "capnweb_held_bytes": ("gauge", set()),
    "capnweb_unsent_bytes": ("gauge", set()),
    "capnweb_stream_bytes": ("gauge", set()),
    "capnweb_messages": ("counter", {"direction"}),
    "capnweb_bytes": ("counter", {"direction"}),
}


def main():
    run = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True, text=True, timeout=60)
    families = {it.name: it for it in text_string_to_metric_families(run.stdout)}
    for name, (kind, labels) in METRICS.items():
        family = families.get(name)
        assert family, f"{name} is missing; there are {sorted(families)}"
        assert family.type == kind, f"{name} is a {family.type}"
        assert family.documentation, f"{name} has no help"
        for sample in family.samples:
            found = set(sample.labels) - {"le"}
            assert found == labels, f"{sample.name} has the labels {found}"

    def value(family, name, **labels):
        found = [
            it.value
            for it in families[family].samples
            if it.name == name and labels.items() <= it.labels.items()
        ]
        assert len(found) == 1, f"{name} {labels}: {families[family].samples}"
        return found[0]

    def calls(method, outcome):
        family = "capnweb_call_duration_seconds"
        return value(family, family + "_count", side="in", method=method, outcome=outcome)

    assert value("capnweb_sessions", "capnweb_sessions", transport="websocket", role="server") == 1
    opened = "capnweb_sessions_opened"
    assert value(opened, opened + "_total", transport="batch", role="server") == 1
    assert value("capnweb_sessions_ended", "capnweb_sessions_ended_total", reason="normal") >= 1
    assert calls("greet", "ok") == 2
    assert calls("fail", "error") == 1
    assert calls("other", "error") == 1
    methods = {it.labels["method"] for it in families["capnweb_calls_in_flight"].samples}
    assert methods == {"greet", "fail", "other"}, methods
    for direction in ("in", "out"):
        assert value("capnweb_bytes", "capnweb_bytes_total", direction=direction) > 0
    print("1 passed, 0 failed")


main()
