"""The folder of a trained net as the Hugging Face Hub wants it, which `export format=hub` writes.

All of it is data: JSON, safetensors and Markdown. What a file of it says is checked before use.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from zoo.errors import CheckpointError, ConfigError

CONFIG, WEIGHTS, RESULT, CARD = "config.json", "model.safetensors", "result.json", "README.md"
FILES = (CONFIG, WEIGHTS, RESULT, CARD)
LIBRARY = "residual-zoo"
SCHEMA = 1
KEYS = {"library_name", "schema", "weights", "sha256", "data_digest", "config", "outline"}
MOST = 2**26  # bytes of `config.json`
LOCAL = "./PATH"  # stands for a path of the machine of the training
PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
AGAIN = "export the run again by format=hub"


def config_file(folder: Path) -> Path:
    """The file with the configuration: of a run `config.yaml`, of a folder for the Hub another."""
    run = folder / "config.yaml"
    return folder / CONFIG if not run.is_file() and (folder / CONFIG).is_file() else run


def is_hub_folder(folder: Path) -> bool:
    """Whether a folder is one for the Hub, so no run."""
    return config_file(folder).name == CONFIG


def refuse_hub_folder(folder: Path) -> None:
    """ConfigError for a folder for the Hub, where a run is wanted."""
    if is_hub_folder(folder):
        what = "a folder for the Hub has weights, and no checkpoint of the training"
        fix = "name the folder of the run; this one is for predict, sample, export and zoo.load"
        raise ConfigError(what, f"from={folder}", fix)


def is_local(text: str) -> bool:
    """Whether a text is a path of one machine, so no name and no id of the Hub.

    >>> [is_local(text) for text in ("/home/me/data", "~/data", "C:\\\\data", "me/data", "digits")]
    [True, True, True, False, False]
    """
    return text.startswith(("/", "~", ".")) or text.count("/") > 1 or "\\" in text


def published(tree: Any) -> Any:
    """Nested values of a configuration, in which `LOCAL` stands for paths of this machine."""
    if isinstance(tree, dict):
        return {key: published(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [published(value) for value in tree]
    return LOCAL if isinstance(tree, str) and is_local(tree) else tree


def read_config(file: Path) -> dict[str, Any]:
    """What `config.json` says of a net: `KEYS`, and how other programs call it.

    Args:
        file: `config.json` of the folder.

    Errors:
        CheckpointError: it cannot be read, or is of another program or version.
        ConfigError: its configuration names code or a path.
    """
    where = str(file)
    try:
        if file.stat().st_size > MOST:
            raise ValueError(f"it has more than {MOST:,} bytes")
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:120]
        raise CheckpointError(f"it cannot be read ({reason})", where, AGAIN) from None
    if not isinstance(known, dict) or known.get("library_name") != LIBRARY:
        fix = "name a folder that export format=hub wrote"
        raise CheckpointError(f"it is none of {LIBRARY}", where, fix)
    if known.get("schema") != SCHEMA or not known.keys() >= KEYS:
        what = f"it is of schema {str(known.get('schema'))[:20]}, this version reads {SCHEMA}"
        missing = ", ".join(sorted(KEYS - known.keys()))
        raise CheckpointError(f"it has no {missing}" if missing else what, where, AGAIN)
    config = known["config"]
    if not isinstance(config, dict) or known["weights"] not in ("last", "best"):
        raise CheckpointError("it does not say what it holds", where, AGAIN)
    refuse_paths(config, where)
    return known


def refuse_paths(config: dict[str, Any], where: str) -> None:
    """ConfigError for a value that is a path: a folder of the Hub names no file of a machine."""
    for group, options in config.items():
        if published(options) != options:
            raise ConfigError(f"an option of {group} is a path", where, f"write {LOCAL} for it")


def weights_file(folder: Path, known: dict[str, Any]) -> Path:
    """The file of the weights, which is the one that `config.json` was written with.

    Args:
        folder: for the Hub.
        known: what `config.json` says.

    Errors:
        CheckpointError: it is missing, or another one.
    """
    file = folder / WEIGHTS
    if not file.is_file():
        others = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLED)
        what = f"there is no {WEIGHTS}"
        if others:
            what += f", and {others[0]} is not read: pickled weights can hold code"
        raise CheckpointError(what, str(folder), AGAIN)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != known["sha256"]:
        what = f"it is not the file that {CONFIG} was written with: their digests differ"
        raise CheckpointError(what, str(file), "fetch the folder again, or export the run again")
    return file
