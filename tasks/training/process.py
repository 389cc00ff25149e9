"""Settings of a whole process: the seeds of its generators, where its messages go."""

from __future__ import annotations

import contextlib
import logging
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from zoo.run_folder import RunFolder
from zoo.seeding import keyed_seed
from zoo.system.console import EscapedStream, OneLine

log = logging.getLogger("zoo")
RUN = threading.local()  # `folder`: of the run that trains in this thread


def seed_everything(seed: int) -> None:
    """Seeds the global generators, alike in all processes, since draws are for whole batches."""
    value = keyed_seed(seed, "train", "0")
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)


def random_states() -> tuple[Any, ...]:
    """The states of the global generators, on the CPU and on the GPU that is used."""
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    gpu = torch.cuda.get_rng_state() if cuda else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), gpu


def set_random_states(states: tuple[Any, ...]) -> None:
    """Sets the states that `random_states` gave."""
    python, numpy, cpu, gpu = states
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(cpu)
    if gpu is not None:
        torch.cuda.set_rng_state(gpu)


class LogFile(logging.FileHandler):
    """A log on disk; a full disk costs it lines, but ends no run."""

    def _open(self) -> EscapedStream:
        return EscapedStream(open(self.baseFilename, "ab"), "utf-8", "backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            super().close()


@contextlib.contextmanager
def without_known_warnings() -> Iterator[None]:
    """Within, warnings that tell a user nothing are left out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message="Sparse", category=UserWarning)
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view")
        warnings.filterwarnings("ignore", message="The `srun` command", category=UserWarning)
        yield


@contextlib.contextmanager
def logged(folder: RunFolder | None) -> Iterator[None]:
    """Sends messages to stderr and, with warnings and tracebacks, to the run's log.

    Where several runs share the process, in threads, each has the messages of its own thread, and
    those of threads without a run, such as a watchdog's.
    """
    previous, RUN.folder = getattr(RUN, "folder", None), folder
    handlers: list[logging.Handler] = [logging.NullHandler()]
    if folder is not None:
        handlers = [logging.StreamHandler(sys.stderr), LogFile(folder.log)]
        handlers[0].setFormatter(OneLine("zoo: %(message)s"))
        handlers[0].addFilter(lambda record: not record.exc_info)
        handlers[1].setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in handlers:
        handler.addFilter(lambda record: getattr(RUN, "folder", None) in (None, folder))
        log.addHandler(handler)
    for name in ("pytorch_lightning", "lightning_fabric", "matplotlib.font_manager"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with without_known_warnings():
        try:
            yield
        except BaseException:
            log.exception("the run ended by an error")
            raise
        finally:
            RUN.folder = previous
            for handler in handlers:
                log.removeHandler(handler)
                handler.close()
