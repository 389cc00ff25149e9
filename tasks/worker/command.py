"""Runs a program that is not ours: its output is the log, the last line of that the result."""

from __future__ import annotations

import json
import math
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.worker.parent import die_with_parent
from zoo import __version__
from zoo.compare.design import template
from zoo.config.options import is_number
from zoo.errors import DataError, ResourceError, cut, quoted
from zoo.run_folder import OUTCOMES, SCHEMA, RunFolder
from zoo.system.processor import processor

TAIL = 8192  # bytes of a log that are repeated where a program fails
WIDEST = 160  # characters of a line in an error
FIX = "mend it; the same command of compare runs what is missing"
ROUNDED = 1e-3  # difference of a printed metric from the mean of its outcomes


def run_command(plain: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Runs a program in a fresh folder, and returns its status: done, or diverged.

    Args:
        plain: configuration of the run.
        path: of its folder.

    Errors:
        DataError: the program failed, ended without its metric, or is not what it was.
        ResourceError: it was killed.
    """
    options, folder = plain["command"], RunFolder(Path(path))
    values = {**options["values"], "seed": plain["seed"]}
    words = template.filled(options["text"], values)
    check_files(options, values)
    folder.path.mkdir()
    print(f"zoo: {quoted(words)}, whose log is {folder.log}", file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        code, last = run(words, folder.log)
        check_end(words, code, folder.log)
        row = last_object(words, last)
        value = primary(row, options["metric"], words)
        outcomes = outcomes_of(row, value, words)
    except (DataError, ResourceError):
        print(tail(folder.log), file=sys.stderr, flush=True)
        raise
    seconds = time.monotonic() - began
    if outcomes:
        keep(outcomes, folder.path)
    lost, name = value is None, options["metric"]
    known = {"name": name, "value": value, "higher_is_better": options["higher_is_better"]}
    result = {
        "schema": SCHEMA,
        "status": "diverged" if lost else "done",
        "task": plain["choices"]["task"],
        "seed": plain["seed"],
        "metrics": numbers(row),
        "primary": known,
        "chance": {} if options["chance"] is None else {name: options["chance"]},
        "examples": {"test": len(outcomes)} if outcomes else {},
        "reason": f"{name} is {json.dumps(row[name])}" if lost else "",
        "seconds": seconds,
        "versions": {"zoo": __version__},
        "machine": processor(),
        "files": options["files"],
        "command": quoted(words),
    }
    folder.write_result(result)
    return {"status": result["status"]}


def check_files(options: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """DataError where a file that the command names is not what it was when all was planned."""
    now = template.digests(options["text"], values, template.file_digest)
    changed = [word for word, digest in options["files"].items() if now.get(word) != digest]
    new = [word for word in now if word not in options["files"]]
    if changed or new:
        what = f"{[*changed, *new][0]} has changed since the comparison began"
        fix = "begin it again; a file that runs write needs {seed} in its name"
        raise DataError(what, options["text"], fix)


def run(words: Sequence[str], log: Path) -> tuple[int, bytes]:
    """Runs a program; returns its exit code and the last line of its standard output."""
    last = b""
    with (
        log.open("ab") as file,
        subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            preexec_fn=die_with_parent,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            file.flush()
            last = line.strip() or last
    return process.returncode, last


def check_end(words: Sequence[str], code: int, log: Path) -> None:
    """Raises where a program failed, with the last line of its log.

    Args:
        words: of the command.
        code: with which it ended.
        log: its file.

    Errors:
        DataError: it ended by an error.
        ResourceError: it was killed.
    """
    if code == -signal.SIGKILL:
        what = "the program was killed (by the system if memory ran out)"
        raise ResourceError(what, quoted(words), "give it more memory, or fewer workers")
    if code:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        said = cut(tail(log).rpartition("\n")[2], WIDEST)
        raise DataError(": ".join(filter(None, [how, said])), quoted(words), FIX)


def last_object(words: Sequence[str], line: bytes) -> dict[str, Any]:
    """The JSON object in the last line of a program's output; DataError where that is none."""
    text = line.decode(errors="backslashreplace")
    try:
        row = json.loads(text)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        what = f"its output ends with {cut(text, WIDEST)!r}" if text else "it has no output"
        fix = "print the metrics as one line of JSON at the end"
        raise DataError(f"{what}, no JSON object", quoted(words), fix)
    return row


def primary(row: Mapping[str, Any], metric: str, words: Sequence[str]) -> float | None:
    """The metric among the values of a program; None where it is null or not finite.

    Errors:
        DataError: it is missing, or no number.
    """
    if metric not in row:
        fix = f"print it, or name another: metric={next(iter(row), 'NAME')}"
        raise DataError(f"its last line has no {metric}", quoted(words), fix)
    value = row[metric]
    if not (value is None or is_number(value)):
        what = f"{metric} is {cut(json.dumps(value), WIDEST)}, no number"
        raise DataError(what, quoted(words), "print a number, or null where there is none")
    return value if value is not None and math.isfinite(value) else None


def numbers(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The values of a program that are numbers, None for those that are not finite."""
    known = {key: value for key, value in row.items() if is_number(value)}
    return {key: value if math.isfinite(value) else None for key, value in known.items()}


def outcomes_of(row: Mapping[str, Any], value: float | None, words: Sequence[str]) -> list[float]:
    """What each example adds to the metric, if the program tells it.

    Args:
        row: values of the program.
        value: of the metric.
        words: of the command.

    Errors:
        DataError: an outcome is no number, or the metric is not their mean.
    """
    outcomes, kinds = row.get("outcomes", []), (bool, int, float)
    whole = isinstance(outcomes, list) and all(isinstance(x, kinds) for x in outcomes)
    if not whole or not all(map(math.isfinite, outcomes)):
        fix = "print one finite number for each example, or leave them out"
        raise DataError("outcomes is no list of numbers", quoted(words), fix)
    if not outcomes or value is None:
        return []
    mean = statistics.fmean(outcomes)
    if not math.isclose(mean, value, rel_tol=ROUNDED, abs_tol=ROUNDED):
        what = f"the metric is {value:g}, and the mean of the outcomes {mean:g}"
        raise DataError(what, quoted(words), "print outcomes of this metric, or leave them out")
    return outcomes


def keep(outcomes: Sequence[float], folder: Path) -> None:
    """Keeps the outcomes of a run beside its result."""
    import numpy as np

    with (folder / OUTCOMES).open("wb") as file:
        np.savez_compressed(file, test=np.asarray(outcomes, np.float32))


def tail(log: Path) -> str:
    """The end of a log, without the line ends after it."""
    return log.read_bytes()[-TAIL:].decode(errors="backslashreplace").rstrip()
