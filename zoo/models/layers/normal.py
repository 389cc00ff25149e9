"""Linear maps and embeddings of transformers, with the normal draws of GPT-2."""

from __future__ import annotations

from torch import nn

STD = 0.02  # of the draws of all weights, Radford et al. 2019


class NormalLinear(nn.Linear):
    """A linear map whose weights are drawn from a normal distribution; its biases start at zero.

    Attributes:
        maps: linear maps that lie one below the other in the weight, each with as many rows.
        queries: how many of them, the first ones, give queries and keys.
    """

    maps = 1
    queries = 0

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=STD)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class NormalEmbedding(nn.Embedding):
    """A table of vectors that are drawn from a normal distribution."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=STD)
