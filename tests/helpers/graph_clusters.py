"""How many links lie inside the clusters of a graph: random ones, ours and those of METIS.

As a program: python tests/helpers/graph_clusters.py

METIS comes from `pip install pymetis`; without it its columns are left out.
"""

import importlib.util
import time

import numpy as np
import torch
from graph_parts import NODES, links

from tasks.data.graphs.ogbn import both_ways
from tasks.gnn.clusters import clusters_of, neighbours

SIDE = 400  # of the grid


def grid():
    """The links `[2, E]` of a square grid, both ways."""
    node = np.arange(SIDE**2).reshape(SIDE, SIDE)
    right = np.stack([node[:, :-1], node[:, 1:]], -1).reshape(-1, 2)
    down = np.stack([node[:-1], node[1:]], -1).reshape(-1, 2)
    return both_ways(np.concatenate([right, down]), SIDE**2)


def by_metis(edges, nodes, clusters):
    """The cluster `[N]` of each node by METIS with its default options."""
    import pymetis

    matrix = neighbours(edges, nodes)
    adjacency = pymetis.CSRAdjacency(matrix.indptr, matrix.indices)
    return torch.tensor(pymetis.part_graph(clusters, adjacency)[1])


def at_random(edges, nodes, clusters):
    """The cluster `[N]` of each node, drawn."""
    return torch.randint(clusters, (nodes,), generator=torch.Generator().manual_seed(0))


def main():
    """Prints a row for each graph and number of clusters."""
    ways = {"random": at_random, "ours": clusters_of}
    if importlib.util.find_spec("pymetis"):
        ways["METIS"] = by_metis
    graphs = {"generated": (both_ways(links()[0].T, NODES), NODES), "grid": (grid(), SIDE**2)}
    for name, (edges, nodes) in graphs.items():
        for clusters in 32, 128:
            cells = []
            for way, divide in ways.items():
                began = time.process_time()
                cluster = divide(edges, nodes, clusters)
                seconds = time.process_time() - began
                inside = (cluster[edges[0]] == cluster[edges[1]]).double().mean()
                sizes = cluster.bincount(minlength=clusters)
                ends = f"{sizes.min():,} to {sizes.max():,} nodes"
                cells.append(f"{way} {inside:.3f} ({ends}, {seconds:.1f} s of CPU)")
            print(f"{name}, {clusters} clusters: {'; '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
