"""Rules that carry several streams on a leading axis."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.config.sizes import Few
from zoo.connection import Connection, Site, State, TensorFunction

Mix = tuple[Tensor, Tensor]


class Streams(Connection):
    """A rule whose state is n streams `[n, ...]`, opened as copies and closed by their mean."""

    def __init__(self, site: Site, streams: int):
        super().__init__(site)
        self.streams = streams

    def open(self, x: Tensor) -> Tensor:
        return x.expand(self.streams, *x.shape)

    def close(self, state: Tensor) -> Tensor:
        return state.mean(0)

    def map(self, fn: TensorFunction, state: State) -> Tensor:
        return fn(state.flatten(0, 1)).unflatten(0, state.shape[:2])

    def post(self, fn: TensorFunction, state: Tensor) -> Tensor:
        return self.map(fn, state)

    def spread(self, coefficient: Tensor, state: Tensor) -> Tensor:
        """A view of static coefficients that broadcasts over all axes but the streams'."""
        return coefficient.view(*coefficient.shape, *[1] * (state.ndim - 1))

    def blend(self, coefficient: Tensor, state: Tensor) -> Tensor:
        """Weighted sums of the streams.

        Args:
            coefficient: `[n]` for one sum or `[target, source]` for several; dynamic ones have
                the axes of the state behind these.
            state: n streams.
        """
        if coefficient.ndim <= 2:
            return torch.tensordot(coefficient.to(state.dtype), state, 1)
        shares = coefficient.unbind(coefficient.ndim - state.ndim)
        total: Any = sum(a * x for a, x in zip(shares, state.unbind(), strict=True))
        return total


class Hyper(Streams):
    r"""Hyper-connections: n streams, read, carried and written by learned coefficients.

    Equation: x = r^T X, X' = A^T X + w F(x), with r, A, w = static + s tanh(rms(X) W)
        when dynamic
    State: n streams, `[n, ...]`.
    Start: residual (r picks stream l mod n, A = I, w = 1, W = 0, s = 0.01).
    Cost: n^2 + 2 n parameters a site, and C (n + 2) + 2 more when dynamic; n streams kept.
    Source: Zhu et al. 2024, arXiv:2409.19606, eq. 1-5 (static) and 10-13 (dynamic). The streams
        are closed by their mean, where the paper takes the sum: heads without a norm then see
        the same scale.

    Args:
        site: where it sits on the stream.
        streams: n.
        dynamic: whether the coefficients depend on the state.

    >>> Hyper(Site(width=8, index=5), streams=4).reading.tolist()
    [0.0, 1.0, 0.0, 0.0]
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def __init__(self, site: Site, streams: Few = 4, dynamic: bool = True):
        super().__init__(site, streams)
        self.linear = not dynamic
        self.reading = nn.Parameter(torch.empty(streams))
        self.carrying = nn.Parameter(torch.empty(streams, streams))
        self.writing = nn.Parameter(torch.empty(streams))
        if dynamic:
            self.weight = nn.Parameter(torch.empty(site.width, streams + 2))
            self.scale = nn.Parameter(torch.empty(2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.reading)
        nn.init.ones_(self.reading[self.site.index % self.streams, None])
        nn.init.eye_(self.carrying)
        nn.init.ones_(self.writing)
        if not self.linear:
            nn.init.zeros_(self.weight)
            nn.init.constant_(self.scale, 0.01)

    def read(self, state: Tensor) -> tuple[Tensor, Mix]:
        if self.linear:
            return self.blend(self.reading, state), (self.carrying.T, self.writing)
        channels_last = state.movedim(self.site.axis, -1)
        normed = F.rms_norm(channels_last, channels_last.shape[-1:])
        change = torch.tanh(normed @ self.weight).movedim(-1, self.site.axis).contiguous()
        n, axis = self.streams, change.ndim + self.site.axis  # of change [n, ..., n+2, ...]
        carried, read, written = change.split([n, 1, 1], axis)
        reading = self.spread(self.reading, state) + self.scale[0] * read
        x = self.blend(reading, state)
        carrying = self.spread(self.carrying.T, state) + (  # [target, source, ...]
            self.scale[0] * self.pooled(carried, 1).movedim(axis, 0).unsqueeze(axis + 1)
        )
        writing = self.spread(self.writing, state) + self.scale[1] * self.pooled(written, 1)
        return x, (carrying, writing)

    def write(self, state: Tensor, y: Tensor, mix: Mix) -> Tensor:
        carrying, writing = mix
        if self.linear:
            writing = self.spread(writing, state)
        return self.blend(carrying, state) + writing * y


class AltUp(Streams):
    r"""Alternating updates: all streams are predicted; a branch on one of them corrects them all.

    Equation: P_i = sum_j p_ij X_j, y = F(P_a), X_i' = P_i + g_i y, a = l mod n
    State: n streams, `[n, ...]`.
    Start: residual (p = I, g = 1).
    Cost: n^2 + n parameters a site; n streams kept.
    Source: Baykal et al. 2023, arXiv:2301.13310, algorithm 1, with its scalars p and g. Its layer L
        has the skip inside and corrects by g_i (L(X_a) - P_a); as in Gemma 3n the layer reads the
        prediction, L(P_a) = P_a + F(P_a), so that the correction is g_i F(P_a). The streams are
        opened by copies, where Gemma 3n projects, and closed by their mean.

    Args:
        site: where it sits on the stream.
        streams: n.

    >>> AltUp(Site(width=8, index=5), streams=4).active
    1
    """

    init_equals = "residual"
    identity_at_zero = "exact"

    def __init__(self, site: Site, streams: Few = 4):
        super().__init__(site, streams)
        self.active = site.index % streams
        self.prediction = nn.Parameter(torch.empty(streams, streams))
        self.correction = nn.Parameter(torch.empty(streams))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.eye_(self.prediction)
        nn.init.ones_(self.correction)

    def read(self, state: Tensor) -> tuple[Tensor, None]:
        return self.blend(self.prediction[self.active], state), None

    def write(self, state: Tensor, y: Tensor, mix: None) -> Tensor:
        return self.blend(self.prediction, state) + self.spread(self.correction, state) * y
