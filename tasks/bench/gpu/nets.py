"""The transformer of `bench of=gpu` under every rule, and what all of its nets share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.bench.gpu.clock import Net
from tasks.bench.gpu.sizes import VARIANTS
from tasks.training.compiling import compile_model
from zoo.config import registry
from zoo.connection import Connect
from zoo.models.transformer import Transformer
from zoo.norm import Pre

Make = Callable[[], Net]


def rule(name: str) -> Connect:
    """The rule of a registered name or of a variant, at its defaults."""
    kind, options = VARIANTS.get(name, (name, {}))
    made: Connect = functools.partial(
        registry.resolve("connection", kind), **{**registry.options("connection", kind), **options}
    )
    return made


def compiled_by_write(model: nn.Module) -> None:
    """Compiles as `trainer.compile=true` does."""
    compile_model(model, True)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """The fused optimiser that all nets here have."""
    return torch.optim.AdamW(model.parameters(), 1e-4, fused=True)


def on_tokens(sizes: dict[str, int], batch: int, device: torch.device) -> dict[str, Any]:
    """Loss and examples of a transformer on random tokens."""
    tokens = torch.randint(sizes["vocabulary"], (batch, sizes["context"] + 1), device=device)
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].flatten()

    def loss(model: nn.Module) -> Tensor:
        found = model(x)
        logits = getattr(found, "logits", found)
        return F.cross_entropy(logits.float().flatten(0, 1), y)

    return {"loss": loss, "examples": y.numel(), "unit": "tokens"}


def gpt(sizes: dict[str, int], batch: int, device: torch.device, name: str, compiled: bool) -> Net:
    """Our transformer under a rule."""
    model = Transformer(connect=rule(name), norm_placement=Pre(), **sizes).to(device)  # type: ignore[arg-type]
    prepare: Any = {"prepare": compiled_by_write} if compiled else {}
    return Net(model, adamw(model), **on_tokens(sizes, batch, device), **prepare)
