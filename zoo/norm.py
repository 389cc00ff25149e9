"""Where norms sit around a branch: an axis of its own, independent of the connection.

A placement arranges three things that a model brings along: the `core` of a branch (attention,
convolutions, a graph convolution), a `norm` and an activation. What kind of norm it is belongs to
the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

MakeModule = Callable[[], nn.Module]


class Branch(nn.Module):
    """`core` with functions of its input before it and functions of its output after it."""

    def __init__(
        self, core: nn.Module, before: Sequence[nn.Module] = (), after: Sequence[nn.Module] = ()
    ):
        super().__init__()
        self.core = core
        self.before = nn.Sequential(*before)
        self.after = nn.Sequential(*after)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return self.after(self.core(self.before(x), *args, **kwargs))


class Placement:
    """Puts norms and activations around branches; the methods receive makers of fresh modules."""

    def branch(self, core: nn.Module, norm: MakeModule, act: MakeModule) -> nn.Module:
        """The branch that a connection calls."""
        return Branch(core, after=[act()])

    def post(self, norm: MakeModule) -> nn.Module | None:
        """The function of the stream's value after each write."""
        return None

    def close(self, norm: MakeModule, act: MakeModule) -> nn.Module:
        """The function of the closed stream before the head."""
        return nn.Identity()


class NoNorm(Placement):
    """No norm. Branch: act(core(x)).

    >>> type(NoNorm().branch(nn.Identity(), nn.Identity, nn.ReLU)).__name__
    'Branch'
    """


class Pre(Placement):
    """A norm before the branch and one at the end. Branch: core(act(norm(x))).

    Source: He et al. 2016, arXiv:1603.05027; Xiong et al. 2020, arXiv:2002.04745; for graphs
    Li et al. 2020, arXiv:2006.07739 (`res+`).
    """

    def branch(self, core: nn.Module, norm: MakeModule, act: MakeModule) -> nn.Module:
        return Branch(core, before=[norm(), act()])

    def close(self, norm: MakeModule, act: MakeModule) -> nn.Module:
        return nn.Sequential(norm(), act())


class Sandwich(Pre):
    """A norm before and after the branch and one at the end. Branch: norm(core(act(norm(x)))).

    Source: Ding et al. 2021, arXiv:2105.13290.
    """

    def branch(self, core: nn.Module, norm: MakeModule, act: MakeModule) -> nn.Module:
        return Branch(core, before=[norm(), act()], after=[norm()])


class Post(Placement):
    """A norm of the stream after each write. Branch: act(core(x)).

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.
    """

    def post(self, norm: MakeModule) -> nn.Module:
        return norm()
