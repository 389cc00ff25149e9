"""What the verb `diagnose` says: on the page, on the terminal, and to programs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from zoo.config.config import Config
from zoo.diagnosis.diagnose import Diagnosis
from zoo.diagnosis.profiles import Profile
from zoo.errors import quoted
from zoo.probes.stream.profile import StreamProfile

ROWS = 12  # writes of a table


def title(config: Config, where: str | None) -> str:
    """What is diagnosed, in a few words."""
    words = [f"{config.choices['task']}, {config.choices['connection']}"]
    depth = config.sections["model"].get("depth")
    words += [f"depth {depth}"] if depth is not None else []
    return ", ".join([*words, f"trained in {Path(where).name}" if where else "before training"])


def facts(config: Config, where: str | None) -> dict[str, str]:
    """What a reader of the page should know of it."""
    state = "of the last checkpoint" if where else f"drawn from seed {config.seed}"
    return {
        "command": quoted(["python", "-m", "zoo", "diagnose", *config.overrides]),
        "weights": state,
        "pass": "one batch of the training data, in training mode, forward and backward",
    }


def lines(found: Diagnosis, commands: list[str]) -> list[str]:
    """The findings, the comparisons that test their cures, and the stream by depth."""
    text = [str(finding) for finding in found.findings] or ["No known cause is found."]
    if commands:
        text += ["", "To test the cure in pairs:", *(f"  {each}" for each in commands)]
    return [*text, "", *table(found.profile)] if found.profile else text


def table(profile: StreamProfile) -> list[str]:
    """Stream, share of the branch and gradient of some writes, from the first to the last."""
    count = len(profile.modules)
    step = max(1, -(-count // ROWS))
    shown = sorted({*range(0, count, step), count - 1})
    width = max(len("write"), *(len(profile.modules[i]) for i in shown))
    head = f"{'write':<{width}}  {'stream':>9}  {'branch/stream':>13}  {'gradient':>9}"
    return [head] + [
        f"{profile.modules[i]:<{width}}  {float(profile.stream[i]):>9.3g}  "
        f"{float(profile.ratio[i]):>13.3g}  {float(profile.gradient[i]):>9.3g}"
        for i in shown
    ]


def plain(profile: Profile) -> dict[str, Any]:
    """A measure by depth as plain values; None where one is not known."""
    lines = {
        label: [None if math.isnan(value) else value for value in line]
        for label, line in profile.lines.items()
    }
    return {"places": list(profile.places), "lines": lines}
