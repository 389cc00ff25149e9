"""What a training step on parts of a graph costs, on a generated graph of ogbn-arxiv's size.

As a program: python tests/helpers/graph_parts.py FOLDER STEPS OPTIONS

FOLDER gets the graph, in the layout of the Open Graph Benchmark, unless it is there already.
"""

import gzip
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch

NODES, LINKS, CLASSES, GROUPS, FEATURES = 169_343, 1_166_243, 40, 1_500, 128
ENDS = [90_941, 120_740]  # of the training part and of the validation part


def links():
    """Links `[2, E]` with communities and heavy tails, and the class `[N]` of each node."""
    rng = np.random.default_rng(0)
    group = rng.zipf(1.6, size=NODES) % GROUPS
    weight = rng.pareto(1.7, size=NODES) + 0.2
    source = rng.integers(NODES, size=LINKS)
    order = np.argsort(group, kind="stable")
    first = np.searchsorted(group[order], np.arange(GROUPS + 1))
    sums = np.cumsum(weight[order])
    below = np.where(first > 0, sums[first - 1], 0.0)
    inside, of = rng.random(LINKS) < 0.6, group[source]
    low = np.where(inside, below[of], 0.0)
    high = np.where(inside, sums[first[of + 1] - 1], sums[-1])
    place = np.searchsorted(sums, low + (high - low) * rng.random(LINKS))
    target = order[np.minimum(place, NODES - 1)]
    kept = source != target
    return np.stack([source[kept], target[kept]]), group * 7 % CLASSES


def write_graph(folder):
    """The raw files of the graph in a folder, unless they are there."""
    if (folder / "split").is_dir():
        return
    edges, y = links()
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(CLASSES, FEATURES))
    x = 0.35 * centres[y] + rng.normal(size=(NODES, FEATURES))
    numbers = np.arange(NODES)[:, None]
    tables = {"raw/edge": (edges.T, "%d"), "raw/node-feat": (x.astype(np.float32), "%.6f")}
    tables["raw/node-label"] = y[:, None], "%d"
    for name, part in zip(("train", "valid", "test"), np.split(numbers, ENDS), strict=True):
        tables[f"split/time/{name}"] = part, "%d"
    for name, (table, form) in tables.items():
        path = folder / f"{name}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt", compresslevel=1) as file:
            np.savetxt(file, table, fmt=form, delimiter=",")


def memory(key):
    """GB of this process: `VmRSS` now, `VmHWM` at most since they were last forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{key}:")[2].split()[0]) * 1024 / 1e9


def cost(folder, steps, words):
    """A line on the mean of some steps, and on an evaluation of the validation part."""
    from tasks.training.build import build_task
    from zoo.config.compose import load
    from zoo.seeding import redraw

    usual = [f"data.path={folder}", "model.width=64", "connection=residual", "norm=pre"]
    task = build_task(load(["task=gnn", "data=ogbn", *usual, *words])[0])
    redraw(task.model, 0)
    task.setup("fit")
    task.train()
    optimizer = torch.optim.Adam(task.model.parameters(), 1e-3)
    per_pass, batches = task.batches_per_pass(), iter(task.train_loader())
    before, seconds, nodes = memory("VmRSS"), 0.0, 0
    Path("/proc/self/clear_refs").write_text("5")
    for batch in itertools.islice(batches, steps):
        nodes += len(task.parts.part(*batch).nodes) if task.parts else NODES
        began = time.process_time()
        task.loss(batch).backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds += time.process_time() - began
    step, beside = seconds / steps, memory("VmHWM") - before
    began = time.process_time()
    with torch.no_grad():
        task.eval().eval_sums(task.nodes("val"))
    looked = time.process_time() - began
    return (
        f"{nodes // steps:,} nodes a step, {per_pass} steps an epoch, {step:.2f} s of CPU a step, "
        f"{step * per_pass:.1f} s an epoch, {beside:.2f} GB beside the data; "
        f"{looked:.1f} s of CPU an evaluation"
    )


if __name__ == "__main__":
    write_graph(Path(sys.argv[1]))
    print(cost(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
