"""A folder by which one process gives jobs to workers on other machines.

A job is a file that lies in one place at a time: `requests/NAME` until a worker takes it, then
`taken/NAME@WORKER`. It is taken and given back by renaming, which a file system does as a whole, so
that one worker has it. `answers/NAME` appears whole, and then the claim goes. Nothing here looks at
the time of a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.compare.execution.engine import Outcome
from zoo.system.atomic import atomic_write
from zoo.system.heartbeat import Pulse, Watch

SENDER = "sender"  # whose pulse it is, beside those of workers


class Mailbox:
    """The folder, as the sender of jobs and their workers see it.

    Args:
        path: of the folder, absolute.
    """

    def __init__(self, path: Path):
        self.path = path
        self.requests, self.taken = path / "requests", path / "taken"
        self.answers, self.alive = path / "answers", path / "alive"

    def create(self) -> None:
        """Makes the folder."""
        for folder in (self.requests, self.taken, self.answers, self.alive):
            folder.mkdir(parents=True, exist_ok=True)

    def exists(self) -> bool:
        """Whether the folder is there; its sender removes it at the end."""
        return self.requests.is_dir()

    def pulse(self, who: str = SENDER) -> Pulse:
        """The pulse of a worker, or of the sender, to beat it."""
        return Pulse(self.alive / who)

    def watch(self, who: str = SENDER) -> Watch:
        """The pulse of a worker, or of the sender, to see it."""
        return Watch(self.alive / who)

    def workers(self) -> list[str]:
        """The workers that have ever given a sign of life."""
        return [name for name in names_in(self.alive) if name != SENDER]

    def ask(self, name: str, request: Mapping[str, Any]) -> None:
        """Puts a job where workers find it; those of lesser names are taken first."""
        atomic_write(self.requests / name, json.dumps(request))

    def take(
        self, worker: str, fits: Callable[[dict[str, Any]], bool]
    ) -> tuple[str, dict[str, Any]] | None:
        """A job that now is this worker's, its name and its request; None where there is none.

        Args:
            worker: that takes it.
            fits: whether it can do a request.
        """
        for name in names_in(self.requests):
            with contextlib.suppress(OSError):  # another worker was faster
                request = json.loads((self.requests / name).read_text(encoding="utf-8"))
                if fits(request) and self.moved(self.requests / name, self.claim(name, worker)):
                    return name, request
        return None

    def give_back(self, name: str, worker: str, request: Mapping[str, Any]) -> None:
        """Puts a job back to those that wait, with this request; its run's folder is removed."""
        for run in request.get("runs", [request]):
            if "folder" in run:
                shutil.rmtree(run["folder"], ignore_errors=True)
        claim = self.claim(name, worker)
        if claim.exists():
            atomic_write(claim, json.dumps(request))
        self.moved(claim, self.requests / name)

    def moved(self, path: Path, other: Path) -> bool:
        """Renames a file; whether this did it.

        A server that loses its reply is asked again by the system, and then finds no file.
        """
        try:
            path.rename(other)
        except FileNotFoundError:
            return other.exists()
        return True

    def claim(self, name: str, worker: str) -> Path:
        """The file that says that a worker has a job."""
        return self.taken / f"{name}@{worker}"

    def claims(self) -> list[tuple[str, str]]:
        """The names of jobs that are taken, each with its worker."""
        pairs = (file.partition("@") for file in names_in(self.taken))
        return [(name, worker) for name, _, worker in pairs]

    def answer(self, name: str, outcome: Outcome) -> None:
        """Says how a job ended."""
        told = {key: value for key, value in asdict(outcome).items() if key != "job"}
        atomic_write(self.answers / name, json.dumps(told))

    def outcomes(self) -> list[Outcome]:
        """How jobs ended that were answered since, by their names; each is read once."""
        found = []
        for name in names_in(self.answers):
            told = json.loads((self.answers / name).read_text(encoding="utf-8"))
            found.append(Outcome(name, **told))
            (self.answers / name).unlink()
        return found

    def forget(self, name: str, worker: str) -> None:
        """Ends a claim; a worker that still works on the job sees by this that it was given up."""
        self.claim(name, worker).unlink(missing_ok=True)


def names_in(folder: Path) -> list[str]:
    """The names in a folder in order, without those that begin with a dot.

    A file is made and removed there before, since a client of NFS that changes a folder asks the
    server what is in it, and may else show for up to a minute what was.
    """
    with tempfile.NamedTemporaryFile(prefix=".fresh", dir=folder):
        pass
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))
