"""A worker of a comparison: it reads requests and writes replies, each a line of JSON."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from tasks.worker.parent import die_with_parent
from zoo.compare.execution.engine import devices_in, is_short_of_memory, machines
from zoo.errors import ResourceError, ZooError, as_zoo_error
from zoo.system.launch import launch


def act(request: dict[str, Any], seat: Any = None) -> dict[str, Any]:
    """Does what a request asks for; returns the result.

    Args:
        request: of a comparison.
        seat: of a run that trains together with others.
    """
    if request["do"] == "command":
        from tasks.worker import command

        return command.run_command(request["config"], request["folder"])
    from tasks.worker import jobs

    if request["do"] == "measure":
        return jobs.measure(request["config"], request["together"])
    if devices_in(request) * machines() > 1 and not launch().by:
        from tasks.worker.ranks import run_on_devices

        return run_on_devices(request)
    if request["do"] == "together":
        return {"runs": jobs.run_cells(request["runs"], answer)}
    return jobs.run_cell(request["config"], request["folder"], request["why"], seat)


def answer(request: dict[str, Any], seat: Any = None) -> dict[str, Any]:
    """The reply to a request: the result, or the text of the error and its exit code."""
    try:
        return act(request, seat)
    except Exception as error:
        traceback.print_exc()
        known = as_zoo_error(error)
        if not isinstance(known, ZooError):
            reason = " ".join(str(error).split())[:300]
            return {"error": f"{type(error).__name__}: {reason}", "code": 1}
        return {"error": str(known), "code": known.code}


def main() -> None:
    """Answers requests until the input ends; whatever else is printed goes to stderr."""
    die_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        reply = answer(json.loads(line))
        print(json.dumps(reply), file=out, flush=True)
        if is_short_of_memory(reply):
            sys.exit(ResourceError.code)  # memory that an error may still hold


if __name__ == "__main__":
    main()
