"""Decoder-only transformers: attention and feed-forward as branches of one stream."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt
from torch import Tensor, nn

from zoo.config.options import Needs
from zoo.config.sizes import Context, Depth, Every, Few, Width
from zoo.connection import Connect, Site
from zoo.models.layers.attention import CausalAttention
from zoo.models.layers.dropout import dropout
from zoo.models.layers.feedforward import FeedForward, FeedForwardKind
from zoo.models.layers.key_value_cache import KeyValueCache
from zoo.models.layers.normal import NormalEmbedding, NormalLinear
from zoo.models.layers.rotary import rotation
from zoo.norm import PLACED, Placement
from zoo.stack import Stack


class TokenEmbedding(nn.Module):
    """The stem: a vector for each token, and one for each position where these are learned.

    Shapes: tokens `[B, T]` to `[B, T, C]`.

    Args:
        vocabulary: number of symbols.
        width: C.
        positions: how many have a vector; 0: none.
        dropout: of the sum of both vectors.
    """

    def __init__(self, vocabulary: int, width: int, positions: int, dropout: float):
        super().__init__()
        self.token = NormalEmbedding(vocabulary, width)
        self.position = NormalEmbedding(positions, width) if positions else None
        self.dropout = dropout

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        x = self.token(tokens)
        if self.position is not None:
            x = x + self.position.weight[start : start + tokens.shape[1]]
        return dropout(x, self.dropout, self.training)


class TiedHead(nn.Module):
    """A head that shares its weights with the vectors of the tokens, which draw them.

    Shapes: `[B, T, C]` to logits `[B, T, vocabulary]`.
    """

    def __init__(self, token: NormalEmbedding):
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
        feedforward: FeedForwardKind = "gelu",
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
                CausalAttention(width, heads, bias, dropout, block, value_residual),
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
        self.head = TiedHead(self.stem.token) if tie else NormalLinear(width, vocabulary, False)
        rotary = rotation(context, width // heads) if position == "rotary" else None
        self.register_buffer("rotary", rotary, persistent=False)

    def cache(self, batch: int = 1) -> KeyValueCache:
        """An empty cache for a batch of texts."""
        like = self.stem.token.weight
        shape = (batch, self.heads, self.context, like.shape[1] // self.heads)
        return KeyValueCache(self.depth, shape, like)

    def side(self, start: int, length: int, cache: KeyValueCache | None = None) -> tuple[Any, ...]:
        """The side inputs of the branches, fresh for one pass: rotary table, taps and cache.

        Args:
            start: position of the first token.
            length: number of tokens.
            cache: keys and values of the tokens before.
        """
        rotary: Tensor | None = self.rotary  # type: ignore[assignment]
        rotary = None if rotary is None else rotary[start : start + length]
        return rotary, {} if self.taps else None, cache

    def values(self, tokens: Tensor) -> list[Tensor]:
        """The stream's value before the first branch and after every write, `[B, T, C]` each."""
        return self.body.values(self.stem(tokens), *self.side(0, tokens.shape[1]))

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Logits `[B, T, vocabulary]` of the symbol after each token.

        Args:
            tokens: `[B, T]`.
            cache: keys and values of the tokens before; those of `tokens` are added.
        """
        start, length = 0 if cache is None else cache.length, tokens.shape[1]
        if start + length > self.context:
            raise ValueError(f"{start + length} tokens are more than context={self.context}")
        x = self.body(self.stem(tokens, start), *self.side(start, length, cache))
        if cache is not None:
            cache.length += length
        return self.head(self.close(x))
