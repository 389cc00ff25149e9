"""From results to the record of a comparison: the one source of every report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from zoo.compare.analysis import statistics as stats
from zoo.compare.analysis.aggregate import Row, families, grouped, growth, overall
from zoo.compare.analysis.matched import unmatched
from zoo.compare.analysis.pairing import SAME, STARTS, Pairing
from zoo.compare.analysis.verdict import Evidence, needed, verdict
from zoo.run_folder import AT_BEST, ENDED

WAITING = "waiting"  # status of a cell that has not run yet


def row_of(result: Row | None, facts: Row, reason: str = "", status: str = "failed") -> Row:
    """A cell as a flat row.

    Args:
        result: of the run, if it ended.
        facts: `place`, `task`, `depth`, `arm`, `pair`, `id`, `flops` and the like.
        reason: why it failed.
        status: of a cell without a result, `failed` or `waiting`.
    """
    if result is None:
        return {**facts, "status": status, "reason": reason}
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
        "reason": result.get("reason", ""),
        "events": (events := result.get("events", [])),
        "spikes": sum(event["kind"] == "spike" for event in events),
        "lost_steps": result.get("lost_steps", 0),
        **{key: result[key] for key in kept},
        **{key: result.get(key) for key in SAME},
    }


def contrast(
    rows: Sequence[Row], arm: str, baseline: str, paired: Sequence[str], delta: float
) -> Row:
    """One arm against its baseline at one place.

    Args:
        rows: of both arms at this place.
        arm: its name.
        baseline: the other one's.
        paired: keys of the digests that must be equal in a pair.
        delta: the smallest difference that matters.
    """
    pairing = Pairing.of(rows, arm, baseline)
    found = pairing.differences()
    diverged = pairing.diverged()
    unequal = pairing.unequal(paired)
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
    ended = [row for row in rows if row["status"] in ENDED]
    waiting = sum(row["status"] == WAITING for row in rows)
    train = [row["train"] for row in ended if row["train"] is not None]
    diverged = sum(row["status"] == "diverged" for row in rows)
    found: Row = {
        "arm": rows[0]["arm"],
        "launched": len(rows) - waiting,
        "waiting": waiting,
        "done": len(ended) - diverged,
        "diverged": diverged,
        "failed": len(rows) - waiting - len(ended),
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


def digests(declared: Row, arm: str, baseline: str) -> tuple[str, ...]:
    """The digests that must be equal in a pair: of branches where only the connection differs."""
    if declared["null"]:
        return ()
    ours, theirs = (declared["arms"].get(name, {}) for name in (arm, baseline))
    apart = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    only = all(key.partition(".")[0] in ("connection", "long") for key in apart)
    return tuple(key for key in SAME if only or key not in STARTS)


def analyse(rows: Sequence[Row], declared: Row) -> Row:
    """Places with their arms and contrasts, slopes over depth, and the mean over tasks.

    Holm's correction is over the deepest place of every family; shallower ones are exploratory.

    Args:
        rows: of all cells, in order.
        declared: of the comparison: `arms`, `baselines`, `effects`, `references`, `null`.
    """
    places = []
    baselines = declared["baselines"]
    for title, group in grouped(rows, "place"):
        arms = {name: summary(own) for name, own in grouped(group, "arm")}
        delta = declared["effects"].get(group[0]["task"], 0.0)
        here = [(a, b) for a, b in baselines.items() if a in arms and b in arms]
        contrasts = [contrast(group, a, b, digests(declared, a, b), delta) for a, b in here]
        kept = ("task", "family", "depth", "settings")
        known = next((row for row in group if "metric" in row), {})
        about = {key: known.get(key) for key in ("metric", "higher_is_better", "chance")}
        places.append(
            {
                "title": title,
                **{key: group[0][key] for key in kept},
                **about,
                "arms": list(arms.values()),
                "contrasts": contrasts,
                "warnings": []
                if declared["null"]  # one rule, whose seeds are meant to differ
                else [w for a, b in here for w in unmatched(group, arms[a], arms[b])],
            }
        )
    primary = [c for _, own in families({"places": places}) for c in own[-1]["contrasts"]]
    adjusted = dict(zip(map(id, primary), stats.holm([c["p"] for c in primary]), strict=True))
    for found in (c for place in places for c in place["contrasts"]):
        found["exploratory"] = id(found) not in adjusted
        p = found["holm_p"] = adjusted.get(id(found), found["p"])
        of = 1 if found["exploratory"] else len(primary)
        words = verdict(found.pop("evidence"), found["arm"], found["baseline"], p, of)
        claims = found["exploratory"] and found["pairs"] >= needed(1)
        found["verdict"] = f"{words} (exploratory)" if claims else words
        found["needed"] = needed(of)
    return {
        "places": places,
        "slopes": growth(places, baselines),
        "overall": overall(rows, baselines, declared["references"]),
    }
