"""Trained nets from the Hub or from a folder in its layout; nothing of them can be code."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from tasks.data.hub import quiet
from tasks.inference.plain_values import from_plain
from zoo.errors import FULL, CheckpointError, ConfigError, ZooError, is_out_of_memory
from zoo.hub_folder import CONFIG, FILES, is_hub_folder, read_config, weights_file
from zoo.run_folder import RUNS
from zoo.system.paths import expanded

ID = r"[A-Za-z0-9][\w.-]*/[\w.-]+"  # of a model of the Hub
WHERE = "zoo.load"
SPARE = 2  # times the weights: some are registered twice while a net is built


def located(folder: str | os.PathLike[str], revision: str | None) -> Path:
    """The folder itself, or that of a model of the Hub, which is fetched.

    Args:
        folder: a path, or an id `USER/NAME` where no such folder is; what is written like one is a
            path all the same in `runs` and where a folder `USER` is, unless a revision is given.
        revision: commit, branch or tag of the model; None: its newest.

    Errors:
        CheckpointError: the Hub and its cache have no such model.
        ConfigError: a folder has no revisions.
    """
    text = os.fspath(folder)
    path = Path(expanded(text, WHERE))
    of_hub = re.fullmatch(ID, text) and (revision is not None or not is_home(path.parent))
    if path.exists() or not of_hub:
        if revision is not None:
            what = f"revision={revision} is of a model of the Hub, and this is a path"
            raise ConfigError(what, str(path), "leave revision out")
        return path
    return fetched(text, revision)


def is_home(folder: Path) -> bool:
    """Whether what is in a folder, or would be, is of this machine and no model of the Hub."""
    return folder.is_dir() or folder.name == RUNS


def fetched(name: str, revision: str | None) -> Path:
    """The folder of a model in the Hub's cache; only `FILES` are ever fetched."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    where = name + (f", revision {revision}" if revision is not None else "")
    try:
        with quiet():
            folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*FILES]))
    except (GatedRepoError, RepositoryNotFoundError):
        what = "neither a folder nor a model of the Hub that is open to you"
        raise CheckpointError(what, where, "correct the name, or log in: hf auth login") from None
    except Exception as error:  # of the network, of many kinds
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        offline = constants.HF_HUB_OFFLINE
        reason = "HF_HUB_OFFLINE is set" if offline else type(error).__name__
        what = f"no such folder, and no such model in the Hub's cache or at the Hub ({reason})"
        fix = "name a folder, correct name and revision, or " + (
            "unset HF_HUB_OFFLINE" if offline else "connect"
        )
        raise CheckpointError(what, where, fix) from None
    if not is_hub_folder(folder):
        raise CheckpointError(f"it has no {CONFIG}", where, "name a model of the Residual Zoo")
    return folder


def hub_checkpoint(folder: Path) -> dict[str, Any]:
    """What a folder for the Hub holds of a checkpoint: weights of the task, and its data's outline.

    Errors:
        CheckpointError: a file is missing, damaged or another one.
    """
    from safetensors.torch import load_file

    known = read_config(folder / CONFIG)
    file = weights_file(folder, known)
    with described_by(file):
        weights = {f"model.{name}": weight for name, weight in load_file(file).items()}
    with described_by(folder / CONFIG):
        outline = from_plain(known["outline"])
        if not isinstance(outline, dict):
            raise TypeError(f"an outline is a mapping, not a {type(outline).__name__}")
    return {
        "state_dict": weights,
        "outline": outline,
        "data_digest": known["data_digest"],
        "weights": known["weights"],
    }


@contextmanager
def built_of(weights: dict[str, Tensor], folder: Path) -> Iterator[None]:
    """Within, a net is built that is no larger than its weights.

    The first parameter that is too much ends it, before memory is filled.

    Args:
        weights: of the net.
        folder: for the Hub, which describes it.

    Errors:
        CheckpointError: it describes a larger one.
    """
    what, fix = "it describes a larger net than there are weights", "export the run again"
    larger = CheckpointError(what, str(folder / CONFIG), fix)
    left = SPARE * sum(weight.numel() for weight in weights.values())

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal left
        left -= 0 if parameter is None or parameter.is_meta else parameter.numel()
        if left < 0:
            raise larger

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        raise (larger if is_out_of_memory(error) else error) from None
    finally:
        hook.remove()


def as_described(folder: Path) -> AbstractContextManager[None]:
    """Within, what a folder for the Hub describes wrongly is a CheckpointError; a run is ours."""
    return described_by(folder / CONFIG) if is_hub_folder(folder) else nullcontext()


@contextmanager
def described_by(path: Path) -> Iterator[None]:
    """Within, whatever a file describes wrongly is a CheckpointError."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
        fix = "fetch the folder again, or export the run again"
        raise CheckpointError(f"it cannot be read ({reason})", str(path), fix) from None
