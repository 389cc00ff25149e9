"""Charts of mixing matrices: what each branch reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zoo.compare.analysis.record import Mechanism
from zoo.compare.report.chart import Chart, Matrix
from zoo.compare.report.words import number


def matrices(mechanisms: Mapping[str, Mechanism]) -> Iterator[Chart]:
    """The matrix of every arm that has one, all in the same colours."""
    known = {arm: (found, found.matrix) for arm, found in mechanisms.items() if found.matrix}
    entries = [value for _, rows in known.values() for row in rows for value in row]
    most = max([1.0, *map(abs, entries)])
    least = -most if min(entries, default=0.0) < 0 else 0.0
    for arm, (found, rows) in known.items():
        yield matrix(arm, found, rows, least, most)


def matrix(arm: str, found: Mechanism, rows: list[list[float]], least: float, most: float) -> Chart:
    """One matrix."""
    inputs = [*(f"x{i}" for i in range(len(rows) - 1)), "out"]
    outputs = [f"y{j}" for j in range(len(rows))]
    values = [[v if j <= i else None for j, v in enumerate(row)] for i, row in enumerate(rows)]
    texts = [
        ["" if v is None else f"{number(v)} of y{j} in {x}" for j, v in enumerate(row)]
        for x, row in zip(inputs, values, strict=True)
    ]
    note = f", {found.note}" if found.note else ""
    last = ", ".join(map(number, rows[-1]))
    return Chart(
        title=arm,
        words=f"Mixing matrix of {arm} (rule {found.rule}{note}). Its output is made of {last}.",
        head=("", *outputs),
        rows=[[x, *map(number, row)] for x, row in zip(inputs, values, strict=True)],
        matrix=Matrix(values, texts, inputs, outputs, least, most),
        height=270,
    )
