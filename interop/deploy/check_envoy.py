"""Reads a configuration of Envoy, whose path is the argument, with Envoy's own schema."""

import importlib
import sys

import yaml
from google.protobuf import json_format

# The messages behind `typed_config`. A type that is missing here is reported as unknown.
TYPES = [
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
]


def main():
    for module in TYPES:
        importlib.import_module(module)
    from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap

    with open(sys.argv[1], encoding="utf-8") as file:
        config = json_format.ParseDict(yaml.safe_load(file), Bootstrap())
    clusters = {cluster.name for cluster in config.static_resources.clusters}
    for listener in config.static_resources.listeners:
        for chain in listener.filter_chains:
            for found in chain.filters:
                check_routes(found, clusters)


def check_routes(found, clusters):
    from envoy.extensions.filters.network.http_connection_manager.v3 import (
        http_connection_manager_pb2 as manager,
    )

    config = manager.HttpConnectionManager()
    if not found.typed_config.Unpack(config):
        return
    upgrades = {upgrade.upgrade_type for upgrade in config.upgrade_configs}
    assert "websocket" in upgrades, f"{found.name} does not let WebSockets through"
    for host in config.route_config.virtual_hosts:
        for route in host.routes:
            cluster = route.route.cluster
            assert cluster in clusters, f"there is no cluster `{cluster}`"


main()
