"""The verbs of the command line: from words to a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from zoo.cli.report import Report
from zoo.config.options import checked
from zoo.config.overrides import parse
from zoo.errors import ConfigError, close, suggest

Verb = Callable[[Sequence[str]], Report | None]  # None in all but the first process of a run


def configured(words: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    from zoo.config.compose import load

    return load(words)


def fit(words: Sequence[str]) -> Report | None:
    config, general = configured(words)
    run: Any = import_module("tasks.training.run")
    report: Report | None = (
        run.resume(config, general["from"]) if "from" in general else run.fit(config)
    )
    return report


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


def test(words: Sequence[str]) -> Report | None:
    run_named("test", words)
    config, general = configured(words)
    report: Report | None = import_module("tasks.training.run").test(config, general["from"])
    return report


def verify(words: Sequence[str]) -> Report | None:
    run_named("verify", words)
    own = [word for word in words if word.startswith("steps=")]
    config, general = configured([word for word in words if word not in own])
    target = import_module("tasks.recovery.verify").Verify
    act = target(**checked(target, parse(own), "verify"))
    report: Report | None = act(config, str(general["from"]))
    return report


def using(verb: str) -> Verb:
    """A verb for trained runs: `from=` names the run, other words are the verb's options."""

    def run_verb(words: Sequence[str]) -> Report:
        named = run_named(verb, words)
        config, general = configured(named)
        others = [word for word in words if word not in named]
        use = import_module("tasks.inference.use").use
        report: Report = use(verb, config, str(general["from"]), others)
        return report

    return run_verb


def compare(words: Sequence[str]) -> Report:
    report: Report = import_module("zoo.compare.run").compare(words)
    return report


def report(words: Sequence[str]) -> Report:
    report: Report = import_module("zoo.compare.report.merge").report(words)
    return report


def bench(words: Sequence[str]) -> Report:
    kinds = [word.removeprefix("of=") for word in words if word.startswith("of=")] or ["fit"]
    kind = kinds[-1]
    if kind not in BENCHES:
        raise ConfigError(f"bench knows no {kind!r}", f"of={kind}", suggest(kind, BENCHES))
    config, general = configured([word for word in words if not word.startswith("of=")])
    if "from" in general:
        raise ConfigError("bench takes no run", "from=...", "use config=FOLDER/config.yaml")
    report: Report = import_module(BENCHES[kind]).bench(config)
    return report


def list_(words: Sequence[str]) -> Report:
    from zoo.config import catalogue

    if len(words) > 1:
        raise ConfigError("list takes one group", "list", "see: python -m zoo list")
    if words and words[0] not in catalogue.GROUPS:
        hint = suggest(words[0], catalogue.GROUPS)
        raise ConfigError(f"unknown group {words[0]!r}", f"list {words[0]}", hint)
    entries = catalogue.group(words[0]) if words else catalogue.overview()
    return Report(entries, catalogue.table(entries))


def show(words: Sequence[str]) -> Report:
    config, _ = configured(words)
    import yaml

    tree = config.plain()
    return Report(tree, yaml.safe_dump(tree, sort_keys=False).rstrip())


BENCHES = {
    "fit": "tasks.bench.fit",
    "rules": "tasks.bench.rules",
    "memory": "tasks.bench.memory",
    "twin": "tasks.bench.reference",
}
VERBS: dict[str, Verb] = {
    "fit": fit,
    "test": test,
    "verify": verify,
    "sample": using("sample"),
    "predict": using("predict"),
    "export": using("export"),
    "compare": compare,
    "report": report,
    "bench": bench,
    "list": list_,
    "show": show,
}
