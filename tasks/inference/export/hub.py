"""The folder of a trained net as the Hugging Face Hub wants it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

from tasks.data.phrases import shown
from tasks.inference.export.card import card_of
from tasks.inference.export.card_comparison import compared
from tasks.inference.export.comparing import differences
from tasks.inference.export.difference import Difference
from tasks.inference.export.program import named_shapes
from tasks.inference.export.weights_file import as_safetensors, program_of
from tasks.inference.files import new_files, output_folder, writing
from tasks.inference.plain_values import as_plain
from tasks.inference.trained_module import Trained, load
from zoo import __version__
from zoo.errors import ConfigError, ZooError, quoted
from zoo.hub_folder import (
    CARD,
    CONFIG,
    LIBRARY,
    RESULT,
    SCHEMA,
    WEIGHTS,
    is_local,
    published,
    read_config,
)
from zoo.report import Report
from zoo.system.atomic import atomic_write

ALONE = ("--exclude", "*/*")  # of `hf upload`: folders, such as predictions by these files
LEFT_OUT = ("run", "logger", "diagnostics")  # of the configuration: places and accounts
RESULTS = (
    *("schema", "status", "task", "model", "connection", "long", "data", "depth", "seed"),
    *("metrics", "chance", "examples", "primary", "parameters", "steps", "epochs", "seconds"),
    *("seconds_per_step", "peak_memory_bytes", "versions", "machine", "data_digest"),
    *("branch_digest", "best_step"),
)  # of the result; what is left out can hold paths


class ExportHub:
    """Writes `model.safetensors`, `config.json`, `result.json` and a model card.

    The written folder is loaded again and must give what the net gives. No path of this machine,
    no command and no name of a logger is in it.

    Args:
        dir: a new folder for it; None: `export/hub` in the run folder, written again, in which
            other files stay as they are.
        license: that the card states, by its identifier on the Hub; None: none.
        comparison: folder of a comparison that has the run; None: the one in which it lies, if any.
    """

    def __init__(self, dir: str | None, license: str | None, comparison: str | None):
        self.dir, self.license, self.comparison = dir, license, comparison

    def __call__(self, net: Trained) -> Report:
        target = output_folder(self.dir, net.folder.path / "export" / "hub", "dir")
        if self.dir is not None and target.exists():
            raise ConfigError("something lies there", f"dir={shown(target)}", "name a new folder")
        result = {key: net.result[key] for key in RESULTS if key in net.result}
        weights = as_safetensors(net.module.state_dict(), {"format": "pt"})
        known = described(net) | {"sha256": hashlib.sha256(weights).hexdigest()}
        card = card_of(net, known, compared(net.folder.path, self.comparison), self.license)
        known["card_sha256"] = hashlib.sha256(card.encode()).hexdigest()
        texts = {RESULT: as_json(result), CARD: card, CONFIG: as_json(known)}
        refuse_private(net, texts)
        with writing(target, "dir"), new_files(target) as fresh:
            refuse_edited(target)
            fresh.mkdir(parents=True)
            atomic_write(fresh / WEIGHTS, weights)
            for name, text in texts.items():
                atomic_write(fresh / name, text)
            largest = checked(net, fresh, target)
        push = quoted(["hf", "upload", "USER/NAME", str(target), ".", *ALONE])
        record = {"export": shown(target), "format": "hub", "inputs": known["inputs"]}
        record |= {"license": self.license, "push": push}
        said = "" if self.license else "; it states no license, as license=mit would"
        return Report(record, f"{shown(target)}: {largest}{said}\nto push it: {push}")


def refuse_edited(target: Path) -> None:
    """ConfigError where a folder has a card that `config.json` beside it does not know."""
    card, written = target / CARD, None
    if not card.is_file():
        return
    with contextlib.suppress(ZooError):
        written = read_config(target / CONFIG).get("card_sha256")
    if written != hashlib.sha256(card.read_bytes()).hexdigest():
        what = "the card may have been edited since it was written"
        raise ConfigError(what, shown(card), "move it elsewhere, or name a new folder by dir=")


def described(net: Trained) -> dict[str, Any]:
    """What `config.json` says of a net: how it is built, what it was fed, how it is called.

    Errors:
        ConfigError: the task has weights beside the net's, or its data has no plain outline.
    """
    others = [n for n in net.learned.state_dict() if not n.startswith("model.")]
    if others:
        what = f"task={net.task} has weights beside the net's: {others[0]}"
        raise ConfigError(what, "format=hub", "choose another format")
    choices = {g: n for g, n in net.config["choices"].items() if g not in LEFT_OUT}
    sections = {g: of for g, of in net.config.items() if g not in ("choices", *LEFT_OUT)}
    signature = net.signature()
    return {
        "library_name": LIBRARY,
        "schema": SCHEMA,
        "zoo": __version__,
        "weights": net.weights,
        "data_digest": net.learned.trained_on,
        "config": published({"choices": choices, **sections}),
        "outline": outline_of(net),
        "inputs": named_shapes(signature),
        "output": signature.output,
        **signature.about,
    }


def outline_of(net: Trained) -> Any:
    """What a net must know of its data, as JSON; without the place where they were."""
    if not hasattr(net.learned.data, "metadata"):
        what = f"{type(net.learned.data).__name__} has no metadata, of which others make its like"
        raise ConfigError(what, "format=hub", "choose another format, or give it that method")
    outline = dict(net.learned.data.metadata())
    if "where" in outline:
        outline["where"] = net.config["choices"]["data"]
    try:
        return as_plain(outline)
    except TypeError as error:
        what = f"the data's metadata is not plain: {error}"
        raise ConfigError(what, "format=hub", "choose another format") from None


def as_json(values: Any) -> str:
    """Values as a file of JSON, which has no numbers that are not finite."""
    return json.dumps(values, indent=2, allow_nan=False) + "\n"


def refuse_private(net: Trained, texts: dict[str, str]) -> None:
    """ConfigError where a text has a path of the run: of its folder or of its data."""
    options = [net.config["run"].get("dir"), net.config["data"].get("path")]
    paths = {str(net.folder.path.resolve()), *(p for p in options if p and is_local(p))}
    for name, text in texts.items():
        if any(path in text for path in paths):
            what = f"{name} would hold a path of this machine"
            raise ConfigError(what, "format=hub", "report this, with the run's config.yaml")


def checked(net: Trained, fresh: Path, target: Path) -> Difference:
    """The largest difference between a net and the one that its folder gives.

    Errors:
        ConfigError: it is more than rounding, or the folder says something else of the net.
    """
    loaded = load(fresh, device="cpu")
    signature, where = loaded.signature(), shown(target)
    program = program_of(signature, signature.of(loaded.module), loaded.module.state_dict())
    largest = differences(net.signature(), net.module, program, where)
    wrong = [str(each) for each in largest if not each.agrees]
    if signature.about != net.signature().about or loaded.classes != net.classes:
        wrong.append("other words on how it is called")
    if wrong:
        what = f"what was exported has {wrong[0]}; it is not kept"
        raise ConfigError(what, where, "report this, with the run's config.yaml")
    return largest[0]
