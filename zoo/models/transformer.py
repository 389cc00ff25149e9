"""Decoder-only transformers: attention and feed-forward as branches of one stream."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt
from torch import Tensor, nn

from zoo.config.options import Needs
from zoo.config.sizes import Context, Depth, Every, Few, Width
from zoo.connection import Connect, Site
from zoo.models.layers.attention import (
    Attention,
    Cache,
    Embedding,
    FeedForward,
    Kind,
    Linear,
    rotation,
)
from zoo.models.layers.dropout import dropout as dropped
from zoo.norm import PLACED, Placement
from zoo.stack import Stack


class TokenEmbedding(nn.Module):
    """The stem: a vector for each token, and one for each position where these are learned.

    Shapes: tokens `[B, T]` to `[B, T, C]`.
    """

    def __init__(self, vocabulary: int, width: int, positions: int, dropout: float):
        super().__init__()
        self.token = Embedding(vocabulary, width)
        self.position = Embedding(positions, width) if positions else None
        self.dropout = dropout

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        x = self.token(tokens)
        if self.position is not None:
            x = x + self.position.weight[start : start + tokens.shape[1]]
        return dropped(x, self.dropout, self.training)


class TiedHead(nn.Module):
    """A head whose rows are the vectors of the tokens; they are drawn where they stand."""

    def __init__(self, token: Embedding):
        super().__init__()
        self.weight = token.weight

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight)


class Transformer(nn.Module):
    r"""GPT (Radford et al. 2019) under any connection; every block writes twice.

    norm=pre is GPT-2 and LLaMA, norm=post the original (Vaswani et al. 2017, arXiv:1706.03762).

    Shapes: tokens `[B, T]` to logits `[B, T, vocabulary]`, T at most the context.

    Args:
        vocabulary: number of symbols.
        connect: the rule of every site.
        norm_placement: where norms sit.
        depth: blocks of one attention and one feed-forward.
        width: C.
        heads: they divide the width.
        context: the most tokens that attention sees.
        position: `learned` vectors (GPT-2), or `rotary` (Su et al. 2021, arXiv:2104.09864).
        feedforward: `gelu` as in nanoGPT, `gelu_tanh` as in the released weights of GPT-2, or
            `swiglu` as in LLaMA.
        norm: kind of the norms: `layer` or `rms` (Zhang and Sennrich 2019, arXiv:1910.07467).
        tie: whether stem and head share their weights (Press and Wolf 2016, arXiv:1608.05859).
        bias: whether linear maps and layer norms have biases.
        dropout: after the stem, in attention and after every branch.
        value_residual: every attention mixes its values with those of the first one (Zhou et al.
            2024, arXiv:2410.17897), half and half (`fixed`) or as learned.
        checkpoint: recompute the activations of every branch, or every k-th, in the backward pass.

    Errors:
        ValueError: heads do not divide the width; rotary positions with heads of odd width; more
            tokens than the context.
    """

    counts_with: ClassVar[Needs] = {"norm": (PLACED,)}

    def __init__(
        self,
        vocabulary: int,
        connect: Connect,
        norm_placement: Placement,
        depth: Depth = 12,
        width: Width = 64,
        heads: Few = 4,
        context: Context = 64,
        position: Literal["learned", "rotary"] = "learned",
        feedforward: Kind = "gelu",
        norm: Literal["layer", "rms"] = "layer",
        tie: bool = True,
        bias: bool = True,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        value_residual: Literal["none", "fixed", "learned"] = "none",
        checkpoint: Every = False,
    ):
        super().__init__()
        if width % heads:
            near = heads * max(1, round(width / heads))
            raise ValueError(f"heads={heads} does not divide width={width}; width={near} is near")
        if position == "rotary" and width // heads % 2:
            raise ValueError(f"position=rotary needs heads of even width, not {width // heads}")
        self.depth, self.heads, self.context = depth, heads, context
        self.taps = value_residual != "none"

        def make_norm() -> nn.Module:
            return nn.RMSNorm(width) if norm == "rms" else nn.LayerNorm(width, bias=bias)

        def branches(block: int) -> list[nn.Module]:
            cores = [
                Attention(width, heads, bias, dropout, block, value_residual),
                FeedForward(width, feedforward, bias, dropout),
            ]
            return [norm_placement.branch(core, make_norm, nn.Identity) for core in cores]

        self.stem = TokenEmbedding(vocabulary, width, context * (position == "learned"), dropout)
        self.body = Stack(
            [branch for block in range(depth) for branch in branches(block)],
            [connect(site) for site in Site.line(width, 2 * depth)],
            posts=[norm_placement.post(make_norm) for _ in range(2 * depth)],
            checkpoint=checkpoint,
        )
        self.close = norm_placement.close(make_norm, nn.Identity)
        self.head = TiedHead(self.stem.token) if tie else Linear(width, vocabulary, False)
        turns = rotation(context, width // heads) if position == "rotary" else None
        self.register_buffer("turns", turns, persistent=False)

    def cache(self, batch: int = 1) -> Cache:
        """An empty cache for a batch of texts."""
        like = self.stem.token.weight
        shape = (batch, self.heads, self.context, like.shape[1] // self.heads)
        return Cache(self.depth, shape, like)

    def side(self, start: int, length: int, cache: Cache | None = None) -> tuple[Any, ...]:
        """What the branches take beside the stream, fresh for one pass over `length` tokens."""
        turns: Tensor | None = self.turns  # type: ignore[assignment]
        turns = None if turns is None else turns[:, start : start + length]
        return turns, {} if self.taps else None, cache

    def values(self, tokens: Tensor) -> list[Tensor]:
        """The stream's value before the first branch and after every write, `[B, T, C]` each."""
        return self.body.values(self.stem(tokens), *self.side(0, tokens.shape[1]))

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits of the symbol after each token.

        Args:
            tokens: `[B, T]`.
            cache: what was read before, of which these tokens are the continuation; they are added.
        """
        start, length = 0 if cache is None else cache.length, tokens.shape[1]
        if start + length > self.context:
            raise ValueError(f"{start + length} tokens are more than context={self.context}")
        x = self.body(self.stem(tokens, start), *self.side(start, length, cache))
        if cache is not None:
            cache.length += length
        return self.head(self.close(x))
