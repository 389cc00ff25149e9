"""Values with small tensors among them, as JSON and back."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor

MOST = 10**8  # values of all tensors


def as_plain(value: Any) -> Any:
    """The value as JSON holds it; `from_plain` makes it again, with its types.

    >>> as_plain({"mean": (0.5,), "blank": torch.zeros(2, 3)})
    {'mean': {'tuple': [0.5]}, 'blank': {'tensor': 'float32', 'shape': [2, 3], 'values': 0.0}}

    Args:
        value: numbers, texts, lists, tuples, mappings with texts for keys, and tensors.

    Errors:
        TypeError: there is anything else.
    """
    if isinstance(value, Tensor):
        flat = value.detach().cpu().flatten()
        same = flat.numel() > 0 and bool((flat == flat[0]).all())
        values = flat[0].item() if same else flat.tolist()
        kind = str(value.dtype).removeprefix("torch.")
        return {"tensor": kind, "shape": [*value.shape], "values": values}
    if isinstance(value, tuple):
        return {"tuple": [as_plain(each) for each in value]}
    if isinstance(value, list):
        return [as_plain(each) for each in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: as_plain(each) for key, each in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a {type(value).__name__} is no value of JSON")


def from_plain(plain: Any) -> Any:
    """The value that `as_plain` described.

    >>> from_plain(as_plain({"size": (2, 3), "ids": torch.tensor([1, 2])}))
    {'size': (2, 3), 'ids': tensor([1, 2])}

    Errors:
        ValueError: it describes none, or tensors of more than `MOST` values.
    """
    if sum(sizes(plain)) > MOST:
        raise ValueError(f"its tensors have more than {MOST:,} values")
    return value_of(plain)


def is_tensor(plain: Any) -> bool:
    """Whether a value describes a tensor."""
    return isinstance(plain, dict) and plain.keys() == {"tensor", "shape", "values"}


def sizes(plain: Any) -> Iterator[int]:
    """The numbers of values of all tensors in a value."""
    if is_tensor(plain):
        yield size_of(plain["shape"])
    elif isinstance(plain, (dict, list)):
        for each in plain.values() if isinstance(plain, dict) else plain:
            yield from sizes(each)


def size_of(shape: Any) -> int:
    """The number of values of a tensor; ValueError for what is no shape."""
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"no tensor is of shape {str(shape)[:60]}")
    return prod(shape)


def value_of(plain: Any) -> Any:
    """The value that a plain one describes, of any size."""
    if isinstance(plain, list):
        return [value_of(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    if plain.keys() == {"tuple"}:
        return tuple(value_of(each) for each in plain["tuple"])
    if is_tensor(plain):
        return tensor(plain["tensor"], plain["shape"], plain["values"])
    return {key: value_of(each) for key, each in plain.items()}


def tensor(kind: Any, shape: Any, values: Any) -> Tensor:
    """A tensor of a type and a shape, of a list of values or of one for all."""
    dtype = getattr(torch, str(kind), None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"no tensor is {str(kind)[:20]}")
    if isinstance(values, list):
        return torch.tensor(values, dtype=dtype).reshape(shape)
    return torch.full(shape, values, dtype=dtype)
