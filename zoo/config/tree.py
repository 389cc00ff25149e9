"""Nested values under dotted keys, and the refusal of values that would be code."""

from __future__ import annotations

from typing import Any

from zoo.errors import ConfigError


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of a nested mapping under dotted keys.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def refuse_code(values: dict[str, Any], where: str) -> None:
    """Raises ConfigError for a key that names code, or a value with an interpolation."""
    for key, value in values.items():
        last = str(key).rpartition(".")[2]
        if last in ("class", "defaults") or last.startswith("_"):
            raise ConfigError(
                f"a configuration cannot name code: {key}", where, "choose a registered name"
            )
        if isinstance(value, str) and "${" in value:
            raise ConfigError("interpolations are refused", where, "write the value itself")
