"""The parts of a graph that the steps of a run see, from its options."""

from __future__ import annotations

import inspect
import logging
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from tasks.data.graphs.dataset import Graph
from tasks.gnn.parts import Clusters, Neighbors, Parts
from zoo.errors import ConfigError

log = logging.getLogger("zoo")
Sampling = Literal["none", "clusters", "neighbors"]
Most = Annotated[int, Ge(-1), Le(1_000_000)]  # neighbours of a node; -1: all
SEEDS = 1024  # training nodes of a step, by default


def clusters_for(data: Graph, clusters: int, size: int | None, seed: int) -> Parts:
    """The parts that are made of clusters; it logs how many edges these keep.

    Args:
        data: the graph.
        clusters: their number.
        size: clusters of a step; None: 1.
        seed: of their order.

    Errors:
        ConfigError: more clusters than nodes, or than have training nodes in a step.
    """
    from tasks.gnn.prepared_clusters import prepared_clusters

    nodes, (source, target) = len(data.y), data.edge_index
    if clusters > nodes:
        what = f"{clusters:,} clusters of {nodes:,} nodes"
        raise ConfigError(what, "task.clusters", f"give {nodes} or less")
    cluster = prepared_clusters(data.edge_index, nodes, clusters)
    inside = int((cluster[source] == cluster[target]).sum())
    sizes = cluster.bincount(minlength=clusters)
    kept, ends = inside / max(1, len(source)), f"{sizes.min():,} to {sizes.max():,}"
    log.info("%s", f"{clusters} clusters of {ends} nodes have {kept:.0%} of the edges inside")
    return Clusters(data, cluster, size or 1, seed)


def neighbors_for(
    data: Graph, model: Any, neighbors: Most | list[Most], size: int | None, seed: int
) -> Parts:
    """The parts that are made of training nodes and drawn neighbours; it warns where they are most.

    Args:
        data: the graph.
        model: whose convolutions the neighbours are for.
        neighbors: of a node, at most, at every distance from a training node or at each.
        size: training nodes of a step; None: 1024, or all where there are fewer.
        seed: of order and draws.

    Errors:
        ConfigError: another number of distances than convolutions; a sum over drawn neighbours;
            more training nodes in a step than there are; a model that knows no drawn edges.
    """
    refuse_unaware(model)
    hops = neighbors if isinstance(neighbors, list) else [neighbors] * model.depth
    where = "task.neighbors"
    if len(hops) != model.depth:
        what = f"{len(hops)} numbers of neighbours for {model.depth} convolutions"
        raise ConfigError(what, where, "give one for each, or one for all")
    if max(hops) >= 0 and getattr(model, "kind", "") == "gin":
        what = "gin sums over its neighbours, and a sum over some of them is smaller"
        raise ConfigError(what, where, "give task.neighbors=-1, or task.sampling=clusters")
    size, nodes = size or min(SEEDS, len(data.train)), len(data.y)
    parts = Neighbors(data, hops, size, seed, loops=not getattr(model, "adds_loops", False))
    seen = len(parts.part(*next(iter(parts.batches(0)))).nodes)
    if seen > nodes / 2:
        what = f"a step of {size:,} training nodes sees {seen:,} of {nodes:,} nodes"
        log.warning("%s", f"{what}; task.sampling=clusters costs a deep net less")
    return parts


def refuse_unaware(model: Any) -> None:
    """ConfigError for a model that does not tell its convolutions, or takes no drawn edges."""
    lacking = [] if hasattr(model, "depth") else ["depth, the number of its convolutions"]
    try:
        inspect.signature(model.prepare).bind("edge_index", "nodes", "drawn")
    except TypeError:
        lacking.append("prepare(edge_index, nodes, drawn)")
    if lacking:
        what = f"the model {type(model).__name__} has no {' and no '.join(lacking)}"
        fix = "add it as zoo.models.gnn.GNN has it, or give task.sampling=clusters"
        raise ConfigError(what, "task.sampling=neighbors", fix)
