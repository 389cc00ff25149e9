"""What a GPU gives: `fit` beside a bare loop, every rule, and nets beside their peers."""

from __future__ import annotations

import functools
import gc
import itertools
import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Gt
from tqdm import tqdm

from tasks.bench.gpu.clock import timed
from tasks.bench.gpu.loops import loops
from tasks.bench.gpu.nets import Make, gpt
from tasks.bench.gpu.peers import PEERS
from tasks.bench.gpu.sizes import NOT_HERE, PUBLISHED, SIZES, VARIANTS, Sizes, peak_of
from tasks.bench.gpu.table import table
from tasks.inference.files import writing
from tasks.training.precision import float32_products
from zoo.config import registry
from zoo.config.options import checked
from zoo.config.overrides import parse
from zoo.errors import ConfigError, is_out_of_memory
from zoo.report import Report
from zoo.system.atomic import atomic_write
from zoo.system.paths import expanded

Job = tuple[str, str, Callable[[], dict[str, Any]]]  # the part, the name in it, the measurement


class GPU:
    """Measures what a GPU gives, and writes gpu.json and gpu.md; exit code 1 where a part failed.

    Args:
        size: `full`: nets that fill a GPU; `tiny`: the same script with tiny nets, on a CPU where
            there is no GPU.
        minutes: after which nothing more is begun; what is left out is named.
        dir: folder of the two files.

    Errors:
        ConfigError: full nets without a GPU.
    """

    def __init__(
        self,
        size: Literal["full", "tiny"] = "full",
        minutes: Annotated[float, Gt(0)] = 7.5,
        dir: str = "runs/bench",
    ):
        self.size, self.sizes, self.minutes = size, SIZES[size], minutes
        self.folder = Path(expanded(dir, f"dir={dir}"))
        found = torch.cuda.is_available()
        if size == "full" and not found:
            fix = "size=tiny tries the script on the CPU"
            raise ConfigError("there is no GPU", "bench of=gpu", fix)
        self.device = torch.device("cuda" if found else "cpu")

    def __call__(self) -> Report:
        """Returns what was measured; both files are written anew after each part."""
        with writing(self.folder, "dir"):
            self.folder.mkdir(parents=True, exist_ok=True)
        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
        record: dict[str, Any] = {"device": name, "torch": torch.__version__, "size": self.size}
        events = "events of the device" if self.device.type == "cuda" else "wall"
        record |= {"clock": f"{events}, warm-up left out", "matmul": "high", "peak": peak_of(name)}
        if self.device.type == "cpu":
            record["matmul"] = "highest"
        record |= {"fit": {}, "nets": {}, "rules": {"eager": {}, "compiled": {}}}
        record |= {"published": PUBLISHED, "published_of_others": NOT_HERE}
        record |= {"left_out": [], "lacking": lacking()}
        began = time.perf_counter()
        longest: dict[str, float] = {}
        jobs = list(jobs_of(self.sizes, self.device, record["peak"]))
        with float32_products(record["matmul"]), tqdm(jobs, unit="part", disable=None) as bar:
            for kind, label, measure in bar:
                bar.set_description(f"{kind}: {label}")
                start = time.perf_counter()
                if start - began + longest.get(kind, 0.0) > 60 * self.minutes:
                    record["left_out"].append(f"{kind}: {label}")
                    continue
                where = record["rules"] if kind in record["rules"] else record
                where[kind][label] = outcome(measure)
                longest[kind] = max(longest.get(kind, 0.0), time.perf_counter() - start)
                record["seconds"] = time.perf_counter() - began
                self.write(record)
        record["seconds"] = time.perf_counter() - began
        text = self.write(record)
        text += f"\nwritten: {self.folder / 'gpu.json'}, gpu.md"
        return Report(record, text, int('"traceback"' in json.dumps(record)))

    def write(self, record: dict[str, Any]) -> str:
        """Writes what is measured so far, so that nothing of it is lost; returns the table."""
        text = table(record)
        atomic_write(self.folder / "gpu.json", json.dumps(record, indent=1) + "\n")
        atomic_write(self.folder / "gpu.md", text + "\n")
        return text


def lacking() -> list[str]:
    """Projects whose nets cannot stand beside ours here."""
    return [name for name in ("diffusers", "timm", "transformers") if not find_spec(name)]


def outcome(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a measurement gives, or why it failed, so that others go on; its memory is free."""
    try:
        return measure()
    except Exception as error:
        if is_out_of_memory(error):
            return {"failed": "out of memory"}
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        return {"failed": line[:100], "traceback": traceback.format_exc()}
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def jobs_of(sizes: Sizes, device: torch.device, peak: float | None) -> Iterator[Job]:
    """All measurements, those first that nothing else tells."""

    def net(make: Make) -> dict[str, Any]:
        return timed(make(), sizes.warmup, sizes.steps, peak)

    for task in registry.names("task"):
        yield "fit", task, functools.partial(loops, task, sizes, device)
    if device.type == "cuda":  # of small nets, whose steps wait for the host
        for task in ("cnn", "gnn"):
            word = "trainer.graphs=true"
            yield "fit", f"{task} {word}", functools.partial(loops, task, sizes, device, word)
    for title, peers in PEERS.items():
        for name, make in peers(sizes, device).items():
            yield "nets", f"{title}, {name}", functools.partial(net, make)
    usual = ["residual", *PUBLISHED]
    known = [*registry.names("connection"), *VARIANTS]
    rest = [name for name in known if name not in usual]
    for names, compiled in itertools.product((usual, rest), (False, True)):
        for name in names:
            if compiled and sizes.compiled and name not in ("residual", *sizes.compiled):
                continue
            make = functools.partial(gpt, sizes.gpt, sizes.gpt_batch, device, name, compiled)
            yield "compiled" if compiled else "eager", name, functools.partial(net, make)


def bench(words: Sequence[str]) -> Report:
    """Measures what a GPU gives, by the options of `GPU`."""
    return GPU(**checked(GPU, parse(words), "bench of=gpu"))()
