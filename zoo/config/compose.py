"""From `key=value` words and YAML files, which Hydra composes, to one checked configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from zoo.config import registry
from zoo.config.config import Config
from zoo.config.limits import (
    clear_default_limit,
    clear_other_warmup,
    continue_limits,
    default_limits,
)
from zoo.config.overrides import parse
from zoo.config.presets import SLOTS, refuse_other_tasks, without_foreign
from zoo.config.tree import flatten, refuse_code
from zoo.config.usable_data import usable_with
from zoo.config.yaml_file import read_yaml
from zoo.errors import CheckpointError, ConfigError, close, suggest
from zoo.hub_folder import CONFIG, config_file, read_config
from zoo.run_folder import runs_in
from zoo.system.console import say

GENERAL = ("seed", "from", "config", "run")  # keys of run.yaml that belong to no group


def compose(choices: dict[str, str]) -> Config:
    """The configuration of some choices, with all defaults.

    Args:
        choices: a name for each group that is chosen, the task among them.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    for group, name in choices.items():
        read_yaml(registry.find(group, str(name)))  # reports a broken file in one line
    refuse_other_tasks(choices)
    first, *others = (str(home.resolve()) for home in registry.homes())
    words = [f"{SLOTS.get(group, group)}={name}" for group, name in choices.items()]
    if others:
        words.append(f"hydra.searchpath=[{','.join(repr(f'file://{other}') for other in others)}]")
    try:
        with initialize_config_dir(first, version_base="1.3"):
            composed = hydra_compose("run", words, return_hydra_config=True)
    except HydraException as error:
        reason = str(error).splitlines()[0]
        slots = [group for group in registry.FOLDERS if f"override '{SLOTS[group]}'" in reason]
        if slots:
            what = f"task={choices['task']} has no {slots[0]} skips"
            raise ConfigError(what, f"{slots[0]}={choices[slots[0]]}", "leave it out") from None
        raise ConfigError(reason, " ".join(words), "see: python -m zoo list") from None
    chosen = OmegaConf.to_container(composed.hydra.runtime.choices)
    groups = {slot: group for group, slot in SLOTS.items()}
    ours = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    tree = OmegaConf.to_container(ours, resolve=True, throw_on_missing=True)
    assert isinstance(chosen, dict)
    assert isinstance(tree, dict)
    chosen = {groups.get(str(slot), str(slot)): name for slot, name in chosen.items()}
    sections = {}
    for group, section in {str(key): value for key, value in tree.items()}.items():
        if group in chosen and group != "preset" and chosen[group] is not None:
            options = registry.options(group, str(chosen[group]))  # a preset may say more
            sections[group] = {key: value for key, value in section.items() if key in options}
    if "preset" in choices:
        sections = without_foreign(choices["preset"], chosen, sections)
    names = {str(g): str(n) for g, n in chosen.items() if g in registry.GROUPS and n is not None}
    return Config(names, sections, tree["seed"], tree["run"])


def change(config: Config, values: dict[str, Any], where: str) -> None:
    """Sets values in a configuration.

    Args:
        config: is changed.
        values: by dotted key.
        where: what sets them, for messages.

    Errors:
        ConfigError: a key that the configuration lacks; the nearest ones are suggested.
    """
    refuse_code(values, where)
    for key, value in values.items():
        tree = config.plain()
        known = {k: v for k, v in flatten(tree).items() if not k.startswith("choices.")}
        if key == "seed":
            config.seed = value
        elif key in known:
            *path, last = key.split(".")
            section: dict[str, Any] = tree
            for name in path:
                section = section[name]
            section[last] = value
        else:
            near = having(config, key) or suggest(key, [*known, *registry.GROUPS, *GENERAL])
            raise ConfigError(f"unknown option {key}", where, near)
    clear_other_warmup(config.sections["optimizer"], values)


