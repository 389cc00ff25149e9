"""Graphs of a few nodes as files, and the convolutions that read them."""

import gzip

import numpy as np

CONVS = ["gcn", "sage", "gatv2", "gin", "gen", "gcn2"]


def write_geom_gcn(raw, nodes=20):
    """Raw files in the layout of the WebKB and Actor sources."""
    raw.mkdir(parents=True)
    head = "node_id\tfeature\tlabel\n"
    if raw.parent.name == "actor":
        lines = [f"{n}\t{n % 7},{931}\t{n % 5}\n" for n in range(nodes)]
    else:
        lines = [f"{n}\t{n % 2},{n % 3},1\t{n % 5}\n" for n in range(nodes)]
    (raw / "out1_node_feature_label.txt").write_text(head + "".join(lines))
    edges = "".join(f"{n}\t{(n + 1) % nodes}\n" for n in range(nodes))
    (raw / "out1_graph_edges.txt").write_text("source\ttarget\n" + edges)
    part = np.arange(nodes) % 3
    return {f"{name}_mask": part == i for i, name in enumerate(("train", "val", "test"))}


def npz(path, **changes):
    """A good graph of 12 nodes, with some arrays changed."""
    generator = np.random.default_rng(0)
    nodes = np.arange(12)
    ring = np.stack([nodes, np.roll(nodes, 1)])
    arrays = {
        "x": generator.normal(size=(12, 3)).astype(np.float32),
        "edge_index": np.concatenate([ring, ring[::-1]], 1),
        "y": nodes % 2,
        "train": nodes < 4,
        "val": np.array([4, 5, 6, 7]),
        "test": nodes >= 8,
    }
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def write_ogbn(folder, nodes=40, split="time", seed=0, **changes):
    """Raw files in the layout of the Open Graph Benchmark; `raw/edge` and others may be changed."""
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(nodes)
    tables = {
        "raw/edge": rng.integers(nodes, size=(3 * nodes, 2)),
        "raw/node-feat": rng.normal(size=(nodes, 5)).round(6),
        "raw/node-label": np.arange(nodes)[:, None] % 4,
        f"split/{split}/train": numbers[: nodes // 2, None],
        f"split/{split}/valid": numbers[nodes // 2 : -nodes // 4, None],
        f"split/{split}/test": numbers[-nodes // 4 :, None],
    }
    for name, table in (tables | changes).items():
        path = folder / f"{name}.csv.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(",".join(map(str, row)) + "\n" for row in np.asarray(table).tolist())
        path.write_bytes(gzip.compress(text.encode()))
    return tables | changes
