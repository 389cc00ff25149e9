"""The title of a comparison, made from what it compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.compare.analysis.aggregate import grouped
from zoo.compare.analysis.record import Declared, Record
from zoo.compare.design.axes import short
from zoo.errors import cut, listed

NAMED, LONGEST = 3, 24  # names in a row, letters of a name


def title(record: Record) -> str:
    """The arms, the tasks, the other axes, and what all runs share that is not declared."""
    tasks = list(dict.fromkeys(run.task for run in record.cells))
    parts = [arms(record.declared), *([counted(tasks, "tasks")] if tasks else [])]
    settings: dict[str, list[Any]] = {}
    for run in record.cells:
        for key, value in run.settings.items():
            known = settings.setdefault(key, [])
            known += [value] if value not in known else []
    parts += [f"{short(key)} {values_of(values)}" for key, values in settings.items()]
    parts += [f"{short(key)} {cut(value, LONGEST)}" for key, value in record.declared.fixed.items()]
    parts += [f"{short(key)} tuned" for key in record.declared.tuned]
    return ", ".join(parts)


def arms(declared: Declared) -> str:
    """Which arms are compared with which.

    >>> arms(Declared(baselines={"residual": "plain", "rezero": "plain"}))
    'plain against residual and rezero'
    >>> arms(Declared(baselines={"plain again": "plain"}, null=True))
    'plain against itself'
    """
    by_baseline = grouped(declared.baselines, lambda arm: declared.baselines[arm])
    if declared.null:
        return " and ".join(f"{cut(name, LONGEST)} against itself" for name, _ in by_baseline)
    texts = [f"{cut(name, LONGEST)} against {counted(of, 'arms')}" for name, of in by_baseline]
    return counted(texts, "comparisons", 2) or counted(list(declared.arms), "arms")


def counted(names: Sequence[str], kind: str, most: int = NAMED) -> str:
    """Some names in a row, or how many there are.

    >>> counted(["cnn", "gnn"], "tasks"), counted(["a", "b", "c", "d"], "tasks")
    ('cnn and gnn', '4 tasks')
    """
    if len(names) > most:
        return f"{len(names)} {kind}"
    return listed(cut(name, LONGEST) if most == NAMED else name for name in names)


def values_of(values: Sequence[Any]) -> str:
    """Values of an option in few words: numbers by the first and the last.

    >>> values_of([56, 8]), values_of(["cora", "pubmed"]), values_of([8])
    ('8 to 56', 'cora and pubmed', '8')
    """
    numbers = all(type(value) in (int, float) for value in values)
    if numbers and len(values) > 1:
        return f"{min(values)} to {max(values)}"
    return counted([str(value) for value in values], "values")
