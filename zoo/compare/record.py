"""From results to the record of a comparison: the one source of every report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from zoo.compare import statistics as stats
from zoo.compare.across import Row, families, grouped, growth, overall
from zoo.compare.pairing import SAME, Pairing
from zoo.compare.verdict import Evidence, verdict
from zoo.folder import AT_BEST

MATCHED = 0.02  # relative difference of parameters or FLOPs that is worth a warning


def row_of(result: Row | None, facts: Row, reason: str = "") -> Row:
    """A cell as a flat row.

    Args:
        result: of the run, if it ended.
        facts: `place`, `task`, `depth`, `arm`, `pair`, `id`, `flops` and the like.
        reason: why it failed.
    """
    if result is None:
        return {**facts, "status": "failed", "reason": reason}
    name = result["primary"]["name"]
    chance = result["chance"].get(name)
    diverged = result["status"] == "diverged"
    value = chance if diverged else result["primary"]["value"]
    metrics = result["metrics"]
    train = metrics.get(name.replace("test/", "train/", 1))
    kept = ("parameters", "steps", "seconds", "seconds_per_step", "peak_memory_bytes")
    return {
        **facts,
        "status": result["status"],
        "metric": name,
        "higher_is_better": result["primary"]["higher_is_better"],
        "value": value,
        "train": None if diverged else train,
        "best": chance if diverged else metrics.get(f"{name}{AT_BEST}"),
        "chance": chance,
        "examples": result["examples"]["test"],
        **{key: result[key] for key in (*kept, *SAME)},
    }


def contrast(rows: Sequence[Row], arm: str, baseline: str, paired: bool, delta: float) -> Row:
    """One arm against its baseline at one place.

    Args:
        rows: of both arms at this place.
        arm: its name.
        baseline: the other one's.
        paired: whether arms of one pair must have started equal.
        delta: the smallest difference that matters.
    """
    pairing = Pairing.of(rows, arm, baseline)
    found = pairing.differences()
    diverged = pairing.diverged()
    unequal = pairing.unequal() if paired else ""
    launched = len(pairing.ours)
    evidence = Evidence(list(found.values()), launched, sum(map(len, diverged)), unequal, delta)
    return {
        "arm": arm,
        "baseline": baseline,
        "evidence": evidence,
        **evidence.numbers(),
        "seeds": list(found),
        "secondary": pairing.secondary(),
        "diverged": [len(x) for x in diverged],
        "mcnemar_p": stats.mcnemar_p(
            len(diverged[0] - diverged[1]), len(diverged[1] - diverged[0])
        ),
    }


def summary(rows: Sequence[Row]) -> Row:
    """All runs of one arm at one place."""
    values = [row["value"] for row in rows if row.get("value") is not None]
    ended = [row for row in rows if row["status"] != "failed"]
    train = [row["train"] for row in ended if row["train"] is not None]
    diverged = sum(row["status"] == "diverged" for row in rows)
    found: Row = {
        "arm": rows[0]["arm"],
        "launched": len(rows),
        "done": len(ended) - diverged,
        "diverged": diverged,
        "failed": len(rows) - len(ended),
        "divergence": asdict(stats.binomial_interval(diverged, len(ended))) if ended else None,
        "mean": float(np.mean(values)) if values else None,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "train": float(np.mean(train)) if train else None,
        "flops": rows[0].get("flops"),
    }
    found["examples"] = next((row["examples"] for row in ended), None)
    for key in ("parameters", "seconds", "seconds_per_step", "peak_memory_bytes"):
        given = [row[key] for row in ended if row[key] is not None]
        found[key] = float(np.mean(given)) if given else None
    return found


def unmatched(first: Row, second: Row) -> list[str]:
    """Warnings where two arms differ in parameters or FLOPs by more than 2 %."""
    found = []
    for key, name in (("parameters", "parameters"), ("flops", "FLOPs a step")):
        a, b = first[key], second[key]
        if a and b and abs(a - b) > MATCHED * b:
            ratio = f"{a / b:.3f} times the {name} of {second['arm']}"
            found.append(f"{first['arm']} has {ratio}")
    return found


def same_runs(rows: Sequence[Row], arm: str, baseline: str) -> list[str]:
    """A warning where nothing that is set apart applies here, so that two arms are one."""
    ids = [{row["id"] for row in rows if row["arm"] == name} for name in (arm, baseline)]
    return [f"{arm} and {baseline} are the same runs"] if ids[0] & ids[1] else []


def analyse(
    rows: Sequence[Row],
    baselines: dict[str, str],
    effects: dict[str, float],
    references: dict[str, float],
    paired: bool,
) -> Row:
    """Places with their arms and contrasts, slopes over depth, and the mean over tasks.

    Holm's correction is over the deepest place of every family; shallower ones are exploratory.

    Args:
        rows: of all cells, in order.
        baselines: for each other arm the one that it is compared with.
        effects: for each task the smallest difference that matters.
        references: for each task the value that counts as 1.
        paired: whether arms of one pair must have started equal.
    """
    places = []
    for title, group in grouped(rows, "place"):
        arms = [summary(own) for _, own in grouped(group, "arm")]
        delta = effects.get(group[0]["task"], 0.0)
        by_name = {arm["arm"]: arm for arm in arms}
        here = [(a, b) for a, b in baselines.items() if a in by_name and b in by_name]
        contrasts = [contrast(group, a, b, paired, delta) for a, b in here]
        warnings = [w for a, b in here for w in unmatched(by_name[a], by_name[b])]
        warnings += [w for a, b in here for w in same_runs(group, a, b)]
        kept = ("task", "family", "depth", "settings")
        known = next((row for row in group if "metric" in row), {})
        about = {key: known.get(key) for key in ("metric", "higher_is_better", "chance")}
        places.append(
            {
                "title": title,
                **{key: group[0][key] for key in kept},
                **about,
                "arms": arms,
                "contrasts": contrasts,
                "warnings": warnings,
            }
        )
    primary = [c for _, own in families({"places": places}) for c in own[-1]["contrasts"]]
    adjusted = dict(zip(map(id, primary), stats.holm([c["p"] for c in primary]), strict=True))
    for found in (c for place in places for c in place["contrasts"]):
        found["exploratory"] = id(found) not in adjusted
        p = found["holm_p"] = adjusted.get(id(found), found["p"])
        found["verdict"] = verdict(found.pop("evidence"), found["arm"], found["baseline"], p)
    return {
        "places": places,
        "slopes": growth(places, baselines),
        "overall": overall(rows, baselines, references),
    }
