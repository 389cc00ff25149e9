"""The verb `export`: a trained net as a file of another program, checked before it is there."""

from __future__ import annotations

import copy
import re
from dataclasses import asdict
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Any, Literal

from tasks.data.folders import folder_at
from tasks.data.phrases import shown
from tasks.inference.export.about import about
from tasks.inference.export.comparing import differences
from tasks.inference.export.difference import Difference
from tasks.inference.export.formats import FORMATS, Format, TorchExport
from tasks.inference.export.hub import ExportHub
from tasks.inference.export.program import Range, named_shapes
from tasks.inference.files import output_file, writing
from tasks.inference.restored import Weights
from tasks.inference.trained_module import Trained, load
from tasks.training.process import logged
from zoo.config.config import Config
from zoo.errors import ConfigError, DataError
from zoo.report import DIFFERS, Report
from zoo.system.atomic import atomic_replace

FORMAT = Literal["safetensors", "torch_export", "onnx", "diffusers", "hub"]
LICENSE = r"[a-z0-9][a-z0-9.+-]*"  # an identifier of the Hub


class Export:
    """Writes a trained net as a file, once it is read again and gives what the net gives.

    Files of the net alone take what `zoo.load(FOLDER).prepare` gives. Their metadata say under
    `zoo`, as JSON, what that is, with the options of the net. Known inputs of several sizes are
    drawn for the comparison, which is done on the CPU in float32.

    Args:
        format: `safetensors` (weights, of which `zoo.load_net` builds the net), `torch_export`
            (a graph for PyTorch), `onnx` (a graph for other programs), `diffusers` (a pipeline
            folder, of task=diffusion) or `hub` (a folder for the Hugging Face Hub, which
            `zoo.load` takes from here and from there); None: diffusers for task=diffusion, else
            safetensors.
        weights: of the last step, or of the one with the lowest validation loss; None: the last,
            or those that a folder for the Hub holds.
        dir: the folder of the file, or a new one for `diffusers` and `hub`; None: `export` in the
            run folder.
        check: a file from elsewhere, `.safetensors`, `.pt2` or `.onnx`: nothing is written, it is
            compared with the run; exit code 7 where it is not the same net.
        trust: whether `check` may read a `.pt2` file, which runs what code is in it.
        license: of `hub`: what its card states, by the Hub's identifier, such as mit; None: none.
        comparison: of `hub`: folder of a comparison that has the run, whose verdicts its card
            tells; None: the one in which the run lies, if it is in one.
    """

    def __init__(
        self,
        format: FORMAT | None = None,
        weights: Weights | None = None,
        dir: str | None = None,
        check: str | None = None,
        trust: bool = False,
        license: str | None = None,
        comparison: str | None = None,
    ):
        if check is not None and (format or dir):
            raise ValueError("check=FILE compares and writes nothing, so leave out format and dir")
        if trust and check is None:
            raise ValueError("trust=true is an option of check=FILE")
        if format != "hub" and (license or comparison):
            raise ValueError("license and comparison are options of format=hub")
        if license is not None and not re.fullmatch(LICENSE, license):
            raise ValueError(f"license={license!r} is no identifier such as mit or cc-by-4.0")
        self.format, self.weights, self.dir = format, weights, dir
        self.check, self.trust = check, trust
        self.license, self.comparison = license, comparison

    def __call__(self, config: Config, where: str) -> Report:
        if self.check is not None:
            file = folder_at(self.check)
            reader = self.reader(file)
            return self.checked(load(where, self.weights, "cpu"), file, reader)
        task = config.choices["task"]
        kind = self.format or ("diffusers" if task == "diffusion" else "safetensors")
        if kind == "hub":
            act = ExportHub(self.dir, self.license, self.comparison)
            return act(load(where, self.weights, "cpu"))
        if kind != "diffusers":
            return self.written(load(where, self.weights, "cpu"), kind, FORMATS[kind])
        if task != "diffusion":
            what = f"format=diffusers is for runs of task=diffusion, not of task={task}"
            raise ConfigError(what, "export", f"choose from {', '.join(FORMATS)}, hub")
        return self.pipeline(load(where, self.weights, "cpu"))

    def pipeline(self, net: Trained) -> Report:
        """Writes a folder of diffusers."""
        act = import_module("tasks.diffusion.export").ExportDiffusers(self.dir)
        with logged(None), net.learned.evaluating():
            report: Report = act(net.learned, net.folder)
        return report

    def written(self, net: Trained, kind: str, target: Format) -> Report:
        """Writes a file of the net, if it gives what the net gives."""
        file = Path(self.dir or net.folder.path / "export") / f"{net.weights}{target.suffix}"
        file = output_file(str(file), file, "dir")
        if self.dir is not None and file.exists():
            raise ConfigError("something lies there", shown(file), "name another folder by dir=")
        signature = net.signature()
        mine = copy.deepcopy(net.module)  # an exporter may change what it is given
        content = target.written(signature, mine, about(net))
        with writing(file, "dir"):
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_replace(file, content) as fresh:
                try:
                    program = target.read(fresh, signature, net.module)
                    largest = differences(signature, net.module, program, shown(file))
                except DataError as error:
                    what = f"format={kind} cannot carry this net ({error.what})"
                    raise ConfigError(what, shown(file), "choose another format") from None
                wrong = [each for each in largest if not each.agrees]
                if wrong:
                    what = f"what was exported has {wrong[0]}; it is not kept"
                    raise ConfigError(what, shown(file), "report this, with the run's config.yaml")
        inputs = named_shapes(signature, program.shapes)
        record = {"export": shown(file), "format": kind, "inputs": inputs}
        record |= {"ranges": program.ranges, **described(largest)}
        takes = ", ".join(f"{name} [{', '.join(map(str, of))}]" for name, of in inputs.items())
        limits = "".join(f", {axis} {limited(of)}" for axis, of in program.ranges.items())
        return Report(record, f"{shown(file)}: {largest[0]}; takes {takes}{limits}")

    def reader(self, file: Path) -> Format:
        """The format of a file from elsewhere, by its suffix.

        Errors:
            ConfigError: there is no such format, or reading it could run code.
            DataError: there is no such file.
        """
        known = {target.suffix: target for target in FORMATS.values()}
        if file.suffix not in known:
            what = f"{file.suffix or 'no suffix'} is no format"
            raise ConfigError(what, shown(file), f"choose from {', '.join(known)}")
        if not file.is_file():
            raise DataError("no such file", shown(file), "give check=FILE")
        if file.suffix == TorchExport.suffix and not self.trust:
            what = "a .pt2 file can hold code, which would run when it is read"
            raise ConfigError(what, shown(file), "add trust=true if you know where it comes from")
        return known[file.suffix]

    def checked(self, net: Trained, file: Path, reader: Format) -> Report:
        """Compares a file from elsewhere with the net."""
        program = reader.read(file, net.signature(), net.module)
        largest = differences(net.signature(), net.module, program, shown(file))
        agrees = all(each.agrees for each in largest)
        verdict = "agrees" if agrees else "DOES NOT AGREE"
        lines = [f"{shown(file)} {verdict} with the {net.weights} weights of {net.folder.path}"]
        lines += [f"  {each}" for each in largest]
        record = {"check": shown(file), "agrees": agrees, **described(largest)}
        return Report(record, "\n".join(lines), 0 if agrees else DIFFERS)


def limited(sizes: Range) -> str:
    """The limits of an axis in words."""
    low, high = sizes
    return f"from {low}" + ("" if high is None else f" to {high}")


def described(largest: list[Difference]) -> dict[str, Any]:
    """The largest differences, for JSON, which has no numbers that are not finite."""
    rows = [asdict(each) for each in largest]
    finite = [
        {k: v if v not in (inf, -inf) and v == v else None for k, v in r.items()} for r in rows
    ]
    return {"differences": finite}
