"""Where norms sit around a branch, the axis `norm=`, independent of the connection.

A placement arranges three things that a model makes: the `core` of a branch (attention,
convolutions, a graph convolution), a `norm` and an activation. The kind of norm is the model's.
Branches of several layers are chains, with a norm and an activation for every layer:

    none      layer act layer                    act after the write
    pre       norm act layer norm act layer      norm act at the end of the stream
    sandwich  norm act layer norm act layer norm norm act at the end of the stream
    post      layer norm act layer norm          act after the write
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

PLACED = ("norm", ("pre", "post", "sandwich"))  # placements that have norms
FOLLOWING = ("norm", ("post",))  # placements with a norm after each layer of a chain
MakeModule = Callable[[], nn.Module]
MakeNorm = Callable[[int], nn.Module]  # of a number of channels


class Branch(nn.Module):
    """A branch: `core`, with functions of its input before it and of its output after it."""

    def __init__(
        self, core: nn.Module, before: Sequence[nn.Module] = (), after: Sequence[nn.Module] = ()
    ):
        super().__init__()
        self.before = nn.Sequential(*(m for m in before if not isinstance(m, nn.Identity)))
        self.core = core
        self.after = nn.Sequential(*(m for m in after if not isinstance(m, nn.Identity)))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        modules: dict[str, Any] = self._modules  # faster than three attributes of a module
        for function in modules["before"]:
            x = function(x)
        x = modules["core"](x, *args, **kwargs)
        for function in modules["after"]:
            x = function(x)
        return x


class Chain(nn.Sequential):
    """Modules in a row, of which those that declare `conditioned` also get the side inputs."""

    def forward(self, x: Tensor, *args: Any) -> Tensor:
        for module in self:
            x = module(x, *args) if getattr(module, "conditioned", False) else module(x)
        return x


class Placement:
    """Puts norms and activations around branches; its methods take functions that make them.

    Attributes:
        leads: in a chain, norm and activation come before each layer.
        follows: in a chain, a norm comes after each layer.
        closes: a chain ends with a norm although norms come before its layers.
    """

    leads: ClassVar[bool] = False
    follows: ClassVar[bool] = False
    closes: ClassVar[bool] = False

    @property
    def normed(self) -> bool:
        """Whether the placement has norms."""
        return self.leads or self.follows

    def chain(
        self, layers: Sequence[nn.Module], widths: Sequence[int], norm: MakeNorm, act: MakeModule
    ) -> nn.Module:
        """A branch of several layers, with a norm and an activation for each.

        Args:
            layers: those that declare `conditioned` also get the side inputs of the branch.
            widths: channels before, between and after the layers.
            norm: makes the norm of a number of channels.
            act: makes an activation.
        """
        modules: dict[str, nn.Module] = {}
        for i, layer in enumerate(layers):
            if self.leads:
                modules[f"norm{i}"] = norm(widths[i])
            if self.leads or i:
                modules[f"act{i}"] = act()
            modules[f"layer{i}"] = layer
            if self.follows:
                modules[f"norm{i}"] = norm(widths[i + 1])
        if self.closes:
            modules["closing"] = norm(widths[-1])
        return Chain(OrderedDict(modules))

    def after_write(self, act: MakeModule) -> nn.Module | None:
        """The function of the stream's value after each write of a chain; None without one."""
        return None if self.leads else act()

    def branch(self, core: nn.Module, norm: MakeModule, act: MakeModule) -> nn.Module:
        """A branch of one layer, the core.

        Args:
            core: the layer.
            norm: makes a norm of the stream's width.
            act: makes an activation.
        """
        return Branch(core, after=[act()])

    def post(self, norm: MakeModule) -> nn.Module | None:
        """The function of the stream's value after each write of a core; None without one."""
        return None

    def close(self, norm: MakeModule, act: MakeModule) -> nn.Module:
        """The function of the closed stream that comes before the head."""
        return nn.Identity()


class NoNorm(Placement):
    """No norm. Branch: act(core(x)).

    >>> type(NoNorm().branch(nn.Identity(), nn.Identity, nn.ReLU)).__name__
    'Branch'
    """


class Pre(Placement):
    """A norm before each branch and one at the end of the stream. Branch: core(act(norm(x))).

    Source: He et al. 2016, arXiv:1603.05027; Xiong et al. 2020, arXiv:2002.04745; for graphs
        Li et al. 2020, arXiv:2006.07739 (`res+`).
    """

    leads = True

    def branch(self, core: nn.Module, norm: MakeModule, act: MakeModule) -> nn.Module:
        return Branch(core, before=[norm(), act()])

    def close(self, norm: MakeModule, act: MakeModule) -> nn.Module:
        return nn.Sequential(norm(), act())


class Sandwich(Pre):
    """A norm before and after each branch and one at the end. Branch: norm(core(act(norm(x)))).

    Source: Ding et al. 2021, arXiv:2105.13290.
    """

    closes = True

    def branch(self, core: nn.Module, norm: MakeModule, act: MakeModule) -> nn.Module:
        return Branch(core, before=[norm(), act()], after=[norm()])


class Post(Placement):
    """A norm of the stream after each write. Branch: act(core(x)).

    In a chain the last norm stands before the write and the activation after it, as in the
    original ResNet.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; He et al. 2015, arXiv:1512.03385.
    """

    follows = True

    def post(self, norm: MakeModule) -> nn.Module:
        return norm()
