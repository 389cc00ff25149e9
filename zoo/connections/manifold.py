"""Hyper-connections whose coefficients stay in bounds."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.sizes import Few
from zoo.connection import Site
from zoo.connections.streams import Mix, Streams


def sinkhorn(logits: Tensor, iterations: int) -> Tensor:
    """A doubly stochastic matrix by Sinkhorn-Knopp: exp(logits), columns and rows normed in turn.

    Rows are normed last and sum to 1, columns nearly so. The first division takes place in the
    logarithm, so that nothing overflows; the others are stored as factors of rows and columns, n
    numbers each instead of n^2.

    Args:
        logits: `[n, n, ...]`, row and column first.
        iterations: how often columns and rows are divided by their sums.

    >>> sinkhorn(torch.tensor([[0.0, 9.0], [0.0, 9.0]]), 1)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    logits = logits - logits.logsumexp(0, keepdim=True)
    logits = logits - logits.logsumexp(1, keepdim=True)
    matrix = logits.clamp(min=-60).exp()  # the sum of a column must not vanish
    rows, columns = torch.ones_like(matrix[:, :1]), torch.ones_like(matrix[:1])
    for _ in range(iterations - 1):
        columns = 1 / (matrix * rows).sum(0, keepdim=True)
        rows = 1 / (matrix * columns).sum(1, keepdim=True)
    return rows * matrix * columns


class ManifoldHyper(Streams):
    r"""Hyper-connections that carry the streams by a doubly stochastic matrix.

    Equation: x = r^T X, X' = A X + w F(x), r = sigmoid(r~), w = 2 sigmoid(w~),
        A = sinkhorn(exp(A~)), each of r~, w~, A~ = static + s rms(vec X) W when dynamic
    State: n streams, `[n, ...]`.
    Start: residual (r = 3/4 for stream l mod n, the others share 1/4; w = 1; A near the identity;
        W = 0, s = 0.01).
    Cost: n^2 + 2 n parameters a site, and C n (n^2 + 2 n) + 3 more when dynamic; n streams kept,
        and when dynamic 4 n numbers for each position and iteration.
    Source: Xie et al. 2025, arXiv:2512.24880, eq. 7-9. Public code differs in factors, in what
        Sinkhorn starts from and in a transposition; here the paper's form is taken: exp, factor 2,
        A not transposed, rows last. Any A with row sums 1 is the identity on equal streams, so the
        start is exactly residual; off the diagonal A~ = -5 keeps A near the identity and its
        gradient alive, and unequal r let the streams differ. They are closed by their mean.

    Args:
        site: where it sits on the stream.
        streams: n.
        dynamic: whether the coefficients depend on the state.
        iterations: of Sinkhorn-Knopp.

    >>> rule = ManifoldHyper(Site(width=8, index=1), streams=3)
    >>> torch.sigmoid(rule.reading)
    tensor([0.1250, 0.7500, 0.1250], grad_fn=<SigmoidBackward0>)
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def __init__(
        self,
        site: Site,
        streams: Few = 4,
        dynamic: bool = True,
        iterations: Few = 20,
    ):
        super().__init__(site, streams)
        self.linear = not dynamic
        self.iterations = iterations
        self.reading = nn.Parameter(torch.empty(streams))
        self.writing = nn.Parameter(torch.empty(streams))
        self.carrying = nn.Parameter(torch.empty(streams, streams))
        if dynamic:
            self.weight = nn.Parameter(torch.empty(streams * site.width, streams * (streams + 2)))
            self.scale = nn.Parameter(torch.empty(3))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        others = self.streams - 1  # a single stream has r = 1, as near as float32 comes to it
        nn.init.constant_(self.reading, -math.log(4 * others - 1) if others else 0)
        main = math.log(3) if others else 17
        nn.init.constant_(self.reading[self.site.index % self.streams, None], main)
        nn.init.zeros_(self.writing)
        nn.init.constant_(self.carrying, -5)
        self.carrying.data.fill_diagonal_(0)
        if not self.linear:
            nn.init.zeros_(self.weight)
            nn.init.constant_(self.scale, 0.01)

    def logits(self, state: Tensor) -> list[Tensor]:
        """The logits of r, w and A, static or with what the state adds, in float32 at least."""
        static: list[Tensor] = [self.reading, self.writing, self.carrying]
        if self.linear:
            return static
        axis, n = self.site.axis, self.streams
        vectors = state.movedim(axis, -1).movedim(0, -2).flatten(-2)  # [..., n C]
        change = F.rms_norm(vectors, vectors.shape[-1:]) @ self.weight
        change = change.to(torch.promote_types(change.dtype, torch.float32))
        moved = change.movedim(-1, 0).contiguous().unsqueeze(axis).split([n, n, n * n])
        return [
            self.spread(fixed, state) + scale * change.unflatten(0, fixed.shape)
            for fixed, scale, change in zip(static, self.scale, moved, strict=True)
        ]

    def read(self, state: Tensor) -> tuple[Tensor, Mix]:
        reading, writing, carrying = self.logits(state)
        r, w = torch.sigmoid(reading), 2 * torch.sigmoid(writing)
        a = sinkhorn(carrying, self.iterations)
        if not self.linear:
            r, w, a = r.to(state.dtype), self.pooled(w, 1), self.pooled(a, 2)
        return self.blend(r, state), (a, w)

    def write(self, state: Tensor, y: Tensor, mix: Mix) -> Tensor:
        a, w = (coefficient.to(state.dtype) for coefficient in mix)
        if self.linear:
            w = self.spread(w, state)
        return self.blend(a, state) + w * y
