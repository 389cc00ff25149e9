"""Residual Zoo: the reference laboratory for residual connections.

Names are imported on first use, so that `import zoo` costs nothing until torch is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.config.registry import build, names, register
    from zoo.connection import Connection, Pointwise, Site
    from zoo.diagnosis.diagnose import diagnose
    from zoo.loading import load, load_net
    from zoo.probes.mixing import mixing
    from zoo.probes.profiles import (
        class_separation,
        dirichlet_energy,
        effective_rank,
        mean_average_distance,
        token_similarity,
    )
    from zoo.seeding import branch_digest, generator, redraw
    from zoo.stack import Stack

__version__ = "0.1.0"
__all__ = [
    "Connection",
    "Pointwise",
    "Site",
    "Stack",
    "branch_digest",
    "build",
    "class_separation",
    "diagnose",
    "dirichlet_energy",
    "effective_rank",
    "generator",
    "load",
    "load_net",
    "mean_average_distance",
    "mixing",
    "names",
    "redraw",
    "register",
    "token_similarity",
]
HOMES = {
    "zoo.diagnosis.diagnose": ("diagnose",),
    "zoo.connection": ("Connection", "Pointwise", "Site"),
    "zoo.seeding": ("branch_digest", "generator", "redraw"),
    "zoo.probes.mixing": ("mixing",),
    "zoo.probes.profiles": (
        "class_separation",
        "dirichlet_energy",
        "effective_rank",
        "mean_average_distance",
        "token_similarity",
    ),
    "zoo.config.registry": ("build", "names", "register"),
    "zoo.stack": ("Stack",),
    "zoo.loading": ("load", "load_net"),
}


def __getattr__(name: str) -> Any:
    for home, names in HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
