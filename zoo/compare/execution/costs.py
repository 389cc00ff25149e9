"""What every kind of run will cost, measured by the workers before any run begins."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo import __version__
from zoo.compare.analysis.runs import Number
from zoo.compare.design.cell import Cell
from zoo.compare.execution.engine import Engine
from zoo.compare.execution.schedule import RETRIES
from zoo.compare.typed import typed
from zoo.errors import ConfigError, DataError, ZooError
from zoo.system.atomic import atomic_write

log = logging.getLogger("zoo")
DATA_PACKAGES = ("torch", "scikit-learn", "datasets", "numpy")  # on which data depends
ERRORS: dict[int, type[ZooError]] = {2: ConfigError, 3: DataError}


@dataclass(frozen=True)
class Cost:
    """What a run of one kind costs, and the data that it reads.

    Args:
        data_digest: of its data.
        flops: floating-point operations of a training step.
        parameters: of the net.
        steps: of training.
        seconds: of training, as estimated.
        stamp: `data_stamp` when this was measured.
        alone: why it cannot train together with others, empty where it can; None: not asked.
    """

    data_digest: str
    flops: Number
    parameters: int
    steps: int
    seconds: Number
    stamp: str
    alone: str | None = None


def measure_costs(
    kinds: Mapping[str, Cell], engine: Engine, path: Path, together: int = 1
) -> tuple[dict[str, Cost], dict[str, str]]:
    """The cost of each kind of run, and for the kinds that have none the reason.

    Args:
        kinds: a cell of each kind.
        engine: that measures.
        path: file of the costs that are known; it is kept up to date.
        together: the most runs that are to train together; above 1 it is found out which can.

    Errors:
        ConfigError, DataError: a measurement met one, which names the cell; or the file is broken.
    """
    known = read_costs(path)
    paths = {kind: cell.config.sections["data"].get("path") for kind, cell in kinds.items()}
    stamps = {path: data_stamp(path) for path in set(paths.values())}
    waiting = [
        kind
        for kind in kinds
        if kind not in known
        or known[kind].stamp != stamps[paths[kind]]
        or (together > 1 and known[kind].alone is None)
    ]
    losses, failed, in_flight, note = Counter[str](), dict[str, str](), 0, ""
    if waiting:
        log.info("measuring a step of %d kinds of runs", len(waiting))
    while waiting or in_flight:
        while waiting and engine.free:
            kind = waiting.pop()
            request = {"do": "measure", "config": kinds[kind].config.plain()}
            engine.submit(kind, request | {"together": together > 1})
            in_flight += 1
        ended = engine.poll(1.0)
        if engine.note not in ("", note):
            note = engine.note
            log.info("%s", note)
        for outcome in ended:
            in_flight -= 1
            kind, answer = outcome.job, outcome.answer or {}
            if answer.get("code") in ERRORS:
                raise error_of_cell(answer, kinds[kind])
            if outcome.why_lost() and losses[kind] < RETRIES:
                losses[kind] += 1
                waiting.append(kind)
            elif why := outcome.why_lost() or outcome.with_log(str(answer.get("error", ""))):
                failed[kind] = f"its step could not be measured: {why}"
            else:
                known[kind] = Cost(**answer, stamp=stamps[paths[kind]])
                rows = {kind: asdict(cost) for kind, cost in known.items()}
                atomic_write(path, json.dumps(rows))
    return {kind: known[kind] for kind in kinds if kind not in failed}, failed


def why_alone(cell: Cell, cost: Cost) -> str:
    """Why a run trains alone where it was measured whether it must; empty where it need not."""
    diagnostics = cell.config.choices["diagnostics"]
    return cost.alone or (f"diagnostics={diagnostics}" if diagnostics != "none" else "")


def read_costs(path: Path) -> dict[str, Cost]:
    """The costs in a file, none where there is no file; DataError where it is broken."""
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(rows, dict):
            raise ValueError(f"is no object but {str(rows)[:80]!r}")
        return {kind: typed(Cost, row) for kind, row in rows.items()}
    except ValueError as error:
        fix = "remove this file; the costs are measured again"
        raise DataError(f"the costs are broken: {error}", str(path), fix) from None


def error_of_cell(answer: Mapping[str, Any], cell: Cell) -> ZooError:
    """The error that a worker answered, with the name of the cell."""
    error = ERRORS[answer["code"]]
    what, _, rest = answer["error"].partition(" -- ")
    where, _, fix = rest.partition(" -- ")
    return error(what, f"{cell.place.title()}, {cell.arm}: {where}", fix or "see the logs")


def data_stamp(path: str | None) -> str:
    """A digest that changes where data from outside, or what makes the rest, may have changed.

    It covers names, sizes and times of the files at a path, and versions of packages.
    """
    root = Path(path or "/nowhere").expanduser()
    files = [root] if root.is_file() else sorted(f for f in root.rglob("*") if f.is_file())
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    versions = [__version__, platform.python_version(), *map(version, DATA_PACKAGES)]
    return hashlib.sha256(repr((states, versions)).encode()).hexdigest()[:20]
