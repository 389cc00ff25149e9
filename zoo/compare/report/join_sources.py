"""Several comparisons as one: what they declare, and their runs with the latest results."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.compare.analysis.record import Declared
from zoo.compare.analysis.results import result_of, with_result
from zoo.compare.analysis.runs import Run
from zoo.compare.report.sources import Source
from zoo.errors import ConfigError

ALONE = "report these folders one by one"


def join_declared(sources: Sequence[Source]) -> Declared:
    """What all folders declare, as one; ConfigError where two disagree."""
    first = sources[0].record.declared
    tuned = dict.fromkeys(key for source in sources for key in source.record.declared.tuned)
    every = [source.record.declared.fixed for source in sources]
    fixed = {k: v for k, v in first.fixed.items() if all(k in f and f[k] == v for f in every)}
    joint = Declared(null=first.null, test=first.test, tuned=list(tuned), fixed=fixed, resplit=[])
    for source in sources:
        declared = source.record.declared
        for key in ("arms", "baselines", "effects", "references", "published", "scripts"):
            known = getattr(joint, key)
            for name, value in getattr(declared, key).items():
                if known.setdefault(name, value) != value:
                    what = f"{key} of {name} are declared as {known[name]} and {value}"
                    raise ConfigError(what, str(source.path), ALONE)
        if declared.null != joint.null:
            what = "a null comparison does not join another"
            raise ConfigError(what, str(source.path), ALONE)
        if declared.test != joint.test:
            what = "pairs=auto does not join a number of pairs that was fixed"
            raise ConfigError(what, str(source.path), ALONE)
        joint.places += [place for place in declared.places if place not in joint.places]
        joint.varied += [place for place in declared.varied if place not in joint.varied]
        if joint.resplit is not None:
            known = declared.resplit
            joint.resplit = None if known is None else [*dict.fromkeys(joint.resplit + known)]
        joint.pairs += [pair for pair in declared.pairs if pair not in joint.pairs]
    both = sorted(set(joint.baselines.values()) & joint.baselines.keys())
    if both:
        what = f"{both[0]} is a baseline in one folder and has one in another"
        raise ConfigError(what, str(sources[-1].path), ALONE)
    return joint


def join_runs(sources: Sequence[Source]) -> list[Run]:
    """The runs of all folders with their latest results; ConfigError where two folders disagree.

    A run whose folder is gone stays as it was recorded.
    """
    runs: dict[tuple[str, str, int], Run] = {}
    recipes: dict[tuple[str, str], str | None] = {}
    for source in sources:
        for recorded in source.record.cells:
            result = result_of(recorded.id, source.folders)
            run = with_result(recorded, result) if result else recorded
            key = (run.place, run.arm, run.pair)
            known = runs.get(key, run)
            recipe = recipes.setdefault((run.family, run.arm), run.recipe)
            what = ""
            if recipe != run.recipe:
                what = "runs of this arm have other settings in another folder"
            if known.id != run.id:
                what = "this run has other settings in another folder"
            elif known.ended and run.ended and known.value != run.value:
                what = f"this run has the values {known.value} and {run.value}"
            if what:
                where = f"{source.path}: {run.place}, {run.arm}, pair {run.pair}"
                raise ConfigError(what, where, ALONE)
            runs[key] = known if known.ended else run
    order = list(dict.fromkeys(run.place for run in runs.values()))
    return sorted(runs.values(), key=lambda run: order.index(run.place))
