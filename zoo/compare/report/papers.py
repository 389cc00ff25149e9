"""The gaps of a comparison as tables for papers: LaTeX with booktabs, and CSV with all digits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from zoo.compare.analysis.aggregate import contrasts_of
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.statistics import Interval
from zoo.compare.report.formats import measure_label
from zoo.compare.report.tables import Table, examples_of, gaps, p_numbers
from zoo.compare.report.title import title
from zoo.errors import shown
from zoo.system.spreadsheet import spreadsheet

LETTERS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "`": r"\textasciigrave{}",
}  # fmt: skip
MINUS = re.compile(r"(?<![\w.])-(?=\d)")
COLUMNS = ("place", "metric", "arm", "baseline", "gap", "verdict", "pairs", "smallest effect",
           "test examples", "p", "p (Holm)", "p (ahead, Holm)", "least p")  # fmt: skip
P_COLUMNS = ("p", "p_holm", "p_ahead_holm", "least_p")


def latex(record: Record) -> str:
    """The gaps as a LaTeX table; the head of the file says which packages it wants."""
    table = gaps(record)
    kept = [table.columns.index(name) for name in COLUMNS]
    rows = [[row[i] for i in kept] for row in table.rows]
    notes = [
        "% Wants \\usepackage{booktabs}, \\usepackage{graphicx} and \\usepackage{textcomp};",
        "% letters that are not Latin want XeLaTeX or LuaLaTeX.",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{escaped(title(record))}: medians of paired differences.}}",
        "\\resizebox{\\linewidth}{!}{%",
    ]
    body = booktabs(Table("", "|".join(COLUMNS), rows))
    return "\n".join([*notes, *body, "}", "\\end{table}"]) + "\n"


def booktabs(table: Table) -> list[str]:
    """The lines of a table in LaTeX."""
    rule = {"begin": f"\\begin{{tabular}}{{{'l' * len(table.columns)}}}", "end": "\\end{tabular}"}
    return [rule["begin"], "\\toprule", latex_row(table.columns), "\\midrule",
            *map(latex_row, table.rows), "\\bottomrule", rule["end"]]  # fmt: skip


def latex_row(cells: Sequence[Any]) -> str:
    """A row of a table in LaTeX."""
    return " & ".join(map(escaped, cells)) + r" \\"


def escaped(text: object) -> str:
    r"""A text on one line that LaTeX shows literally, with minus signs before numbers.

    >>> print(escaped("50 % of \\input{x}, -0.5"))
    50 \% of \textbackslash{}input\{x\}, $-$0.5
    """
    line = " ".join(shown(str(text)).split())
    return MINUS.sub("$-$", "".join(LETTERS.get(letter, letter) for letter in line))


def gaps_csv(record: Record) -> str:
    """The gaps as CSV, with a column for each number."""
    means = {(place.title, arm.arm): arm.mean for place in record.places for arm in place.arms}
    rows = [
        {
            "place": place.title,
            "metric": measure_label(place.metric),
            "arm": c.arm,
            "baseline": c.baseline,
            "arm_mean": means[place.title, c.arm],
            "baseline_mean": means[place.title, c.baseline],
            **numbers("gap", c.gap),
            "verdict": c.verdict,
            "pairs": c.pairs,
            "smallest_effect": c.delta,
            "test_examples": examples_of(place),
            **dict(zip(P_COLUMNS, p_numbers(c), strict=True)),
            **numbers("gap_at_best_step", c.secondary.get("best_on_validation")),
            "verdict_at_best_step": c.at_best or c.verdict,
            "arm_failed_to_train": c.untrained[0],
            "baseline_failed_to_train": c.untrained[1],
            "not_matched": ", ".join(c.warnings),
        }
        for place, c in contrasts_of(record.places)
    ]
    return spreadsheet(rows)


def numbers(name: str, estimate: Interval | None) -> dict[str, float | None]:
    """An estimate and the ends of its interval, each in a column of its own."""
    value, low, high = (
        (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    )
    return {name: value, f"{name}_low": low, f"{name}_high": high}