def having(config: Config, key: str) -> str:
    """A hint on an unknown key: the other choices of its group that have it; empty without any."""
    group, _, option = key.partition(".")
    name = config.choices.get(group, "")
    if group in ("model", "task", "trainer") or not option or not name:
        return ""
    others = [n for n in registry.names(group) if option in registry.options(group, n)]
    if others and group == "data":
        others = usable_with(config.choices["task"], option)
    if others:
        return f"{group}={name} has no {option}; choose {group}={' or '.join(others)}"
    return "" if config.sections.get(group) else f"{group}={name} has no options"


def chosen_names(tree: dict[str, Any]) -> dict[str, str]:
    """Removes the choices from a file's tree and returns them.

    They are written `choices: {task: gnn}` or, shorter, `task: gnn`.
    """
    listed = tree.pop("choices", {})
    choices = dict(listed) if isinstance(listed, dict) else {}
    for group in registry.GROUPS:
        if isinstance(tree.get(group), str):
            choices[group] = tree.pop(group)
    return choices


def from_file(path: str, words: dict[str, str]) -> Config:
    """The configuration that a file holds.

    Args:
        path: the file, in YAML or `config.json` of a folder for the Hub.
        words: choices of the command line, which win.
    """
    file = Path(path)
    rest = read_config(file)["config"] if file.name == CONFIG else read_yaml(file)
    if "preset" in words:
        raise ConfigError("a preset cannot change a file's values", path, "use one of the two")
    stored = chosen_names(rest)
    for group, name in words.items():
        if stored.get(group, name) != name:  # options are for the choice that they stand beside
            usual = registry.options(group, str(stored[group]))
            dropped = [k for k, v in rest.pop(group, {}).items() if usual.get(k) != v]
            if dropped:
                say(f"{group}={name} is not {stored[group]}: {', '.join(dropped)} left out")
    return from_plain(rest, {**stored, **words}, path)


def from_plain(rest: dict[str, Any], choices: dict[str, str], where: str) -> Config:
    """The configuration of choices and values, with defaults for everything else.

    Args:
        rest: nested values.
        choices: a name for each group that is chosen.
        where: what holds them, for messages.
    """
    refuse_code(flatten({**rest, "choices": choices}), where)
    for group in choices:
        if group not in registry.GROUPS:
            raise ConfigError(f"unknown group {group}", where, suggest(group, registry.GROUPS))
    if "task" not in choices:
        refuse_misspelt(rest, where)
        raise ConfigError("no task is chosen", where, f"write task: {registry.names('task')[0]}")
    config = compose(choices)
    change(config, flatten(rest), where)
    return config


def refuse_misspelt(values: Iterable[str], where: str) -> None:
    """Raises ConfigError for a key that is nearly a group or a general key."""
    for key in values:
        names = (*registry.GROUPS, *GENERAL)
        if "." not in key and key not in names and close(key, names):
            raise ConfigError(f"unknown option {key}", where, suggest(key, names))


def load(words: Sequence[str]) -> tuple[Config, dict[str, Any]]:
    """The checked configuration of a command line, and its keys `from` and `config`."""
    values = parse(words)
    general: dict[str, Any] = {k: values.pop(k) for k in ("from", "config") if k in values}
    source = general.get("config")
    if source is None and "from" in general:
        source = str(config_file(Path(str(general["from"]))))
    refuse_code(values, "command line")
    choices = {key: str(values.pop(key)) for key in list(values) if key in registry.GROUPS}
    if source is None:
        if "task" not in choices:
            refuse_misspelt(values, "command line")
            names = registry.names("task")
            fix = f"add task={names[0]}; tasks are {', '.join(names)}"
            raise ConfigError("no task is chosen", "command line", fix)
        config = compose(choices)
    else:
        if "from" in general and not Path(source).is_file():
            raise CheckpointError(
                "there is no run", str(general["from"]), runs_in(str(general["from"]))
            )
        config = from_file(str(source), choices)
        if "config" in general:  # a repeated run gets a new folder
            config.check_run()
            config.run = dict.fromkeys(config.run)
    before = dict(config.sections["trainer"])
    change(config, values, "command line")
    if "from" in general:
        continue_limits(config.sections["trainer"], before, values)
    else:
        clear_default_limit(
            config.sections["trainer"], default_limits(config.choices), values, source
        )
    config.overrides = list(words)
    return config.check(), general
