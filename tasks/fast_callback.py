"""Callbacks that leave out what Lightning calls in every step for nothing."""

from __future__ import annotations

from typing import Any, ClassVar

from pytorch_lightning import Callback, LightningModule

HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


class Fast:
    """Has Lightning skip the hooks inside a step that a class leaves empty.

    They are None, which Lightning passes over; hooks that a class or a parent of it defines are
    called as ever.
    """

    hidden: ClassVar[tuple[str, ...]] = HOOKS

    def __new__(cls, *_: Any, **__: Any) -> Any:
        self = super().__new__(cls)
        for hook in cls.hidden:
            empty = [getattr(base, hook, None) for base in (Callback, LightningModule)]
            if getattr(cls, hook) in empty:
                self.__dict__[hook] = None
        return self


class FastCallback(Fast, Callback):
    """A callback whose empty hooks cost nothing."""
