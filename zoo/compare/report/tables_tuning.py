"""The tables of tuning: what was chosen at which budget, and the gaps without and with it."""

from __future__ import annotations

from zoo.compare.analysis.record import Record
from zoo.compare.analysis.summaries import View
from zoo.compare.analysis.tuned import Search
from zoo.compare.execution.progress import duration
from zoo.compare.report.formats import interval
from zoo.compare.report.tables import Table


def chosen(record: Record) -> Table:
    """The best value of every search, its largest stable one and what was spent on it."""
    rows = [
        [s.place, s.arm, s.option, f"{s.configured:g}", best_value(s),
         "none" if s.stable is None else f"{s.stable:g}", tried(s), f"{s.runs}",
         duration(s.seconds)]
        for s in (record.tuning.searches if record.tuning else ())
    ]  # fmt: skip
    head = "place|arm|option|configured|best|largest stable|tried|runs|time"
    return Table("Best values on validation, and what was spent on them", head, rows)


def best_value(search: Search) -> str:
    """The best value, with a note where a better one may lie beyond those that were tried."""
    return f"{search.chosen:g}" + (" (at the end of the grid)" if search.at_the_edge else "")


def tried(search: Search) -> str:
    """The values that were tried, and those that could not be."""
    ends = f"{search.trials[0]['value']:g} to {search.trials[-1]['value']:g}"
    refused = ", ".join(f"{value:g}" for value in search.refused)
    notes = [f"the option refuses {refused}"] if refused else []
    notes += [f"{search.lost} runs have no result"] if search.lost else []
    return ", ".join([f"{len(search.trials)}: {ends}", *notes])


def beside(record: Record) -> Table:
    """Every gap at the configured values and at each arm's best ones."""
    verdicts = {(p.title, c.arm): c.verdict for p in record.places for c in p.contrasts}
    rows = [
        [g.place, g.arm, g.baseline, gap(g.configured), gap(g.tuned),
         verdicts.get((g.place, g.arm), "")]
        for g in (record.tuning.gaps if record.tuning else ())
    ]  # fmt: skip
    head = (
        "place|arm|baseline|gap at the configured values|gap at each arm's best values|"
        "verdict at the best values"
    )
    return Table("The same pairs without and with tuning", head, rows)


def gap(view: View | None) -> str:
    """A gap with its number of pairs."""
    if view is None:
        return "no pair has ended"
    return f"{interval(view)}, {view.pairs} {'pair' if view.pairs == 1 else 'pairs'}"
