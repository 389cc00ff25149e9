"""Before they train, the processes of a run meet: what fails in one of them fails in all."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore
from torch.distributed.rendezvous import rendezvous

from zoo.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    Diverged,
    ResourceError,
    ZooError,
    as_zoo_error,
)
from zoo.system.launch import launch

KINDS: dict[int, type[ZooError]] = {
    kind.code: kind
    for kind in (ZooError, ConfigError, DataError, Diverged, CheckpointError, ResourceError)
}
WAIT = timedelta(minutes=30)  # for a process that still reads its data
LEAST, OWN = 10_000, 32_768  # the first port to use, and the first that Linux hands out itself
stores: list[TCPStore] = []  # of this process, once it has met the others


def meet(error: BaseException | None = None) -> None:
    """Waits until all processes are here, once; where another program did not start them, never.

    Args:
        error: that keeps this process from training.

    Errors:
        ZooError: that of the first process which has one, in all of them.
    """
    here = launch()
    if not here.by or stores:
        return
    if here.by == "srun":
        name_first_machine()
    url = f"env://?rank={here.rank}&world_size={here.world}"
    stores.append(next(rendezvous(url, timeout=WAIT))[0])  # stays: others may still ask
    words = PrefixStore(f"meeting {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", stores[0])
    words.set(str(here.rank), json.dumps(error and plain(error)))
    for rank in range(here.world):
        found = json.loads(words.get(str(rank)))
        if found:
            code, what, *rest = found
            raise KINDS[code](f"process {rank}: {what}" if rank else what, *rest) from error


def name_first_machine() -> None:
    """Sets where the first process of a step of Slurm listens, unless its variables are given.

    The port follows from the one at which the step's `srun` listens: all its processes know that
    one, and no two `srun` on a machine have the same.
    """
    given = os.environ
    first = re.sub(r"\[(\d+)[^]]*\]", r"\1", given["SLURM_STEP_NODELIST"]).partition(",")[0]
    given.setdefault("MASTER_ADDR", first)
    taken = int(given["SLURM_SRUN_COMM_PORT"])
    given.setdefault("MASTER_PORT", str(LEAST + taken % (OWN - LEAST)))


def plain(error: BaseException) -> tuple[int, str, str, str]:
    """The exit code of an error, and its three parts."""
    known = as_zoo_error(error)
    if isinstance(known, ZooError):
        return known.code, known.what, known.where, known.fix
    reason = " ".join(str(known).split())[:300] or "no message"
    hint = "run again with --debug for the traceback"
    return ZooError.code, f"{type(known).__name__}: {reason}", "before training", hint
