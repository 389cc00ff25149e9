"""Rows of JSON as dataclasses: every value has the type of its field, or is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
SENTENCES = {"missing": "has no", "unexpected_keyword_argument": "has unknown"}


def typed(kind: type[T], row: Any) -> T:
    """A dataclass from the object that `json.loads` gave; an integer may stand for a float.

    Errors:
        ValueError: this is no object, a key is missing or unknown, or a value has another type.
    """
    from pydantic import ValidationError

    if not isinstance(row, dict):
        raise ValueError(f"is no object but {str(row)[:80]!r}")
    try:
        return kind(**vars(strict(kind)(**row)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    key = ".".join(keys_to(first["loc"], row))
    if first["type"] in SENTENCES:
        raise ValueError(f"{SENTENCES[first['type']]} {key}")
    rule = first["msg"].lower().removeprefix("input ").replace("predicate ", "the check ")
    raise ValueError(f"has {key} = {str(first['input'])[:80]!r}, which {rule}")


@functools.cache
def strict(kind: type[T]) -> Callable[..., Any]:
    """A dataclass whose constructor refuses unknown keys and values of other types."""
    from pydantic import ConfigDict
    from pydantic.dataclasses import dataclass

    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    frozen = kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return dataclass(kind, config=config, frozen=frozen)


def keys_to(location: Sequence[int | str], value: Any) -> list[str]:
    """The keys that lead to a wrong value; Pydantic adds the names of a union's members to them.

    >>> keys_to(("scores", 0, "int"), {"scores": ["high"]})
    ['scores', '0']
    """
    keys = []
    for key in location:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key]
        else:
            break
        keys.append(str(key))
    return keys
