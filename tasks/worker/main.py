"""A worker of a comparison: requests come in as lines of JSON, answers go out as lines."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from typing import Any

from zoo.errors import ResourceError, ZooError, as_zoo_error

SET_PDEATHSIG = 1  # of Linux's prctl


def act(request: dict[str, Any]) -> dict[str, Any]:
    """Does what a request asks for."""
    from tasks.worker import jobs as cells

    if request["do"] == "measure":
        return cells.measure(request["config"])
    return cells.run_cell(request["config"], request["folder"])


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request: what was done, or the error, its exit code and whether to retry."""
    try:
        return act(request)
    except Exception as error:
        traceback.print_exc()
        known = as_zoo_error(error)
        if not isinstance(known, ZooError):
            reason = " ".join(str(error).split())[:300]
            return {"error": f"{type(error).__name__}: {reason}", "code": 1}
        return {"error": str(known), "code": known.code}


def die_with_parent() -> None:
    """Has the system kill this process when the one that started it ends, however it ends."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)


def main() -> None:
    """Serves until the input ends; whatever else prints goes to the log."""
    die_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        reply = answer(json.loads(line))
        print(json.dumps(reply), file=out, flush=True)
        if reply.get("code") == ResourceError.code:
            sys.exit(ResourceError.code)  # memory that an error may still hold


if __name__ == "__main__":
    main()
