"""The verbs of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.config.options import checked
from zoo.config.overrides import parse
from zoo.errors import ConfigError, close, suggest

DIFFERS = 7  # the exit code of a command that came to its end and found what should not be


@dataclass
class Flags:
    json: bool = False
    debug: bool = False
    help: bool = False
    version: bool = False


def emit(flags: Flags, record: Any, text: str) -> None:
    """Prints a result on stdout, as JSON or as text."""
    print(json.dumps(record) if flags.json else text)


def configured(words: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    from zoo.config.compose import load

    return load(words)


def fit(words: Sequence[str], flags: Flags) -> int:
    config, general = configured(words)
    from importlib import import_module

    run = import_module("tasks.training.run")
    result = run.resume(config, general["from"]) if "from" in general else run.fit(config)
    if result is not None:  # only the first process of a run reports
        following = "" if result.exit_code else f"\n{result.next_steps()}"
        emit(flags, result.record, result.table() + following)
    return 0 if result is None else result.exit_code


def run_named(verb: str, words: Sequence[str]) -> list[str]:
    """The words `from=FOLDER`; ConfigError where there is none."""
    named = [word for word in words if word.startswith("from=")]
    if not named:
        keys = [word.partition("=")[0] for word in words if "=" in word]
        misspelt = [key for key in keys if close(key, ["from"])]
        bare = [word for word in words if "=" not in word]
        near = f"did you mean from instead of {misspelt[0]}?" if misspelt else "add from=FOLDER"
        raise ConfigError("no run is named", verb, f"write from={bare[0]}" if bare else near)
    return named


def test(words: Sequence[str], flags: Flags) -> int:
    run_named("test", words)
    config, general = configured(words)
    from importlib import import_module

    result = import_module("tasks.training.run").test(config, general["from"])
    if result is not None:
        emit(flags, result.record, result.table())
    return 0


def verify(words: Sequence[str], flags: Flags) -> int:
    run_named("verify", words)
    own = [word for word in words if word.startswith("steps=")]
    config, general = configured([word for word in words if word not in own])
    from importlib import import_module

    target = import_module("tasks.recovery.verify").Verify
    report = target(**checked(target, parse(own), "verify"))(config, str(general["from"]))
    if report is None:  # only the first process of a run reports
        return 0
    emit(flags, report.record, report.text)
    return 0 if report.record["equal"] else DIFFERS


def using(verb: str) -> Callable[[Sequence[str], Flags], int]:
    """A verb for trained runs: `from=` names the run, other words are the verb's options."""

    def run_verb(words: Sequence[str], flags: Flags) -> int:
        named = run_named(verb, words)
        config, general = configured(named)
        from importlib import import_module

        others = [word for word in words if word not in named]
        report = import_module("tasks.inference.use").use(
            verb, config, str(general["from"]), others
        )
        emit(flags, report.record, report.text)
        return 0

    return run_verb


def compare(words: Sequence[str], flags: Flags) -> int:
    from importlib import import_module

    record, text, code = import_module("zoo.compare.run").compare(words)
    emit(flags, record, text)
    return int(code)


def report(words: Sequence[str], flags: Flags) -> int:
    from importlib import import_module

    emit(flags, *import_module("zoo.compare.report.merge").report(words))
    return 0


def bench(words: Sequence[str], flags: Flags) -> int:
    kinds = [word.removeprefix("of=") for word in words if word.startswith("of=")] or ["fit"]
    kind = kinds[-1]
    if kind not in BENCHES:
        raise ConfigError(f"bench knows no {kind!r}", f"of={kind}", suggest(kind, BENCHES))
    config, general = configured([word for word in words if not word.startswith("of=")])
    if "from" in general:
        raise ConfigError("bench takes no run", "from=...", "use config=FOLDER/config.yaml")
    from importlib import import_module

    report = import_module(BENCHES[kind]).bench(config)
    emit(flags, report.record, report.table())
    return 0


def new(words: Sequence[str], flags: Flags) -> int:
    from importlib import import_module

    emit(flags, *import_module("zoo.cli.new").new(words))
    return 0


def list_(words: Sequence[str], flags: Flags) -> int:
    from zoo.config import catalogue

    if len(words) > 1:
        raise ConfigError("list takes one group", "list", "see: python -m zoo list")
    if words and words[0] not in catalogue.GROUPS:
        hint = suggest(words[0], catalogue.GROUPS)
        raise ConfigError(f"unknown group {words[0]!r}", f"list {words[0]}", hint)
    entries = catalogue.group(words[0]) if words else catalogue.overview()
    emit(flags, entries, catalogue.table(entries))
    return 0


def show(words: Sequence[str], flags: Flags) -> int:
    config, _ = configured(words)
    import yaml

    tree = config.plain()
    emit(flags, tree, yaml.safe_dump(tree, sort_keys=False).rstrip())
    return 0


BENCHES = {
    "fit": "tasks.bench.fit",
    "rules": "tasks.bench.rules",
    "memory": "tasks.bench.memory",
    "twin": "tasks.bench.reference",
}
VERBS: dict[str, Callable[[Sequence[str], Flags], int]] = {
    "fit": fit,
    "test": test,
    "verify": verify,
    "sample": using("sample"),
    "predict": using("predict"),
    "export": using("export"),
    "compare": compare,
    "report": report,
    "bench": bench,
    "new": new,
    "list": list_,
    "show": show,
}
