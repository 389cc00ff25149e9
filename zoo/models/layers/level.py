"""One level of a U-Net: the smaller U-Net is the branch of a long site."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from zoo.connection import Connect, Connection, Site
from zoo.models.stages import Subsample


def long_site(connect: Connect, width: int, out: int, index: int, total: int) -> Connection:
    """The connection of a long skip, which is a stream with one write.

    Args:
        connect: the rule.
        width: channels that are carried past the smaller U-Net.
        out: channels that the smaller U-Net gives back.
        index: of this long site in the whole net, from outside in.
        total: number of long sites.
    """
    changed = None if out == width else out
    return connect(Site(width, changed, index, total, -3, index, wide=True))


class Level(nn.Module):
    r"""A level of a U-Net, whose long site carries the image past the smaller U-Net.

    h = enter(x), h' = site(h, inner), leave(h'). Where the inner net gives back another width, a
    rule that carries pads or crops the channels of h, without weights.

    Shapes: what `enter` reads to what `leave` gives, which reads `site.gives` channels.

    Args:
        enter: what comes before the site.
        inner: the smaller U-Net, which keeps the image's size.
        leave: what reads the written stream.
        site: the connection of the long site.
    """

    def __init__(self, enter: nn.Module, inner: nn.Module, leave: nn.Module, site: Connection):
        super().__init__()
        self.enter = enter
        self.inner = inner
        self.site = site
        self.leave = leave
        where = site.site
        extra = where.written - where.width
        self.shortcut = Subsample(extra, 1) if extra and site.carries else None

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        connection = self.site
        state = connection.open(self.enter(x, *args))
        state = connection(state, self.inner, *args, shortcut=self.shortcut)
        return self.leave(connection.close(state), *args)
