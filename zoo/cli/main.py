"""The command line: flags, messages and exit codes."""

from __future__ import annotations

import json
import os
import signal
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
from zoo.system.launch import is_first, launch

LIGHT = ("list", "show")  # verbs that need no library's cache
SHARED = ("fit", "test", "verify")  # verbs that several processes may do together


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
        refuse_many(verb)
        act = VERBS[verb](words)
        report = act()
        meet()
        if report is None:  # only the first process of a run reports
            return 0
        if report.record:  # others have an exit code at most
            print(json.dumps(report.record) if flags.json else report.text)
        sys.stdout.flush()  # a full disk is an error, as any other
        return report.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return failed(of_all(error), argv)


def refuse_many(verb: str) -> None:
    """ConfigError where a program that starts processes of a run was given another verb.

    Even one such process would hand its place in the run on to the processes that it starts.
    """
    here = launch()
    if here.by and verb not in SHARED:
        what = f"{here.by} starts the processes of a run, and {verb} is a single one"
        raise ConfigError(what, verb, f"call it without {here.by}")


def meet(error: Exception | None = None) -> None:
    """Waits for the other processes, where another program has started them and they train."""
    if launch().by:
        from zoo.system import meeting

        meeting.meet(error)


def of_all(error: Exception) -> Exception:
    """The error that all processes have, where one of them failed before they train."""
    try:
        meet(error)
    except Exception as first:
        return first
    return error


def failed(error: Exception, argv: Sequence[str]) -> int:
    """Prints an error as one line, with its traceback under `--debug`; returns the exit code."""
    if launch().by:  # it ends the others as soon as one has failed: all shall tell the same code
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--debug" in argv:
        traceback.print_exception(error)
    known = as_zoo_error(error)
    line = str(known)
    if not isinstance(known, ZooError):
        reason = " ".join(line.split())[:300] or "no message"
        hint = "run again with --debug for the traceback"
        line = shown(f"{type(error).__name__}: {reason} -- {' '.join(argv)[:200]} -- {hint}")
    first = is_first()
    if first or not isinstance(known, ZooError):  # what all processes see, one prints
        process = "" if first else f"process {launch().rank}: "
        print(f"zoo: error: {process}{line}", file=sys.stderr)
    return known.code if isinstance(known, ZooError) else 1


def entry() -> None:
    """Runs the installed command `zoo`, which `python -m zoo` is, too."""
    open_standard_streams()
    sys.exit(main(sys.argv[1:]))
