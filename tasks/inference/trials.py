"""The comparisons that test the cures of findings in pairs, and what they showed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.compare.design.command import Defaults, as_word, words_of
from zoo.compare.design.spec import comparison_file, declare
from zoo.compare.run import compare, folder_of
from zoo.config import registry
from zoo.config.config import Config
from zoo.config.limits import LIMITS, WARMUPS
from zoo.config.overrides import parse
from zoo.config.tree import flatten
from zoo.config.yaml_file import read_yaml
from zoo.diagnosis.finding import Finding, finite
from zoo.diagnosis.page import Trial
from zoo.errors import ConfigError, quoted
from zoo.report import Report

Cure = str | Callable[[Any, Finding], Any]  # a value, or one made of the present one
USUAL = 1e-3  # an update's size over that of its weights, of nets that train
LEAST = 1e-9  # such a size, where updates change nothing at all
TWINS = {  # lengths of which one that is stated clears the other
    f"{group}.{name}": f"{group}.{other}"
    for group, names in (("trainer", LIMITS), ("optimizer", tuple(WARMUPS)))
    for name, other in (names, names[::-1])
}
FREE = ("seed", "run.", "logger.", "diagnostics")  # keys that change no result, or that pairs set


def tenth(present: float, finding: Finding) -> float:
    """A tenth of the present value."""
    return float(f"{present / 10:.1g}")


def fitted(present: float, finding: Finding) -> float:
    """The value with which updates have their usual size; a tenth where theirs is not finite."""
    if finite(finding.value) is None:
        return tenth(present, finding)
    return float(f"{present * USUAL / (finding.value or LEAST):.1g}")


SKIP: tuple[tuple[str, Cure], ...] = (("connection", "residual"),)
NORM: tuple[tuple[str, Cure], ...] = (("model.norm", "group"), ("model.norm", "layer"))
FLOW: tuple[tuple[str, Cure], ...] = (*SKIP, ("norm", "pre"), ("init", "fixup"))
TRIALS: dict[str, tuple[tuple[str, Cure], ...]] = {
    "non_finite": (("trainer.precision", "32-true"), ("optimizer.lr", tenth)),
    "exploding_activations": (("norm", "pre"), ("init", "fixup")),
    "fp16_overflow": (("trainer.precision", "bf16-mixed"),),
    "dead_units": (("model.activation", "gelu"), ("optimizer.lr", tenth)),
    "saturated_units": (("norm", "pre"), *SKIP),
    "vanishing_gradients": FLOW,
    "exploding_gradients": FLOW,
    "idle_branch": (*SKIP, ("init", "default")),
    "stream_growth": (("norm", "pre"), ("connection", "rezero")),
    "broken_identity": SKIP,
    "missing_add": SKIP,
    "double_add": SKIP,
    "collapsed_features": (*SKIP, ("connection", "initial")),
    "stale_batchnorm": NORM,
    "tiny_batch_norm": NORM,
    "decayed_norms": (("optimizer.decay_biases", "false"),),
    "equal_units": (("init", "default"),),
    "step_too_large": (("optimizer.lr", fitted),),
    "step_too_small": (("optimizer.lr", fitted),),
}  # for a cause the axes whose comparison tests a cure; the first that the net does not have


def trials_of(
    findings: Sequence[Finding], config: Config, words: Sequence[str]
) -> dict[tuple[str, ...], list[str]]:
    """The words of each comparison that tests a cure, with the causes of the findings it is for.

    Args:
        findings: of a net.
        config: of the net.
        words: of all comparisons, such as `pairs=3`.
    """
    net, trials = words_of_net(config), dict[tuple[str, ...], list[str]]()
    for finding in findings:
        if tested := trial_of(finding, config, net):
            causes = trials.setdefault((*tested, *words), [])
            causes += [finding.cause] if finding.cause not in causes else []
    return trials


def trial_of(finding: Finding, config: Config, net: Mapping[str, str]) -> list[str]:
    """The words of the comparison that tests the cure of a finding; none where no axis does.

    Args:
        finding: of a net.
        config: of the net.
        net: the words that make it.
    """
    for key, cure in TRIALS.get(finding.cause, ()):
        group, _, option = key.partition(".")
        present = config.sections[group].get(option) if option else config.choices.get(group)
        if callable(cure):
            cure = as_word(cure(present, finding))
        if as_word(present) != cure and knows(config, group, option, cure):
            words = {**net}
            if "connection" in (*words, key) and "long" in config.choices:  # follows it otherwise
                words.setdefault("long", config.choices["long"])
            words.pop(key, None)
            axis = f"{key}={as_word(present)},{cure}"
            return [*(f"{name}={value}" for name, value in words.items()), axis]
    return []


def knows(config: Config, group: str, option: str, cure: str) -> bool:
    """Whether the choice of a group has an option that takes a value, or the group that choice."""
    name = config.choices.get(group, "")
    if not option:
        return cure in registry.names(group)
    try:
        registry.check(group, name, {**config.sections[group], **parse([f"{option}={cure}"])})
    except ConfigError:
        return False
    return option in config.sections[group]


def words_of_net(config: Config) -> dict[str, str]:
    """The values that make a net and its training, by their keys.

    Stated is also what a comparison would choose otherwise by itself: what its declaration says of
    the task, and of two lengths that exclude each other the second, where the first is stated.
    """
    flat = flatten(config.plain())
    words = dict(word.split("=", 1) for word in words_of(config, Defaults()))
    declared = read_yaml(comparison_file("default"))["tasks"].get(config.choices["task"], {})
    for name, value in declared.items():
        if name in flat and flat[name] != value:
            words.setdefault(name, as_word(flat[name]))
    for name in TWINS.keys() & flat.keys() & words.keys():
        words.setdefault(TWINS[name], as_word(flat[TWINS[name]]))
    idle = {name for name, twin in TWINS.items() if words.get(name, "") == "null" != words[twin]}
    return {
        name: value
        for name, value in words.items()
        if name not in idle and not name.startswith(FREE)
    }


def tried(words: Sequence[str], causes: Sequence[str], beside: Path) -> tuple[Trial, Report]:
    """Runs a comparison, or what of it is missing.

    Args:
        words: of the comparison.
        causes: that its cure is for.
        beside: folder of the page that names its report.
    """
    name, options, _ = declare(words)
    report = folder_of(name, options, words) / "report.html"
    done = compare(words)
    path = os.path.relpath(report.absolute(), beside.absolute())
    return Trial(command(words), causes, [*verdicts(done.record)], Path(path).as_posix()), done


def command(words: Sequence[str]) -> str:
    """The command line of a comparison."""
    return quoted(["python", "-m", "zoo", "compare", *words])


def verdicts(record: Any) -> Iterator[list[str]]:
    """Of each contrast the arms, the verdict, the gap, the number of pairs and the place."""
    for place in record["places"]:
        for it in place["contrasts"]:
            gap = it["gap"] or {"value": None, "low": None}
            said = "" if gap["value"] is None else f"{gap['value']:.3g}"
            if gap["low"] is not None:
                said += f" ({gap['low']:.3g} to {gap['high']:.3g})"
            arms = f"{it['arm']} against {it['baseline']}"
            yield [arms, it["verdict"], said, str(it["pairs"]), place["title"]]
