"""Words `key=value` of the command line, in Hydra's grammar."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from zoo.config import registry
from zoo.errors import ConfigError
from zoo.system.paths import expanded

PATHS = ("from", "config", "run.dir", "dir", "compare.dir")  # keys whose values are paths
DATA = "data.path"  # likewise, which may be an axis


def parse(words: Sequence[str]) -> dict[str, Any]:
    """Words `key=value` in Hydra's grammar as a mapping; the last word on a key holds."""
    values = {}
    for key, value in axes(words, (*PATHS, DATA)).items():
        if isinstance(value, Sweep):
            raise ConfigError(f"{key} gives several values", f"{key}=...", "give one value")
        values[key] = value[0]
    return values


class Sweep(list[Any]):
    """Values of an axis, written by commas or `range()`."""


def axes(words: Sequence[str], paths: Sequence[str] = PATHS) -> dict[str, list[Any]]:
    """Words in Hydra's grammar as lists of values; `a,b` and `range()` give more than one.

    >>> axes(["seed=range(0,3)", "model.width=[16,32]", "norm=pre,post"])
    {'seed': [0, 1, 2], 'model.width': [[16, 32]], 'norm': ['pre', 'post']}

    Args:
        words: of the command line.
        paths: keys whose values are paths, which are taken as they are, brackets and all. So is
            `data.path` where it exists.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    values: dict[str, list[Any]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        exists = name == DATA and os.path.exists(os.path.expanduser(unquoted(text)))
        if equals and (name in paths or exists) and text != "null" and "${" not in text:
            values[name] = [expanded(unquoted(text), f"{name}={text}")]
            continue
        try:
            (override,) = OverridesParser.create().parse_overrides([word])
        except OverrideParseException:
            raise ConfigError(f"cannot read {word!r}", word, rewritten(word)) from None
        key, where = override.key_or_group, f"{override.key_or_group}=..."
        if override.is_delete() or override.is_add() or override.is_force_add():
            raise ConfigError(
                f"{word!r} adds or deletes a key", where, "options are changed by key=value alone"
            )
        if "${" in word:
            raise ConfigError("interpolations are refused", where, "write the value itself")
        if override.is_sweep_override():
            values[key] = Sweep(getattr(v, "text", v) for v in override.sweep_iterator())
        else:
            value: Any = override.value()
            values[key] = [getattr(value, "text", value)]
    return values


def unquoted(text: str) -> str:
    """A text without the quotes around it that Hydra's grammar asks for.

    >>> unquoted("'a [b]'"), unquoted("it's")
    ('a [b]', "it's")
    """
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def rewritten(word: str) -> str:
    r"""How a word that cannot be read may have been meant.

    >>> rewritten("gnn")
    'write task=gnn or model=gnn'
    >>> rewritten("name=a b")
    'write key=value, or with odd characters \'name="a b"\''
    >>> rewritten("help")
    'write key=value, such as seed=1; VERB --help lists the keys'
    """
    key, equals, value = word.partition("=")
    groups = [group for group in ("task", *registry.GROUPS) if word in registry.names(group)]
    if equals:
        return f"write key=value, or with odd characters '{key}=\"{value}\"'"
    if not groups:
        return "write key=value, such as seed=1; VERB --help lists the keys"
    return f"write {' or '.join(f'{group}={word}' for group in dict.fromkeys(groups))}"
