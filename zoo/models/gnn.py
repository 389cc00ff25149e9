"""Deep graph networks for node classification: PyG convolutions as branches of one stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch_geometric import nn as pyg
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import add_self_loops, remove_self_loops

from zoo.config.options import Needs
from zoo.config.sizes import Depth, Every, Few, Width
from zoo.connection import Connect, Site
from zoo.models.layers.graph import (
    GCN,
    NODE_NORMS,
    SAGE,
    Drawn,
    FeatureLinear,
    GATv2,
    IdentityMapping,
    InputDropout,
    Propagation,
    drawn_norm,
    gen,
    gin,
)
from zoo.models.layers.sparse import Sparse
from zoo.norm import PLACED, Placement
from zoo.stack import Stack

Edges = tuple[Any, ...]  # side inputs of a kind of convolution


class GNN(nn.Module):
    r"""A stem, a stack of graph convolutions on one stream, and a head.

    GCN (Kipf and Welling 2017) is conv=gcn, stem=conv, head=conv with the connection `plain`.
    GCNII (Chen et al. 2020) is conv=gcn2 with the connection `initial`.

    Shapes: features `[N, F]` (dense or `Sparse`) to logits `[N, classes]`.

    Args:
        features: F.
        classes: number of classes.
        connect: the rule of every site.
        norm_placement: where norms sit.
        depth: convolutions, those of stem and head included.
        width: channels of the stream.
        conv: kind of convolution: `gcn`, `sage`, `gatv2`, `gin`, `gen`, or `gcn2` (GCNII).
        stem: how features enter: by a `linear` map or a `conv`.
        head: how the stream leaves.
        norm: kind of the norms that the placement puts.
        dropout: before stem, every branch and head.
        heads: of gatv2; they divide the width.
        theta: of gcn2, strength of the identity mapping.
        jump: what the head reads: the last value (`none`) or all of them (JumpingKnowledge,
            Xu et al. 2018, arXiv:1806.03536).
        checkpoint: recompute the activations of every branch, or every k-th, in the backward pass.

    Errors:
        ValueError: heads do not divide the width; fewer convolutions than stem and head use;
            gcn2 as stem or head; jump without a branch.
    """

    counts_with: ClassVar[Needs] = {
        "heads": (("model.conv", ("gatv2",)),),
        "theta": (("model.conv", ("gcn2",)),),
        "norm": (PLACED,),
    }

    def __init__(
        self,
        features: int,
        classes: int,
        connect: Connect,
        norm_placement: Placement,
        depth: Depth = 16,
        width: Width = 64,
        conv: Literal["gcn", "sage", "gatv2", "gin", "gen", "gcn2"] = "gcn",
        stem: Literal["linear", "conv"] = "linear",
        head: Literal["linear", "conv"] = "linear",
        norm: Literal["batch", "layer", "rms", "graph", "pair"] = "layer",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.5,
        heads: Few = 8,
        theta: Annotated[float, Gt(0)] = 0.5,
        jump: Literal["none", "cat", "max", "lstm"] = "none",
        checkpoint: Every = False,
    ):
        super().__init__()
        self.kind = conv
        self.depth = depth
        self.width = width
        self.heads = heads
        length = depth - (stem == "conv") - (head == "conv")
        if length < 0:
            raise ValueError(f"depth={depth} is less than the convolutions of stem and head")
        if conv == "gcn2" and "conv" in (stem, head):
            raise ValueError("conv=gcn2 keeps the width, so stem and head must be linear")
        if conv == "gatv2" and width % heads:
            near = heads * max(1, round(width / heads))
            raise ValueError(f"heads={heads} does not divide width={width}; width={near} is near")
        if jump != "none" and not length:
            raise ValueError(f"jump={jump} needs a convolution between stem and head")

        def make_norm(width: int = width) -> nn.Module:
            return NODE_NORMS[norm](width)

        bias = not (norm_placement.closes and norm == "batch")  # which takes it out again

        def branch() -> nn.Module:
            core = InputDropout(self.convolution(width, width, bias), dropout)
            return norm_placement.branch(core, make_norm, self.activation)

        enter = FeatureLinear if stem == "linear" else self.convolution
        self.stem = InputDropout(enter(features, width), dropout)
        self.body = Stack(
            [branch() for _ in range(length)],
            [connect(site) for site in Site.line(width, length)],
            posts=[
                self.after(layer, theta, norm_placement.post(make_norm))
                for layer in range(1, length + 1)
            ],
            checkpoint=checkpoint,
        )
        self.jump = None if jump == "none" else pyg.JumpingKnowledge(jump, width, length)
        wide = width * length if jump == "cat" else width
        self.close = norm_placement.close(lambda: make_norm(wide), nn.ReLU)
        if head == "linear":
            logits: nn.Module = FeatureLinear(wide, classes)
        else:
            logits = self.convolution(wide, classes, last=True)
        self.head = InputDropout(logits, dropout)

    def convolution(self, width: int, out: int, bias: bool = True, last: bool = False) -> nn.Module:
        """A fresh convolution of the model's kind; as the `last` one it averages its heads."""
        if self.kind == "gatv2":
            channels = out if last else out // self.heads
            made = GATv2(width, channels, self.heads, concat=not last, add_self_loops=False)
            if not bias:
                made.register_parameter("bias", None)  # the attention keeps those of its maps
            return made
        if self.kind == "gen":
            return gen(width, out)  # which has no bias
        kinds: dict[str, Callable[[int, int, bool], nn.Module]] = {
            "gcn": lambda width, out, bias: GCN(width, out, normalize=False, bias=bias),
            "gcn2": lambda width, out, bias: Propagation(),
            "sage": lambda width, out, bias: SAGE(width, out, bias=bias),
            "gin": gin,
        }
        return kinds[self.kind](width, out, bias)

    def activation(self) -> nn.Module:
        """The activation beside a branch; GCNII's comes after the write."""
        return nn.Identity() if self.kind == "gcn2" else nn.ReLU()

    def after(self, layer: int, theta: float, norm: nn.Module | None) -> nn.Module | None:
        """The function of the stream after write `layer`: GCNII's map, a norm, both or none."""
        if self.kind != "gcn2":
            return norm
        mapping = IdentityMapping(self.width, layer, theta)
        return mapping if norm is None else nn.Sequential(mapping, norm)

    @property
    def takes_sparse(self) -> bool:
        """Whether the stem can read sparse features."""
        return isinstance(self.stem.core, (FeatureLinear, GCN))

    @property
    def adds_loops(self) -> bool:
        """Whether every node is among its own neighbours, once, whatever loops a graph has."""
        return self.kind in ("gcn", "gcn2", "gatv2")

    def prepare(self, edge_index: Tensor, nodes: int, drawn: Drawn | None = None) -> Edges:
        """The side inputs of the convolutions, computed once for one set of edges.

        Args:
            edge_index: `[2, E]`, from source to target.
            nodes: N.
            drawn: what edges stand for that are drawn from more; None: they are all.
        """
        if self.kind in ("gcn", "gcn2"):
            norm = drawn_norm(edge_index, *drawn) if drawn else gcn_norm(edge_index, None, nodes)
            index, weight = norm
            return (Sparse.of(index.flip(0), weight, (nodes, nodes)),)
        if self.kind == "gatv2":
            edge_index, _ = remove_self_loops(edge_index)
            edge_index, _ = add_self_loops(edge_index, num_nodes=nodes)
        return (edge_index,)

    def forward(self, x: Tensor | Sparse, *edges: Any) -> Tensor:
        h = self.stem(x, *edges).relu()
        if self.jump is None:
            h = self.body(h, *edges)
        else:
            h = self.jump(self.body.values(h, *edges)[1:])
        return self.head(self.close(h), *edges)
