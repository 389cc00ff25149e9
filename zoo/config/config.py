"""A composed configuration: what is chosen of every group, and its options.

A configuration is data: `choices` names one registered thing for each group, and every group has
a section of plain values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zoo.config import registry
from zoo.errors import ConfigError

CHANGEABLE = (
    *("trainer.max_steps", "trainer.max_epochs", "trainer.devices", "trainer.strategy"),
    "logger",
    "diagnostics",
    *("trainer.on_nonfinite", "trainer.nonfinite_limit"),  # where a run diverged
    *("trainer.hang_seconds", "trainer.save_minutes", "trainer.graphs"),
)


@dataclass
class Config:
    """A composed configuration.

    Args:
        choices: the chosen name of every group.
        sections: the options of every group, without its class.
        seed: the run's seed.
        run: options of the run folder.
        overrides: the words `key=value` of the command line.
    """

    choices: dict[str, str]
    sections: dict[str, dict[str, Any]]
    seed: int = 0
    run: dict[str, Any] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """The whole configuration as a dict of plain values; `from_plain` reads it again."""
        return {"choices": self.choices, "seed": self.seed, "run": self.run, **self.sections}

    def factory(self, group: str) -> Any:
        """The chosen class of a group with its options, waiting for its required arguments."""
        return registry.factory(group, self.choices[group], self.sections[group])

    def with_choice(self, slot: str, rule: str) -> Config:
        """A configuration with another rule, at its defaults, in `connection` or `long`.

        Args:
            slot: the group.
            rule: its new name; the present one keeps its options.
        """
        if rule == self.choices[slot]:
            return self
        sections = {**self.sections, slot: registry.options(slot, rule)}
        return Config({**self.choices, slot: rule}, sections, self.seed, self.run)

    def words(self, prefix: str) -> list[str]:
        """The words of the command line that begin with a prefix."""
        return [word for word in self.overrides if word.startswith(prefix)]

    def check_run(self) -> None:
        """Raises ConfigError where an option of the run folder is not a text."""
        for key, value in self.run.items():
            if value is not None and not isinstance(value, str):
                raise ConfigError(f"run.{key}={value!r} is refused", f"run.{key}", "give a name")

    def check(self) -> Config:
        """This configuration, once every value fits its constructor.

        Errors:
            ConfigError: the first value that does not.
        """
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            what = f"seed={self.seed!r} is refused"
            raise ConfigError(what, "seed", "give an integer of at least 0")
        self.check_run()
        for group in sorted(self.sections, key=lambda g: g == "task"):  # the slowest import last
            checked = registry.check(group, self.choices[group], self.sections[group])
            words = {key: value for key, value in checked.items() if isinstance(value, str)}
            self.sections[group].update(words)  # as they are spelled in the annotations
        return self
