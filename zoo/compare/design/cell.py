"""One run of a comparison, and the address that follows from all that can change its result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from zoo.compare.design.axes import Place, Values
from zoo.config.config import Config
from zoo.config.tree import flatten
from zoo.run_folder import SCHEMA

OUTSIDE = ("run", "logger", "choices.logger")  # keys that cannot change a result


@dataclass
class Cell:
    """One run: an arm at a place with a seed.

    Args:
        place: where.
        arm: its name.
        pair: seed that it shares with the other arms.
        config: everything else.
    """

    place: Place
    arm: str
    pair: int
    config: Config

    @property
    def kind(self) -> str:
        """What all seeds of an arm at a place share: the key of its measured costs."""
        return digest({**result_keys(self.config), "seed": None})

    @property
    def recipe(self) -> str:
        """What all seeds of an arm share at every depth: a family has one for each arm."""
        return digest({**result_keys(self.config), "seed": None, "model.depth": None})

    def id(self, data_digest: str) -> str:
        """The address of its result: all that can change it."""
        return digest({**result_keys(self.config), "data_digest": data_digest, "schema": SCHEMA})


def result_keys(config: Config) -> Values:
    """The configuration without what cannot change a result, flat."""
    flat = flatten(config.plain())
    return {key: value for key, value in flat.items() if not key.startswith(OUTSIDE)}


def digest(values: Values) -> str:
    """A short name for some values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
