"""What every kind of run will cost, measured by the workers before any of them runs."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo import __version__
from zoo.compare.design.cell import Cell
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.schedule import RETRIES
from zoo.errors import ConfigError, DataError, ZooError
from zoo.system.atomic import atomic_write

log = logging.getLogger("zoo")
Cost = dict[str, Any]
Costs = dict[str, Cost]  # of each kind of runs
MAKERS = ("torch", "scikit-learn", "datasets", "numpy")  # packages on which data depends
ERRORS: dict[int, type[ZooError]] = {2: ConfigError, 3: DataError}


def measured(kinds: Mapping[str, Cell], engine: Engine, path: Path) -> Costs:
    """The costs of each kind: `data_digest`, `flops`, `seconds`, or `lost`: why there are none.

    Args:
        kinds: a cell of each kind.
        engine: what measures.
        path: file of what is known; it is kept up to date.

    Errors:
        ConfigError, DataError: what a measurement met; it names the cell.
    """
    known: Costs = json.loads(path.read_text()) if path.is_file() else {}
    paths = {kind: cell.config.sections["data"].get("path") for kind, cell in kinds.items()}
    stamps = {path: stamp(path) for path in set(paths.values())}
    waiting = [k for k in kinds if known.get(k, {}).get("stamp") != stamps[paths[k]]]
    losses, lost, flying = Counter[str](), Costs(), 0
    if waiting:
        log.info("measuring a step of %d kinds of runs", len(waiting))
    while waiting or flying:
        while waiting and engine.free:
            kind = waiting.pop()
            engine.submit(kind, {"do": "measure", "config": kinds[kind].config.plain()})
            flying += 1
        for outcome in engine.poll(1.0):
            flying -= 1
            kind, answer = outcome.job, outcome.answer or {}
            if answer.get("code") in ERRORS:
                refuse(answer, kinds[kind])
            if outcome.reason() and losses[kind] < RETRIES:
                losses[kind] += 1
                waiting.append(kind)
                continue
            if reason := outcome.reason() or outcome.told(str(answer.get("error", ""))):
                lost[kind] = {"lost": f"its step could not be measured: {reason}"}
                continue
            known[kind] = {**answer, "stamp": stamps[paths[kind]]}
            atomic_write(path, json.dumps(known))
    return {kind: lost.get(kind) or known[kind] for kind in kinds}


def refuse(answer: Cost, cell: Cell) -> None:
    """Raises the error that a measurement met; it names the cell."""
    error = ERRORS[answer["code"]]
    what, _, rest = answer["error"].partition(" -- ")
    where, _, fix = rest.partition(" -- ")
    raise error(what, f"{cell.place.title()}, {cell.arm}: {where}", fix or "see the logs")


def stamp(path: str | None) -> str:
    """A key of what the data depends on: another one may be other data.

    The names, sizes and times of files from outside, and the versions of what makes the rest.
    """
    place = Path(path or "/nowhere").expanduser()
    files = [place] if place.is_file() else sorted(f for f in place.rglob("*") if f.is_file())
    told = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    made = [__version__, platform.python_version(), *map(version, MAKERS)]
    return hashlib.sha256(repr((told, made)).encode()).hexdigest()[:20]
