"""Small runs, and what can be told of them: weights, batches, metrics and files."""

import copy
import functools
import hashlib
import json

import torch
from quick import drawn
from small_runs import rows
from torch._dynamo.utils import counters
from torch.utils._pytree import tree_leaves

from tasks.inference.use import use
from tasks.training.build import build_task, build_trainer_options
from tasks.training.result import order_digest
from tasks.training.train import train
from zoo.config.compose import change, load
from zoo.errors import ConfigError, DataError, Diverged
from zoo.run_folder import RunFolder
from zoo.seeding import redraw

STEPS = 3
SHORT = [f"trainer.max_steps={STEPS}", "trainer.validate_every=5", "trainer.log_every=1"]
PICTURES = ["data=images", "data.path={}/pictures-first", "data.image=img", "data.label=label"]
SMALL = {  # a run of seconds of each task, the shortest first
    "gnn": [
        "data.nodes=60",
        "data.features=8",
        "data.train=20",
        "data.val=20",
        "model.depth=3",
        "model.width=8",
    ],
    "transformer": [
        "model.depth=2",
        "model.width=8",
        "model.heads=2",
        "model.context=8",
        "data.val=0.002",
        "data.test=0.002",
        "optimizer.warmup=0",
    ],
    "unet": [
        "data.train=8",
        "data.val=2",
        "data.test=2",
        "data.size=16",
        "model.depth=2",
        "model.width=4",
        "optimizer.warmup=0",
    ],
    "cnn": [*PICTURES, "model.depth=8", "model.width=4", "optimizer.warmup=0", "data.batch_size=4"],
    "diffusion": [
        *PICTURES,
        "model.depth=2",
        "model.width=4",
        "optimizer.warmup=0",
        "data.batch_size=4",
        "task.timesteps=20",
        "task.sample_every=0",
        "task.frechet_samples=0",
    ],
}
OUTSIDE = {  # of a result: what a clock, a machine or the command line says
    *("seconds", "seconds_per_step", "peak_memory_bytes", "versions", "machine", "command"),
    *("model", "connection", "long", "data", "depth", "seed", "task", "data_notes"),
}
LOADED = {}


def remembered(source):
    """The data of a source, loaded once for equal options."""
    key = type(source), repr(sorted(vars(source).items(), key=str))
    if key not in LOADED:
        LOADED[key] = source.load()
    return LOADED[key]


def digest(*values):
    """SHA-256 over tensors and plain values."""
    found = hashlib.sha256()
    for leaf in tree_leaves(values):
        if isinstance(leaf, torch.Tensor):
            found.update(f"{leaf.dtype}{tuple(leaf.shape)}".encode())
            leaf = leaf.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        found.update(leaf if isinstance(leaf, bytes) else repr(leaf).encode())
    return found.hexdigest()


@functools.cache
def composed(*words):
    return load(words)[0]


class Run:
    """A run of some words, taken only as far as it must be to tell it from another one.

    Args:
        words: of the command line.
        place: a fresh folder.
        values: that are changed then.
    """

    def __init__(self, words, place, **values):
        self.place = place
        self.config = copy.deepcopy(composed(*words))
        change(self.config, values, "test")
        self.config.check()

    def task(self):
        return build_trainer_options(self.config), build_task(self.config, remembered)

    @functools.cached_property
    def start(self):
        """Data, batches and weights before the first step."""
        _, task = self.task()
        redraw(task.model, self.config.seed)
        self.config.factory("init")().apply(task.model)
        return digest(task.model.state_dict(), task.data_digest(), order_digest(task))

    @functools.cached_property
    def training(self):
        """Weights, log and metrics of the run."""
        return self.trained("training", False)

    @functools.cached_property
    def figures(self):
        """Names and content of its figures too."""
        with drawn():
            return self.trained("figures", True)

    def trained(self, name, pictures):
        training, task = self.task()
        folder = RunFolder(self.place / name)
        folder.create()
        counters.clear()
        train(self.config, training, task, folder, None, pictures)
        graphs = counters["stats"]["unique_graphs"]  # that were compiled
        weights = [
            torch.load(path, weights_only=True)
            for path in sorted(folder.checkpoints.glob("*.ckpt"))
            if path.stem in ("best", "last")
        ]
        weights = [each.get("state_dict", each.get("weights")) for each in weights]
        result = {k: v for k, v in folder.result().items() if k not in OUTSIDE}
        files = {
            str(path.relative_to(folder.path)): path.read_bytes() if pictures else None
            for path in sorted(folder.path.rglob("*.png"))
        }
        return digest(weights, rows(folder.path), json.dumps(result), files, graphs)


def difference(one, other, stages=("start", "training", "figures")):
    """The first stage at which a run differs from a sound one, or None; or how it ended."""
    for stage in stages:
        wanted = getattr(one, stage)
        try:
            if getattr(other, stage) != wanted:
                return stage
        except (ConfigError, DataError, Diverged) as error:
            return type(error).__name__
    return None


def used(folder, verb, words):
    """What a verb reports and writes with the run of a folder that it has for itself."""
    config, _ = load([f"from={folder}"])
    before = {path for path in folder.rglob("*") if path.is_file()}
    report = use(verb, config, str(folder), words)
    record = json.dumps(report.record).replace(str(folder), "")
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    made = {str(path.relative_to(folder)): files[path] for path in files.keys() - before}
    return digest(record, *sorted(made.items()))
