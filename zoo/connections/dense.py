"""Rules whose branches read the outputs of all earlier ones side by side."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.config.sizes import Width
from zoo.connection import Pointwise, Site, TensorFunction
from zoo.connections.history import History, HistoryConnection


class Dense(HistoryConnection):
    r"""DenseNet: what was written before is concatenated and squeezed to the width of the stream.

    Equation: h_{l+1} = S_l [x_0, e_1, ..., e_l], e_l = G_l F_l(h_l), h_1 = x_0
    State: a tuple of x_0 `[C]` and e_1 ... e_l `[growth]`, and the current h.
    Start: random mixtures of the channels.
    Cost: C (C + (l + 1) growth) parameters in S_l at write l, counted from 1, and in G_l with it;
        keeps every e.
    Source: Huang et al. 2017, arXiv:1608.06993, eq. 2, with S as the bottleneck of section 3. There
        the branch itself writes `growth` channels; here it writes C, and G makes them fewer. The
        shortcut of a stage change without weights goes through x_0 and every e; of the channels
        of e, the first `growth` remain; the others would be zeros.

    Args:
        site: where it sits on the stream.
        growth: channels of every e.

    >>> Dense(Site(width=16, index=2)).squeeze.weight.shape
    torch.Size([16, 52])
    """

    linear = False  # S is a full matrix over channels

    def __init__(self, site: Site, growth: Width = 12):
        super().__init__(site)
        self.growth = growth
        width, entries = site.written, site.index - site.opened_at + 1
        self.grow = Pointwise(width, growth, site.axis, bias=False)
        self.squeeze = Pointwise(width + entries * growth, width, site.axis, bias=False)

    def write(self, state: History, y: Tensor, mix: None) -> History:
        entries = (*state[0], self.grow(y))
        return entries, self.squeeze(torch.cat(entries, self.site.axis))

    def map(self, fn: TensorFunction, state: History) -> History:
        axis, width = self.site.axis, self.site.width

        def mapped(chunk: Tensor) -> Tensor:
            missing = (0, 0) * (-axis - 1) + (0, width - chunk.shape[axis])
            return fn(F.pad(chunk, missing)).narrow(axis, 0, chunk.shape[axis])

        (first, *grown), x = state
        size = min(width, self.site.written)
        cut = [torch.cat([mapped(p) for p in entry.split(size, axis)], axis) for entry in grown]
        return (fn(first), *cut), fn(x)
