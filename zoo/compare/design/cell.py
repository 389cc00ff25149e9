"""One run of a comparison, and the address that follows from all that can change its result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import ClassVar

from zoo.compare.design.axes import Place, Values
from zoo.compare.design.command import Defaults, fit_command
from zoo.config.config import Config
from zoo.config.tree import flatten
from zoo.run_folder import SCHEMA

NO_EFFECT = (  # beginnings of keys that cannot change a result
    *("run", "logger", "choices.logger", "diagnostics", "choices.diagnostics"),
)

SEEDS: Values = {"seed": None, "data.seed": None}  # that tell the runs of an arm at a place apart


@dataclass
class Cell:
    """One planned run: an arm at a place, in a pair.

    `do` is what a worker is asked for.

    Args:
        place: where arms meet.
        arm: name of the arm.
        pair: number of the pair.
        config: of the run.
        tuned: options whose values were chosen on validation, and these.
    """

    place: Place
    arm: str
    pair: int
    config: Config
    tuned: Values = field(default_factory=dict)
    do: ClassVar[str] = "cell"

    @property
    def kind(self) -> str:
        """A digest of what costs depend on, which all seeds of an arm at a place share."""
        free = (f"optimizer.{key}" for key in self.config.sections["optimizer"])
        return digest({**result_keys(self.config), **SEEDS, **dict.fromkeys(free)})

    @property
    def devices(self) -> int:
        """The devices, of one machine, that it asks for."""
        devices: int = self.config.sections.get("trainer", {}).get("devices", 1)
        return devices

    @property
    def recipe(self) -> str:
        """A digest that all seeds of an arm share at all depths of a family."""
        apart = {**SEEDS, "model.depth": None, **dict.fromkeys(self.tuned, "tuned")}
        return digest({**result_keys(self.config), **apart})

    def command_line(self, defaults: Defaults) -> str:
        """The command that repeats the run.

        Args:
            defaults: of the choices of runs.
        """
        return fit_command(self, defaults)

    def id(self, data_digest: str) -> str:
        """The address of its result, a digest of all that can change it."""
        return digest({**result_keys(self.config), "data_digest": data_digest, "schema": SCHEMA})


def result_keys(config: Config) -> Values:
    """The configuration by dotted keys, without those that cannot change a result."""
    flat = flatten(config.plain())
    return {key: value for key, value in flat.items() if not key.startswith(NO_EFFECT)}


def digest(values: Values) -> str:
    """A digest of some values, 20 hexadecimal digits."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
