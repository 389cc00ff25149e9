"""The verbs of the command line: each checks its words and returns what is to be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.config.options import checked
from zoo.config.overrides import parse
from zoo.errors import ConfigError, close, suggest
from zoo.report import Report

Act = Callable[[], Report | None]  # None in all but the first process of a run
Verb = Callable[[Sequence[str]], Act]


def configured(words: Sequence[str], answers: bool = False) -> tuple[Any, dict[str, Any]]:
    """The checked configuration of a command line, and its keys `from` and `config`.

    Args:
        words: of the command line.
        answers: whether the verb asks a trained net alone; a folder for the Hub holds no more.
    """
    from zoo.config.compose import load
    from zoo.hub_folder import refuse_hub_folder

    config, general = load(words)
    if "from" in general and not answers:
        refuse_hub_folder(Path(str(general["from"])))
    return config, general


def fit(words: Sequence[str]) -> Act:
    config, general = configured(words)
    run = import_module("tasks.training.run")
    if "from" in general:
        return partial(run.resume, config, general["from"])
    return partial(run.fit, config)


def run_named(verb: str, words: Sequence[str]) -> list[str]:
    """The words `from=FOLDER`.

    Errors:
        ConfigError: no run is named.
    """
    named = [word for word in words if word.startswith("from=")]
    if not named:
        keys = [word.partition("=")[0] for word in words if "=" in word]
        misspelt = [key for key in keys if close(key, ["from"])]
        bare = [word for word in words if "=" not in word]
        near = f"did you mean from instead of {misspelt[0]}?" if misspelt else "add from=FOLDER"
        raise ConfigError("no run is named", verb, f"write from={bare[0]}" if bare else near)
    return named


def test(words: Sequence[str]) -> Act:
    run_named("test", words)
    config, general = configured(words)
    return partial(import_module("tasks.training.run").test, config, general["from"])


def verify(words: Sequence[str]) -> Act:
    run_named("verify", words)
    options = [word for word in words if word.startswith("steps=")]
    config, general = configured([word for word in words if word not in options])
    target = import_module("tasks.inference.verify").Verify
    act = target(**checked(target, parse(options), "verify"))
    return partial(act, config, str(general["from"]))


def export(words: Sequence[str]) -> Act:
    named = run_named("export", words)
    config, general = configured(named, answers=True)
    use, verb = (import_module(f"tasks.inference.{name}") for name in ("use", "export.verb"))
    options = use.parse_options(verb.Export, [word for word in words if word not in named])
    return partial(use.made(verb.Export, options, "export"), config, str(general["from"]))


def using(verb: str) -> Verb:
    """A verb that uses a trained run: `from=` names it, other words are the verb's options."""

    def act(words: Sequence[str]) -> Act:
        named = run_named(verb, words)
        config, general = configured(named, answers=True)
        others = [word for word in words if word not in named]
        use = import_module("tasks.inference.use").use
        return partial(use, verb, config, str(general["from"]), others)

    return act


def diagnose(words: Sequence[str]) -> Act:
    if any(word.startswith("fix=") for word in words):
        return fix(words)
    own = {word: word.partition("=")[0] for word in words}
    options = parse([word for word in words if own[word] in ("dir", "full", "try")])
    trial = options.pop("try", False)
    if type(trial) is not bool:
        raise ConfigError(f"try={trial!r} is refused", "diagnose", "give try=true or try=false")
    tests = [word for word in words if own[word].partition(".")[0] in OF_TRIALS]
    config, general = configured(
        [w for w in words if w not in tests and own[w] not in ("dir", "full", "try")]
    )
    target = import_module("tasks.inference.diagnose").Diagnose
    act = target(**checked(target, options, "diagnose"), trial=trial)
    return partial(act, config, str(general["from"]) if "from" in general else None, tests)


def fix(words: Sequence[str]) -> Act:
    for word in words:
        if word.startswith("fix=") and word != "fix=batchnorm":
            raise ConfigError(f"{word} is refused", "diagnose", "write fix=batchnorm")
    run_named("diagnose fix=batchnorm", words)
    config, general = configured([word for word in words if word != "fix=batchnorm"])
    target = import_module("tasks.inference.batchnorm").recalibrated
    return partial(target, config, str(general["from"]))


def compare(words: Sequence[str]) -> Act:
    return partial(import_module("zoo.compare.run").compare, words)


def report(words: Sequence[str]) -> Act:
    return partial(import_module("zoo.compare.report.merge").report, words)


def bench(words: Sequence[str]) -> Act:
    kinds = [word.removeprefix("of=") for word in words if word.startswith("of=")] or ["fit"]
    kind = kinds[-1]
    if kind not in BENCHES:
        raise ConfigError(f"bench knows no {kind!r}", f"of={kind}", suggest(kind, BENCHES))
    words = [word for word in words if not word.startswith("of=")]
    if kind in WITHOUT_CONFIG:
        return partial(import_module(BENCHES[kind]).bench, words)
    config, general = configured(words)
    if "from" in general:
        raise ConfigError("bench takes no run", "from=...", "use config=FOLDER/config.yaml")
    return partial(import_module(BENCHES[kind]).bench, config)


def new(words: Sequence[str]) -> Act:
    return partial(import_module("zoo.cli.new").new, words)


def list_(words: Sequence[str]) -> Act:
    from zoo.config import catalogue

    if len(words) > 1:
        raise ConfigError("list takes one group", "list", "see: python -m zoo list")
    if words and words[0] not in catalogue.LISTED:
        hint = suggest(words[0], catalogue.LISTED)
        raise ConfigError(f"unknown group {words[0]!r}", f"list {words[0]}", hint)
    entries = catalogue.group(words[0]) if words else catalogue.overview()
    return partial(Report, entries, catalogue.table(entries))


def show(words: Sequence[str]) -> Act:
    config, _ = configured(words)
    import yaml

    tree = config.plain()
    return partial(Report, tree, yaml.safe_dump(tree, sort_keys=False).rstrip())


OF_TRIALS = (  # keys of diagnose that go on to compare
    *("pairs", "limit", "vary", "tune", "tune_seeds", "effects"),
    *("engine", "workers", "together", "minutes", "max_cells", "mirror"),
)
BENCHES = {
    "fit": "tasks.bench.fit",
    "rules": "tasks.bench.rules",
    "memory": "tasks.bench.activations",
    "twin": "tasks.bench.reference",
    "compile": "tasks.bench.compilation",
    "diagnose": "tasks.bench.diagnose",
    "gpu": "tasks.bench.gpu.verb",
}
WITHOUT_CONFIG = ("diagnose", "gpu")  # they have nets of their own
VERBS: dict[str, Verb] = {
    "fit": fit,
    "test": test,
    "verify": verify,
    "sample": using("sample"),
    "predict": using("predict"),
    "export": export,
    "diagnose": diagnose,
    "compare": compare,
    "report": report,
    "bench": bench,
    "new": new,
    "list": list_,
    "show": show,
}
