"""What a plan settles before the first run: what is compared and tested, and by which code."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.compare.analysis.record import Declared
from zoo.compare.design.cell import digest
from zoo.compare.design.plan import Plan
from zoo.compare.design.tuning import FACTORS, FURTHER, STEP
from zoo.config import registry

BESIDE = ("compare", "cli", "probes", "diagnosis", "html", "bench")  # change no result of a run
UNJUDGED = ("streams.py", "mixing_matrices.py", "curves.py")  # of the analysis: no statistics
GRID = {"factors": list(FACTORS), "step": STEP, "further": FURTHER}  # as JSON has it
METRIC = "the primary metric of each task on its test part, at the last step"
STOPPING = {
    "fixed": "after a number of pairs that was fixed",
    "auto": "when every primary hypothesis is decided, or at the limit; p hold at every look",
}
SETTLED = ("arms", "baselines", "effects", "references", "places", "pairs", "null", "test",
           "varied", "tuned", "scripts")  # fmt: skip


def settled(declared: Declared) -> dict[str, Any]:
    """What a declaration settles, as JSON has it."""
    values = asdict(declared)
    kept = {key: values[key] for key in SETTLED}
    return {**json.loads(json.dumps(kept, default=str)), "stopping": STOPPING[declared.test]}


def plan_of(plan: Plan, declared: Declared, tune_seeds: int) -> dict[str, Any]:
    """What a plan settles, as JSON has it.

    Args:
        plan: of the runs.
        declared: of the comparison.
        tune_seeds: number of the seeds of tuning.
    """
    families = [family for family, depths in depths_of(plan).items() if len(depths) > 1]
    commands = [cell.config.sections["command"] for cell in plan.cells if plan.scripts]
    files = sorted({each for command in commands for each in command["files"].items()})
    return settled(declared) | {
        "pairs": plan.pairs,
        "recipes": {f"{c.place.title()}, {c.arm}": c.recipe for c in plan.cells if not c.tuned},
        "hypotheses": [[p.title(), *both] for p in plan.deepest for both in plan.baselines.items()],
        "slopes": [[family, *both] for family in families for both in plan.baselines.items()],
        "tune_seeds": tune_seeds if declared.tuned else 0,
        "grid": GRID if declared.tuned else {},
        "metric": commands[0]["metric"] if commands else METRIC,
        "code": digest({"files": files}) if commands else code_digest(),
        "statistics": statistics_digest(),
    }


def depths_of(plan: Plan) -> dict[str, set[Any]]:
    """The depths of each family of places that are numbers."""
    depths: dict[str, set[Any]] = {}
    for place in plan.places:
        if isinstance(place.depth, (int, float)):
            depths.setdefault(place.family, set()).add(place.depth)
    return depths


def code_digest() -> str:
    """The name of what trains: the sources of all packages but for what compares and reports."""
    packages = sorted({"zoo", "tasks", *registry.homes().values()})
    return sources_digest(packages, BESIDE)


def statistics_digest() -> str:
    """The name of what judges: the sources of the statistics."""
    return sources_digest(["zoo.compare.analysis"], UNJUDGED)


def sources_digest(packages: Sequence[str], beside: Sequence[str] = ()) -> str:
    """A digest of all sources of some packages.

    Args:
        packages: their names.
        beside: folders and files directly in them that are left out.
    """
    content = hashlib.sha256()
    for package in packages:
        spec = importlib.util.find_spec(package)
        for home in (spec and spec.submodule_search_locations) or ():
            for file in sorted(Path(home).rglob("*.py")):
                name = file.relative_to(home)
                if name.parts[0] not in beside:
                    content.update(f"{package}/{name}\n".encode() + file.read_bytes())
    return content.hexdigest()[:20]
