"""Random graphs with two communities: no download."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le

from tasks.data.graphs.dataset import Graph
from zoo.config.sizes import Count, Width
from zoo.seeding import generator
from zoo.system.machine_memory import refuse_beyond_memory


class CSBM:
    """Contextual stochastic block model: two classes, weak features, telling edges.

    Equation: P(edge) = (d +- s sqrt(d)) / N within (+) and between (-) classes;
        x_i = +-m u + noise, |u| = 1
    Source: Deshpande et al. 2018, arXiv:1807.09596, section 2.

    Args:
        nodes: N, their number.
        features: F, numbers of each node.
        degree: d, mean number of neighbours.
        signal: s, the paper's lambda.
        mean: m, distance of a class centre from the origin in units of the noise.
        train: number of training nodes.
        val: number of validation nodes; the rest is for the test.
        seed: of the graph.
    """

    redrawn: ClassVar[str] = "anew"

    def __init__(
        self,
        nodes: Annotated[int, Ge(10), Le(1_000_000)] = 1000,
        features: Width = 64,
        degree: Annotated[float, Gt(0)] = 8.0,
        signal: Annotated[float, Ge(0)] = 2.4,
        mean: Annotated[float, Ge(0)] = 0.5,
        train: Count = 100,
        val: Count = 300,
        seed: Annotated[int, Ge(0)] = 0,
    ):
        if train + val >= nodes:
            raise ValueError(f"train={train} and val={val} leave no test nodes of {nodes}")
        if signal > degree**0.5:
            raise ValueError(f"signal={signal} is above the square root of degree={degree}")
        self.nodes, self.features, self.degree = nodes, features, degree
        self.signal, self.mean, self.train, self.val, self.seed = signal, mean, train, val, seed

    def load(self) -> Graph:
        """Draws the graph and its parts."""
        pairs, entries = self.nodes**2, self.nodes * self.features
        refuse_beyond_memory(9 * pairs + 8 * entries, f"a graph of {self.nodes:,} nodes", "data")
        draws = generator(self.seed, "csbm")
        y = torch.arange(self.nodes) % 2
        sign = 2.0 * y - 1
        spread = self.signal * self.degree**0.5
        chance = (self.degree + spread * sign[:, None] * sign) / self.nodes
        drawn = torch.rand(self.nodes, self.nodes, generator=draws) < chance
        upper = drawn.triu(1)
        edge_index = (upper | upper.T).nonzero().T.contiguous()
        axis = torch.randn(self.features, generator=draws)
        noise = torch.randn(self.nodes, self.features, generator=draws)
        x = self.mean * sign[:, None] * axis / axis.norm() + noise
        order = torch.randperm(self.nodes, generator=draws)
        train, val, test = order.tensor_split([self.train, self.train + self.val])
        where = f"csbm seed {self.seed}"
        return Graph(x, edge_index, y, train, val, test, where).checked()
