"""A Ray cluster: one that exists, or one on this machine that begins and ends with its user."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from zoo.errors import ConfigError, ResourceError, cut

LOCAL = "local"  # the address of a cluster that is to be started here
PATIENCE = 5.0  # seconds for an answer of the network
LOOPBACK = "127.0.0.1"
ALONE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too: no other address than the loopback
}  # read when Ray is imported or started


def require_ray() -> None:
    """ConfigError where the package is not installed."""
    if find_spec("ray") is None:
        fix = "run: pip install 'residual-zoo[ray]'"
        raise ConfigError("the package ray is not installed", "engine=ray", fix)


class Cluster:
    """A connection to a cluster. Its dashboard is off, and it listens on the loopback alone.

    Ray's own rules for tokens hold (`RAY_AUTH_MODE`, `RAY_AUTH_TOKEN`, `~/.ray/auth_token`).

    Args:
        address: of a cluster that exists; `local`: one is started.

    Errors:
        ResourceError: there is none at this address, or it refuses, or none can be started.
    """

    def __init__(self, address: str):
        self.address, self.folder = address, ""
        options: dict[str, Any] = {"address": address}
        if address == LOCAL:
            self.folder = tempfile.mkdtemp(prefix="zoo-ray-")
            options |= {"include_dashboard": False, "_temp_dir": self.folder}
            options |= {"_node_ip_address": LOOPBACK}
            os.environ.update(ALONE)
        check_answers(address)
        at_term = signal.getsignal(signal.SIGTERM)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on what later versions of Ray will do
                self.ray = imported()
                self.ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
        except (OSError, RuntimeError, ValueError) as error:
            self.close()
            raise no_cluster(address, error) from None
        finally:
            signal.signal(signal.SIGTERM, at_term)  # Ray sets one of its own

    def most(self, need: Mapping[str, float]) -> int:
        """The number of workers with some needs that all nodes have room for."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return sum(min(int(node.get(k, 0) / n) for k, n in need.items()) for node in nodes)

    def has(self, kind: str) -> bool:
        """Whether some node has a kind of resource, such as `GPU`."""
        return any(node["Resources"].get(kind) for node in self.ray.nodes() if node["Alive"])

    def close(self) -> None:
        """Leaves the cluster; one that was started here ends, and nothing of it stays."""
        with contextlib.suppress(AttributeError):  # the import itself failed
            self.ray.shutdown()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def check_answers(address: str) -> None:
    """ResourceError where nothing answers at HOST:PORT, for which Ray would look for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        except OSError as error:
            raise no_cluster(address, error) from None


def no_cluster(address: str, error: Exception) -> ResourceError:
    """The error where there is no cluster, or it lets nobody in."""
    fix = "start one by: ray start --head, and set RAY_AUTH_MODE=token where it asks for a token"
    what = f"no Ray cluster: {cut(' '.join(str(error).split()), 200)}"
    return ResourceError(what, f"engine.address={address}", fix)


def imported() -> ModuleType:
    """The package, which is imported on first use."""
    import ray

    return ray
