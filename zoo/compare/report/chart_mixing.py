"""Charts of mixing matrices: what each branch reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zoo.compare.analysis.record import Mixing
from zoo.compare.report.chart import Chart, Matrix
from zoo.compare.report.formats import number


def mixing_charts(mixing: Mapping[str, Mixing]) -> Iterator[Chart]:
    """The matrix of every arm that has one, all with the same scale of colours.

    Args:
        mixing: for each arm what its connection mixes.
    """
    known = {arm: (of_arm, of_arm.matrix) for arm, of_arm in mixing.items() if of_arm.matrix}
    values = [value for _, rows in known.values() for row in rows for value in row]
    most = max([1.0, *map(abs, values)])
    least = -most if min(values, default=0.0) < 0 else 0.0
    for arm, (of_arm, rows) in known.items():
        yield mixing_chart(arm, of_arm, rows, least, most)


def mixing_chart(
    arm: str, mixing: Mixing, rows: list[list[float]], least: float, most: float
) -> Chart:
    """The matrix of one arm.

    Args:
        arm: name of the arm.
        mixing: its rule and a remark.
        rows: of its matrix.
        least: value of the first colour.
        most: value of the last colour.
    """
    inputs = [*(f"x{i}" for i in range(len(rows) - 1)), "out"]
    outputs = [f"y{j}" for j in range(len(rows))]
    values = [[v if j <= i else None for j, v in enumerate(row)] for i, row in enumerate(rows)]
    texts = [
        ["" if v is None else f"{number(v)} of y{j} in {x}" for j, v in enumerate(row)]
        for x, row in zip(inputs, values, strict=True)
    ]
    note = f", {mixing.note}" if mixing.note else ""
    last = ", ".join(map(number, rows[-1]))
    return Chart(
        title=arm,
        words=f"Mixing matrix of {arm} (rule {mixing.rule}{note}). Its output is made of {last}.",
        head=("", *outputs),
        rows=[[x, *map(number, row)] for x, row in zip(inputs, values, strict=True)],
        matrix=Matrix(values, texts, inputs, outputs, least, most),
        height=270,
    )
