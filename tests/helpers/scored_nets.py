"""The nets on which diagnoses are scored, in two halves, sick and healthy.

The limits of the causes are set on the first half alone.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import fresh_skip_faults
import fresh_step_faults
import later_faults
from fresh_faults import FRESH_CASES
from fresh_nets import FRESH
from healthy_nets import DEPTHS, healthy
from sick_nets import CASES

HALVES = {"first": CASES, "second": FRESH_CASES}
ADDED = (fresh_skip_faults, fresh_step_faults, later_faults)  # that add to the second half
LIBRARIES = {
    **dict.fromkeys(("deepgcn", "gcn"), "torch_geometric"),
    "diffusers": "diffusers",
    "encoder": "torch",
    **{name: FRESH[name][3] for name in FRESH},
}


class Planted(NamedTuple):
    """A net with one fault; `plant` gives net, batch, loss, optimiser and where the fault is:
    the path of a module, or None for the whole net, its loss, its batch or its optimiser.
    """

    half: str
    cause: str
    fault: str
    net: str
    kind: str
    plant: Callable[[], tuple[Any, ...]]

    def __str__(self):
        return f"{self.cause}, {self.fault}, {self.net}"


def kind_of(net):
    """Whose a net is: `ours`, `by hand`, or the library that it is of."""
    name = net.rpartition(", ")[2]
    if name == "ours" or name in DEPTHS:
        return "ours"
    return LIBRARIES.get(name) or "by hand"


PLANTED = [
    Planted(half, cause, plant.__name__, net, kind_of(net), lambda net=net, plant=plant: plant(net))
    for half, cases in HALVES.items()
    for cause, net, plant in cases
]
HEALTHY = list(healthy())
MISSED = {}  # planted faults that are known to be missed, with the reason


def missing(library):
    """Whether a library is not installed."""
    return library not in ("", "ours", "by hand") and find_spec(library) is None
