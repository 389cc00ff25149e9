"""Sentences on a record: the statement of each contrast, and the warnings before and after them."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.compare.analysis.aggregate import contrasts_of, families
from zoo.compare.analysis.analyse import undecided
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.runs import WAITING
from zoo.compare.analysis.summaries import Contrast, PlaceSummary
from zoo.compare.analysis.verdict import CLAIM, DIRECTION
from zoo.compare.report.formats import interval

ONE_RECIPE = "One set of hyperparameters for all arms; none was tuned for this comparison."
SEVERAL_RECIPES = "Arms set options beside the connection; they stand under the arms of the report."
CAVEATS = (
    "Every run is judged at its last step. A run that diverged or ended below chance is at chance.",
    "These tasks are no sample of all tasks.",
)


@dataclass(frozen=True)
class Part:
    """What may be said at one place, or of the growth with depth.

    Args:
        where: the place, in few words.
        verdict: in few words.
        detail: the gap, and what else must be known of it.
        claim: whether the verdict is corrected with the others, so that it can be relied on.
    """

    where: str
    verdict: str
    detail: str = ""
    claim: bool = False


@dataclass(frozen=True)
class Statement:
    """What may be said of one arm against its baseline in one family of places.

    Args:
        arm: name of the arm.
        baseline: name of the baseline.
        parts: of the deepest place, the shallowest one, and the growth with depth.
    """

    arm: str
    baseline: str
    parts: list[Part]


def statements(record: Record) -> dict[str, list[Statement]]:
    """For each family of places the statements on its contrasts."""
    by_family: dict[str, list[Statement]] = {}
    for family, places in families(record.places):
        for arm, baseline in record.declared.baselines.items():
            by_depth = [(place, c) for place, c in contrasts_of(places) if c.arm == arm]
            parts = [part_of(p, c, family) for p, c in (by_depth[-1:] + by_depth[:-1][:1])]
            slopes = [s for s in record.slopes if s.family == family and s.arm == arm]
            parts += [Part("the gap by depth", slope.verdict, claim=True) for slope in slopes]
            if parts:
                by_family.setdefault(family, []).append(Statement(arm, baseline, parts))
    return by_family


def part_of(place: PlaceSummary, contrast: Contrast, family: str) -> Part:
    """What may be said at one place.

    Args:
        place: where the arms meet.
        contrast: of two arms there.
        family: title of the places without the depth.
    """
    where = place.title.removeprefix(family).lstrip(", ") or "overall"
    details = [f"gap {interval(contrast.gap) or 'unknown'}"]
    best = contrast.secondary.get("best_on_validation")
    if best and contrast.gap and abs(best.value - contrast.gap.value) > contrast.delta:
        details.append(f"at the best step on validation {interval(best)}")
    if any(contrast.untrained):
        details.append(f"failed to train: {contrast.failures}")
    return Part(
        where, contrast.verdict, "".join(f", {d}" for d in details), not contrast.exploratory
    )


def sentences(record: Record) -> list[str]:
    """Each part of each statement as a sentence."""
    return [
        f"{family}, {s.arm} against {s.baseline}, {part.where}: {part.verdict}{part.detail}."
        for family, of_family in statements(record).items()
        for s in of_family
        for part in s.parts
    ]


def caveats(record: Record) -> list[str]:
    """Sentences on what every verdict assumes."""
    keys = {key.partition(".")[0] for arm in record.declared.arms.values() for key in arm}
    return [ONE_RECIPE if keys <= {"connection", "long"} else SEVERAL_RECIPES, *CAVEATS]


def news(record: Record) -> str:
    """What the deepest places show so far, in one line."""
    primary = [(p, c) for p, c in contrasts_of(record.places) if not c.exploratory]
    pairs = max((c.pairs for _, c in primary), default=0)
    parts = [f"{p.title}, {c.arm}: {c.verdict}" for p, c in primary]
    return f"after {pairs} {'pair' if pairs == 1 else 'pairs'}: {' | '.join(parts)}"


def on_the_plan(record: Record) -> list[str]:
    """Sentences on what no plan foresaw, and on hypotheses that `pairs=auto` has not decided."""
    left, primary = (
        undecided(record),
        sum(not c.exploratory for _, c in contrasts_of(record.places)),
    )
    pairs, sentences = len(record.declared.pairs), list(record.exploratory)
    if record.declared.test == "auto" and left:
        limit = ", the limit of the plan" if record.plan and pairs >= record.plan.pairs else ""
        sentences.append(
            f"Undecided: {len(left)} of {primary} primary hypotheses after {pairs} pairs{limit}."
        )
    return sentences


def warnings_first(record: Record) -> list[str]:
    """Sentences that a reader must know before the verdicts: few pairs, lost runs, blocked gaps."""
    return [*on_the_plan(record), *warnings_of_pairs(record), *warnings_of_runs(record)]


def warnings_of_pairs(record: Record) -> list[str]:
    """Sentences on a comparison with too few pairs for verdicts, or of an arm with itself."""
    contrasts = [c for _, c in contrasts_of(record.places)]
    counts = [c.pairs for c in contrasts]
    fewest, most = min(counts, default=0), max(counts, default=0)
    enough = max((c.needed for c in contrasts), default=CLAIM)
    pairs = f"{most} {'pair' if most == 1 else 'pairs'}"
    warnings = []
    if most <= DIRECTION:
        warnings.append(f"Direction only: {pairs}. So few runs show which way a difference "
                        f"points, not whether it is real; a verdict needs {enough}.")  # fmt: skip
    elif most < enough:
        warnings.append(f"Intervals, few verdicts: {pairs}; a verdict at the deepest place needs "
                        f"{enough}.")  # fmt: skip
    elif fewest < enough:
        short = sum(c.pairs < c.needed for c in contrasts)
        warnings.append(f"{short} of {len(counts)} gaps have fewer pairs than a verdict needs.")
    if record.declared.null:
        warnings.append("A null comparison: both arms are the same rule under other seeds, so "
                        "every verdict of a difference would be false.")  # fmt: skip
    return warnings


def warnings_of_runs(record: Record) -> list[str]:
    """Sentences on runs that wait, failed or diverged, and on verdicts that are blocked."""
    runs, statuses = len(record.cells), [run.status for run in record.cells]
    verdicts = [c.verdict for _, c in contrasts_of(record.places)]
    warnings = []
    if waiting := statuses.count(WAITING):
        warnings.append(f"{waiting} of {runs} runs have not run yet.")
    if failed := statuses.count("failed"):
        warnings.append(f"{failed} of {runs} runs failed and are missing below.")
    if blocked := sum(verdict.startswith("blocked") for verdict in verdicts):
        warnings.append(f"{blocked} of {len(verdicts)} verdicts are blocked; they say why.")
    if diverged := statuses.count("diverged"):
        warnings.append(f"{diverged} runs diverged. They count as chance.")
    return warnings
