"""The command line: verbs, messages and exit codes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import ConfigError, ZooError, as_zoo_error, suggest
from zoo.usage import USAGE


@dataclass
class Flags:
    json: bool = False
    debug: bool = False


def emit(flags: Flags, record: Any, text: str) -> None:
    """Prints a result on stdout, as JSON or as text."""
    print(json.dumps(record) if flags.json else text)


def configured(words: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    from zoo.config import load

    return load(words)


def fit(words: Sequence[str], flags: Flags) -> int:
    config, general = configured(words)
    from importlib import import_module

    run = import_module("tasks.run")
    result = run.resume(config, general["from"]) if "from" in general else run.fit(config)
    if result is not None:  # only the first process of a run reports
        emit(flags, result.record, result.table())
    return 0 if result is None else result.exit_code


def test(words: Sequence[str], flags: Flags) -> int:
    if not any(word.startswith("from=") for word in words):
        raise ConfigError("no run is named", "test", "add from=FOLDER")
    config, general = configured(words)
    from importlib import import_module

    result = import_module("tasks.run").test(config, general["from"])
    if result is not None:
        emit(flags, result.record, result.table())
    return 0


def using(verb: str) -> Callable[[Sequence[str], Flags], int]:
    """A verb for trained runs: `from=` names the run, `data.path=` data that was moved.

    Other words are the verb's options.
    """

    def run_verb(words: Sequence[str], flags: Flags) -> int:
        named = [word for word in words if word.startswith(("from=", "data.path="))]
        if not any(word.startswith("from=") for word in named):
            raise ConfigError("no run is named", verb, "add from=FOLDER")
        config, general = configured(named)
        from importlib import import_module

        others = [word for word in words if word not in named]
        report = import_module("tasks.use").use(verb, config, str(general["from"]), others)
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

    emit(flags, *import_module("zoo.compare.rebuild").report(words))
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


def list_(words: Sequence[str], flags: Flags) -> int:
    from zoo import catalogue, registry

    if len(words) > 1:
        raise ConfigError("list takes one group", "list", "see: python -m zoo list")
    if words and words[0] not in registry.GROUPS:
        hint = suggest(words[0], registry.GROUPS)
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
    "fit": "tasks.bench",
    "rules": "tasks.bench_rules",
    "memory": "tasks.bench_memory",
    "twin": "tasks.bench_twin",
}
VERBS: dict[str, Callable[[Sequence[str], Flags], int]] = {
    "fit": fit,
    "test": test,
    "sample": using("sample"),
    "predict": using("predict"),
    "export": using("export"),
    "compare": compare,
    "report": report,
    "bench": bench,
    "list": list_,
    "show": show,
}


def split(argv: Sequence[str]) -> tuple[Flags, str | None, list[str]]:
    """Splits a command line into flags, verb and words."""
    flags, rest = Flags(), []
    for word in argv:
        if word in ("--json", "--debug"):
            setattr(flags, word[2:], True)
        elif word in ("-h", "--help", "--version"):
            return flags, word, []
        elif word.startswith("-"):
            known = ("--json", "--debug", "--help", "--version")
            raise ConfigError(f"unknown flag {word}", "command line", suggest(word, known))
        else:
            rest.append(word)
    return flags, rest[0] if rest else None, rest[1:]


def run(argv: Sequence[str]) -> int:
    """Runs one command; errors are raised."""
    flags, verb, words = split(argv)
    if verb == "--version":
        from zoo import __version__

        print(__version__)
    elif verb in ("-h", "--help"):
        print(USAGE, end="")
    elif verb is None:
        raise ConfigError("no verb", "command line", f"choose from {', '.join(VERBS)}")
    elif verb not in VERBS:
        raise ConfigError(f"unknown verb {verb!r}", "command line", suggest(verb, VERBS))
    else:
        return VERBS[verb](words, flags)
    return 0


def main(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit code; errors are one line on stderr."""
    try:
        return run(argv)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--debug" in argv:
            traceback.print_exc()
        known = as_zoo_error(error)
        line = str(known)
        if not isinstance(known, ZooError):
            reason = " ".join(line.split())[:300] or "no message"
            hint = "run again with --debug for the traceback"
            line = f"{type(error).__name__}: {reason} -- {' '.join(argv)[:200]} -- {hint}"
        rank = os.environ.get("LOCAL_RANK", "0")
        if rank == "0" or not isinstance(known, ZooError):  # what all processes see, one says
            print(
                f"zoo: error: {'' if rank == '0' else f'process {rank}: '}{line}", file=sys.stderr
            )
        return known.code if isinstance(known, ZooError) else 1


def entry() -> None:
    """The installed command `zoo`."""
    sys.exit(main(sys.argv[1:]))
