"""Tiny runs of every task, for tests that are about where and how they compute."""

import dataclasses
import json
import signal
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import weights

from tasks.data.images.dataset import ImageSet
from tasks.data.images.digits import Digits
from tasks.diffusion import frechet
from tasks.diffusion import noise_schedule as noise
from tasks.diffusion import task as diffusion
from tasks.training.module import Task
from zoo.cli.main import main
from zoo.run_folder import RunFolder

TINY = {
    "cnn": "model.depth=8 model.width=4",
    "unet": "model.depth=1 model.width=4 data.train=6 data.val=2 data.test=2 data.size=16 "
    "data.batch_size=4",
    "diffusion": "model.depth=1 model.width=4 task.timesteps=20 task.sample_every=0 "
    "task.frechet_samples=0",
    "transformer": "model.depth=1 model.width=8 model.heads=2 model.context=8 "
    "data.val=0.0005 data.test=0.0005",
    "gnn": "data.nodes=60 data.train=20 data.val=20 data.features=8 model.depth=3 model.width=8 "
    "model.heads=2",
}
HELD = "optimizer.warmup=0 optimizer.schedule=constant trainer.max_epochs=null "
HELD += "trainer.validate_every=2 trainer.log_every=2 logger=none"
MIXED = "trainer.precision=bf16-mixed trainer.ema=0.9 trainer.clip=1.0 trainer.accumulate=2"
DROPOUT = {"gnn": 0.5, "transformer": 0.2, "unet": 0.2, "diffusion": 0.2}
OPTIONS = [  # of each task, those that reach other code
    *(f"gnn model.conv={conv}" for conv in ("gcn", "sage", "gatv2", "gin", "gen", "gcn2")),
    "gnn model.conv=gcn model.stem=conv model.head=conv task.drop_edge=0.3 norm=pre",
    "gnn model.conv=gatv2 model.jump=lstm task.drop_edge=0.3 norm=post model.norm=graph",
    "gnn model.conv=sage model.jump=max norm=pre model.norm=batch model.checkpoint=true",
    "gnn model.conv=gin model.jump=cat norm=sandwich model.norm=pair connection=reversible",
    "cnn task.crop=1 task.flip=true task.cutout=2 task.mixup=0.2 task.cutmix=1.0",
    "cnn model.depth=11 model.block=bottleneck model.shortcut=C norm=pre connection=hyper "
    "model.norm=group task.label_smoothing=0.1",
    "cnn model.form=imagenet model.depth=18 model.width=[4,4,4,4] optimizer=adamw "
    "connection=stochastic_depth",
    "cnn model.stem=whitened model.pool=true model.norm=batch_shift model.readout=max init=dirac "
    "task.crop=1 task.edge=reflect task.flip=alternating task.views=translate trainer.lookahead=3 "
    "optimizer.norm_bias_rate=64.0",
    "unet task.loss=[cross_entropy,dice,focal] task.class_weights=balanced model.up=nearest "
    "task.flip_vertical=true task.rotate=true task.crop=8 task.scale=1.3 task.brightness=0.1 "
    "task.contrast=0.2 model.checkpoint=true connection=reversible",
    "unet model.long_at=[0] model.shortcut=A long=highway norm=pre model.norm=layer",
    "transformer model.position=rotary model.feedforward=swiglu model.norm=rms model.tie=false "
    "model.value_residual=learned connection=reversible",
    "transformer model.checkpoint=true connection=mhc norm=sandwich",
    "diffusion model.depth=2 model.conditional=true model.attention_at=[0] "
    "model.embedding=film task.flip=true task.prediction=v task.schedule=cosine "
    "connection=attention",
    "diffusion task.prediction=sample long=residual connection=reversible model.checkpoint=true",
]


def shrink(monkeypatch):
    """Few images, and few steps of what is no part of the task."""
    load = Digits.load

    def few(self) -> ImageSet:
        data = load(self)
        sizes = {"train": 24, "val": 8, "test": 8}
        return dataclasses.replace(data, **{p: data.parts[p][:n] for p, n in sizes.items()})

    monkeypatch.setattr(Digits, "load", few)
    monkeypatch.setattr(frechet, "STEPS", 3)
    monkeypatch.setattr(noise, "LEAST", 16)
    monkeypatch.setattr(diffusion, "SHOWN", 4)


def words(task, *more):
    return [f"task={task}", *TINY[task].split(), *HELD.split(), *" ".join(more).split()]


def fit(folder, *given):
    assert main(["fit", *given, f"run.dir={folder}"]) == 0
    return RunFolder(folder).result()


def stopped(folder, step, *given):
    """Trains until a signal ends the run after a step."""
    take = Task.optimizer_step

    def last(self, *args):
        take(self, *args)
        if self.trainer.global_step + 1 == step:
            signal.raise_signal(signal.SIGTERM)

    with patch.object(Task, "optimizer_step", last):
        assert main(["fit", *given, f"run.dir={folder}"]) == 128 + signal.SIGTERM


def goes_on_and_is_used(task, folder, capsys, *more):
    """Trains with dropout, in one piece and in two; evaluates again, predicts, samples, exports.

    Returns:
        The result of the whole run. Its weights are those of the run in two pieces, bit for bit
        if every kernel repeats.
    """
    drop = f"model.dropout={DROPOUT[task]}" if task in DROPOUT else ""
    given = words(task, drop, *more)
    whole = fit(folder / "whole", *given, "trainer.max_steps=4")
    fit(folder / "resumed", *given, "trainer.max_steps=2")
    assert main(["fit", f"from={folder / 'resumed'}", "trainer.max_steps=4"]) == 0
    close = {"rtol": 0.02, "atol": 0.02} if whole.get("unrepeatable") else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(weights(folder / "resumed"), weights(folder / "whole"), **close)
    capsys.readouterr()
    assert main(["--json", "test", f"from={folder / 'whole'}"]) == 0
    again = json.loads(capsys.readouterr().out)["metrics"]
    assert again == pytest.approx(whole["metrics"])
    (folder / "images").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "images" / "image.png")
    uses = {
        "cnn": [["predict", f"path={folder / 'images'}"]],
        "unet": [["predict", f"path={folder / 'images'}", f"size={size}"] for size in (8, 16)],
        "gnn": [["predict"]],
        "transformer": [["sample", "tokens=12", "top_k=3"]],
        "diffusion": [
            *(["sample", "count=2", "steps=3", f"scheduler={s}"] for s in ("ddim", "ddpm", "dpm")),
            ["export"],
        ],
    }
    for verb, *options in uses.get(task, []):
        assert main([verb, f"from={folder / 'whole'}", *options]) == 0, verb
    return whole
