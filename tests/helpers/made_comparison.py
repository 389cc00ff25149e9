"""Folders of comparisons with invented results, for tests of reports."""

import json
import math
import random

from zoo.run_folder import SCHEMA
from zoo.system.atomic import atomic_write


def made(folder, arms, places, pairs=3, rules=(), status=lambda cell: "done", recipe="", **changes):
    """A comparison, all of whose runs have ended, as it stands before its first report.

    Args:
        folder: where.
        arms: their names; the first one is the baseline.
        places: task, depth or None, of each.
        pairs: how many.
        rules: connections of the arms.
        status: of a cell; "failed" ones have no result.
        recipe: of all runs beside arm and depth.
        changes: of what the record says.
    """
    draws = random.Random(0)
    rules = dict(zip(arms, rules, strict=False))
    cells = []
    for task, depth in places:
        title = task if depth is None else f"{task}, depth {depth}"
        for pair in range(pairs):
            for number, arm in enumerate(arms):
                cell = {
                    "place": title, "task": task, "family": task, "depth": depth,
                    "settings": {} if depth is None else {"model.depth": depth}, "arm": arm,
                    "pair": pair, "seed": pair, "id": f"{len(cells):020x}", "flops": 1e6,
                    "recipe": f"{task} {arm} {recipe}",
                    "command": f"python -m zoo fit task={task} seed={pair}",
                }  # fmt: skip
                how = status(cell)
                lost = {"status": "failed", "reason": "the worker was killed"}
                cells.append(cell | (lost if how == "failed" else {"status": "waiting"}))
                if how != "failed":
                    value = 0.5 + 0.05 * number * math.log2(2 + (depth or 0)) / 4
                    value += draws.gauss(0, 0.01)
                    ended(folder / "cells" / cell["id"], cell, how, value, rules.get(arm, "plain"))
    record = {
        "schema": SCHEMA,
        "name": "made",
        "command": "python -m zoo compare",
        "declared": {
            "arms": {arm: {"connection": rules.get(arm, "plain")} for arm in arms},
            "baselines": dict.fromkeys(arms[1:], arms[0]),
            "places": list(dict.fromkeys(cell["place"] for cell in cells)),
            "pairs": list(range(pairs)),
            "effects": {task: 0.02 for task, _ in places},
            "references": {task: 1.0 for task, _ in places},
            "published": {},
            "null": False,
        },
        "cells": cells,
        **changes,
    }
    folder.mkdir(exist_ok=True)
    atomic_write(folder / "compare.json", json.dumps(record))
    return folder


def ended(folder, cell, status, value, rule):
    """A run folder."""
    folder.mkdir(parents=True)
    result = {
        "schema": SCHEMA, "status": status,
        "metrics": {"train/accuracy": value + 0.05, "val/accuracy": value,
                    "test/accuracy_at_best_val": value + 0.01},
        "examples": {"train": 800, "val": 100, "test": 400},
        "chance": {"test/accuracy": 0.1},
        "primary": {"name": "test/accuracy", "value": value, "higher_is_better": True},
        "parameters": 1000, "steps": 50, "seconds": 2.0, "seconds_per_step": 0.04,
        "peak_memory_bytes": 2**28, "data_digest": "d" * 64,
        "branch_digest": f"{cell['place']} {cell['pair']}", "start_digest": f"{cell['pair']}",
        "order_digest": f"{cell['pair']}",
        "versions": {"torch": "2"}, "machine": {"cpu": "<b>a CPU</b>", "cores": 2},
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(result))
    steps = range(0, 50 if status == "done" else 20, 5)
    rows = [{"step": s, "train/loss": math.exp(-s / 20), "val/accuracy": value} for s in steps]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = f"choices:\n  connection: {rule}\nconnection: {{}}\n"
    (folder / "config.yaml").write_text(config)
