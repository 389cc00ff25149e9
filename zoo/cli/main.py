"""The command line: flags, messages and exit codes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.cli.usage import overview
from zoo.cli.verbs import VERBS
from zoo.config.compose import GENERAL
from zoo.config.registry import GROUPS
from zoo.errors import ConfigError, ZooError, as_zoo_error, shown, suggest
from zoo.system.console import open_standard_streams, spare_caches

LIGHT = ("list", "show")  # verbs that need no library's cache


@dataclass
class Flags:
    """The flags of a command line."""

    json: bool = False
    debug: bool = False
    help: bool = False
    version: bool = False


def split(argv: Sequence[str]) -> tuple[Flags, str | None, list[str]]:
    """Splits a command line into flags, verb and words."""
    flags, rest = Flags(), []
    for word in argv:
        if word in ("--json", "--debug", "--help", "--version"):
            setattr(flags, word[2:], True)
        elif word == "-h":
            flags.help = True
        elif word.startswith("-"):
            known = ("--json", "--debug", "--help", "--version")
            bare = word.lstrip("-")
            pair = "." in bare or bare.partition("=")[0] in (*GROUPS, *GENERAL)
            near = f"write {bare.partition('=')[0]}=VALUE" if pair else suggest(word, known)
            raise ConfigError(f"unknown flag {word}", "command line", near)
        else:
            rest.append(word)
    if rest[:1] == ["help"]:
        flags.help, rest = True, rest[1:]
    return flags, rest[0] if rest else None, rest[1:]


def information(flags: Flags, verb: str | None, words: Sequence[str]) -> str:
    """The version, the overview of all verbs, or the page of one verb.

    Errors:
        ConfigError: no verb, or an unknown one.
    """
    if flags.version:
        from zoo import __version__

        return __version__
    if verb is None and flags.help:
        return overview()
    if verb is None:
        raise ConfigError("no verb", "command line", f"choose from {', '.join(VERBS)}")
    if verb not in VERBS:
        near = f"did you mean list {verb}?" if verb in GROUPS else suggest(verb, VERBS)
        raise ConfigError(f"unknown verb {verb!r}", "command line", near)
    from zoo.cli.help import page

    return page(verb, words)


def main(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit code; errors are one line on stderr."""
    try:
        flags, verb, words = split(argv)
        if flags.version or flags.help or verb not in VERBS:
            print(information(flags, verb, words))
            return 0
        if verb not in LIGHT:
            spare_caches()
        act = VERBS[verb](words)
        report = act()
        if report is None:  # only the first process of a run reports
            return 0
        print(json.dumps(report.record) if flags.json else report.text)
        sys.stdout.flush()  # a full disk is an error, as any other
        return report.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return failed(error, argv)


def failed(error: Exception, argv: Sequence[str]) -> int:
    """Prints an error as one line, with its traceback under `--debug`; returns the exit code."""
    if "--debug" in argv:
        traceback.print_exception(error)
    known = as_zoo_error(error)
    line = str(known)
    if not isinstance(known, ZooError):
        reason = " ".join(line.split())[:300] or "no message"
        hint = "run again with --debug for the traceback"
        line = shown(f"{type(error).__name__}: {reason} -- {' '.join(argv)[:200]} -- {hint}")
    rank = os.environ.get("LOCAL_RANK", "0")
    if rank == "0" or not isinstance(known, ZooError):  # what all processes see, one prints
        process = "" if rank == "0" else f"process {rank}: "
        print(f"zoo: error: {process}{line}", file=sys.stderr)
    return known.code if isinstance(known, ZooError) else 1


def entry() -> None:
    """Runs the installed command `zoo`, which `python -m zoo` is, too."""
    open_standard_streams()
    sys.exit(main(sys.argv[1:]))
