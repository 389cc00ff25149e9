"""A run of a comparison on several devices: a process for each, which torchrun starts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.worker.main import answer
from tasks.worker.parent import die_with_parent
from zoo.compare.execution.engine import allocation, devices_in, machines
from zoo.errors import ResourceError, quoted
from zoo.system.atomic import atomic_write
from zoo.system.launch import launch

REQUEST, REPLY = "request.json", "reply{}.json"


def run_on_devices(request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to a request for a run on several devices, those of other machines included.

    Args:
        request: of a comparison; files for its processes lie beside the folder of the run.

    Errors:
        ResourceError: a process was lost.
    """
    room = Path(f"{request['folder']}.ranks")
    room.mkdir(parents=True)
    try:
        atomic_write(room / REQUEST, json.dumps(request))
        words = command(devices_in(request), room, machines())
        ended = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **allocation()},
            preexec_fn=die_with_parent,
        )
        for path in sorted(room.glob(REPLY.format("*"))):
            reply: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return reply
    finally:
        shutil.rmtree(room, ignore_errors=True)
    what = f"a process of the run was lost (exit code {ended.returncode})"
    raise ResourceError(what, quoted(words), "see the log of the worker")


def command(devices: int, room: Path, nodes: int) -> list[str]:
    """The words that start a process for each device of each machine.

    Args:
        devices: of a machine.
        room: folder of the request.
        nodes: machines; `srun` starts an agent on each of several.
    """
    agent = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={devices}"]
    program = ["-m", "tasks.worker.ranks", str(room)]
    if nodes == 1:
        return [*agent, "--standalone", *program]
    host = socket.gethostname()
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    step = ["srun", "--overlap", f"--nodes={nodes}", "--ntasks-per-node=1", "--cpu-bind=none"]
    meeting = [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={host}:{port}"]
    return [*step, *agent, *meeting, f"--rdzv-id={room.name}", *program]


def main() -> None:
    """Answers the request in a folder as one of the processes of its run."""
    die_with_parent()
    room, rank = Path(sys.argv[1]), launch().rank
    reply = answer(json.loads((room / REQUEST).read_text(encoding="utf-8")))
    if rank == 0 or "error" in reply:
        atomic_write(room / REPLY.format(rank), json.dumps(reply))
    sys.exit(reply.get("code", 0))


if __name__ == "__main__":
    main()
