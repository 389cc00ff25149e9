"""What runs on a node of a Ray cluster: an actor that keeps one worker program."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.compare.execution.engines.worker_process import WorkerProcess
from zoo.system.machine_memory import GPU_SHARE
from zoo.system.shared_folder import is_seen


class RaySeat:
    """A place for one worker program, which lives for many jobs and is started again if it died.

    Args:
        program: the words after `python` that start the worker.
        log: file of its messages.
        folder: in which it runs.
        part: of a GPU that it has.
    """

    def __init__(self, program: Sequence[str], log: str, folder: str, part: float = 1.0):
        self.program, self.log, self.folder = program, Path(log), folder
        self.variables = {GPU_SHARE: str(part)}
        self.worker: WorkerProcess | None = None

    def begin(self, line: str) -> tuple[str, str]:
        """The name of the node, and the folder that it does not see; empty where it sees all.

        Args:
            line: that the file of messages has.
        """
        unseen = ""
        if not is_seen(Path(self.folder)):
            unseen = self.folder
        elif not is_seen(self.log, line):
            unseen = str(self.log.parent)
        return socket.gethostname(), unseen

    def work(self, request: Mapping[str, Any], seconds: float) -> tuple[dict[str, Any] | None, str]:
        """The worker's answer to a request, or why there is none; see `WorkerProcess.work`."""
        if self.worker is None or self.worker.ended:
            self.worker = WorkerProcess(self.program, self.log, self.variables, self.folder)
        return self.worker.work(request, seconds)

    def stop(self) -> None:
        """Ends the worker with all that it has started."""
        if self.worker and not self.worker.ended:
            self.worker.end()
