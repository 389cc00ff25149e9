"""A Ray cluster: one that exists, or one on this machine that begins and ends with its user."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from zoo.errors import ConfigError, ResourceError, cut

LOCAL = "local"  # the address of a cluster that is to be started here
LONGEST = 60.0  # seconds in which a cluster is joined
PATIENCE = 5.0  # seconds for an answer of the network
WIDEST = 200  # characters of what Ray says
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
        at_term = signal.getsignal(signal.SIGTERM)
        with warnings.catch_warnings(), heard() as said:
            warnings.simplefilter("ignore")  # on what later versions of Ray will do
            self.ray = imported()
            options |= {"log_to_driver": False, "logging_level": logging.ERROR}
            try:
                if address == LOCAL:  # its processes end with the thread that starts them
                    self.ray.init(**options)
                else:
                    within(LONGEST, lambda: self.ray.init(**options))
            except (OSError, RuntimeError, ValueError) as error:
                self.close()
                raise no_cluster(address, str(error), said()) from None
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
            raise no_cluster(address, str(error)) from None


def within(seconds: float, act: Callable[[], object]) -> None:
    """Does something in a thread, which is left behind with a TimeoutError if it takes longer."""
    errors: list[BaseException] = []

    def acting() -> None:
        try:
            act()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=acting, name="zoo-ray", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    for error in errors:
        raise error


@contextlib.contextmanager
def heard() -> Iterator[Callable[[], str]]:
    """A context in which what any part of this process writes to stderr can be asked for."""
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace")
        finally:
            os.dup2(before, 2)
            os.close(before)


def no_cluster(address: str, error: str, said: str = "") -> ResourceError:
    """The error where there is no cluster, or it lets nobody in.

    Args:
        address: of the cluster.
        error: that came of it.
        said: what Ray wrote meanwhile.
    """
    what, fix = f"no Ray cluster: {cut(' '.join(error.split()), WIDEST)}", "run: ray start --head"
    if "AuthToken" in said or "AuthToken" in error:
        what = "the Ray cluster asks for a token, and this one is missing or another"
        fix = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or ~/.ray/auth_token as it has them"
    return ResourceError(what, f"engine.address={address}", fix)


def why_lost(error: Exception) -> str:
    """What Ray says of an actor that is lost, the last line of which has the cause."""
    cause = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    return f"its process or its node was lost: {cut(cause[0], WIDEST)}"


def imported() -> ModuleType:
    """The package, which is imported on first use."""
    import ray

    return ray
