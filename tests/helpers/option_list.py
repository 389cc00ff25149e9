"""What a change of an option needs beside its type, and the options that change no run."""

from zoo.config import registry

BASE = {  # words that a name needs; {} stands for the folder of `make_files`
    "data.actor": ["data.path={}/webkb-first/actor"],
    "data.camvid": ["data.path={}/streets-first", "data.size=8"],
    "data.cells": ["data.train=8", "data.val=2", "data.test=2", "data.size=16"],
    "data.cifar10": ["data.path={}/cifar-first"],
    "data.cifar100": ["data.path={}/cifar-first"],
    "data.csbm": ["data.nodes=60", "data.features=8", "data.train=20", "data.val=20"],
    "data.images": ["data.path={}/pictures-first", "data.image=img", "data.label=label"],
    "data.masks": ["data.path={}/streets-first", "data.image=image", "data.mask=mask"],
    "data.npz": ["data.path={}/graph-first.npz"],
    "data.ogbn": ["data.path={}/ogbn-first"],
    "data.pet": ["data.path={}/pets-first", "data.size=8"],
    "data.planetoid": ["data.path={}/planetoid-first"],
    "data.pydoc": ["data.val=0.002", "data.test=0.002"],
    "data.shakespeare": ["data.path={}/text-first.txt"],
    "data.text": ["data.path={}/text-first.txt"],
    "data.webkb": ["data.path={}/webkb-first"],
    "data.wikitext": ["data.path={}/rows-first"],
}
for name in registry.names("data"):  # a training part has more examples than a batch
    if "batch_size" in registry.options("data", name):
        BASE.setdefault(f"data.{name}", []).append("data.batch_size=4")
BASE |= {f"data.{name}": [*BASE[f"data.{name}"], "data.name=one"] for name in ("images", "masks")}
SHARES = ["data.val_split=train", "data.test_split=train"]
ROWS = ["data.path={}/rows-first", "data.name=wikitext-2-raw-v1", "data.text=text"]
BROKEN = "data.path={}/%s-broken"

HOME = {
    "init": "cnn",
    "optimizer": "cnn",
    "trainer": "cnn",
}  # the task that shows a group

NEEDS = {  # words under which an option counts, by GROUP.NAME.OPTION or GROUP.OPTION
    "data.text.name": ROWS,
    "data.text.text": ROWS,
    "data.text.train_split": ROWS,
    "data.text.val_split": ROWS,
    "data.text.test_split": ROWS,
    "data.vocabulary": ["data.tokens=bpe", "data.vocabulary=258"],
    "data.images.val": SHARES,
    "data.images.test": SHARES,
    "data.images.seed": SHARES,
    "data.masks.val": SHARES,
    "data.masks.test": SHARES,
    "data.masks.seed": SHARES,
    "data.camvid.on_bad": [BROKEN % "streets", "data.on_bad=skip"],
    "data.masks.on_bad": [BROKEN % "streets", "data.on_bad=skip"],
    "data.pet.on_bad": [BROKEN % "pets", "data.on_bad=skip"],
    "data.on_bad": [BROKEN % "pictures", "data.on_bad=skip"],
    "init.zero_last.shortcut": ["model.shortcut=C"],
    "model.cnn.form": ["model.depth=18", "model.width=[4,4,4,4]"],
    "model.cnn.groups": ["model.block=bottleneck", "model.base_width=64"],
    "model.cnn.base_width": ["model.block=bottleneck"],
    "model.cnn.shortcut": ["model.depth=6", "model.width=[4,8]"],
    "model.cnn.shortcut_norm": ["model.shortcut=C"],
    "model.gnn.heads": ["model.conv=gatv2"],
    "model.gnn.jump": ["connection=plain"],  # a stream that only grows is its own maximum
    "model.gnn.norm": ["norm=pre"],
    "model.gnn.theta": ["model.conv=gcn2"],
    "model.unet.shortcut": ["model.blocks=2"],
    "optimizer.min_lr": ["optimizer.schedule=cosine"],
    "optimizer.warmup_start": ["optimizer.warmup=2", "trainer.max_steps=4"],
    "optimizer.drops": ["optimizer.schedule=step"],
    "optimizer.drop": ["optimizer.schedule=step"],
    "task.cnn.edge": ["task.crop=1"],
    "task.diffusion.drop_label": ["model.conditional=true"],
    "task.diffusion.sample_every": ["trainer.validate_every=1"],
    "task.gnn.clusters": ["task.sampling=clusters"],
    "task.gnn.neighbors": ["task.sampling=neighbors"],
    "task.gnn.batch_size": ["task.sampling=clusters"],
    "task.unet.gamma": ["task.loss=focal"],
    "trainer.accelerator": ["trainer.accelerator=cpu"],
    "trainer.max_epochs": [
        "trainer.max_steps=null",
        "trainer.max_epochs=2",
        "data.batch_size=24",
    ],
    "trainer.patience": ["trainer.validate_every=1", "optimizer.lr=10.0", "trainer.max_steps=6"],
}
VALUES = {  # other values, where the type tells none
    "data.actor.path": ["{}/webkb-second/actor"],
    "data.camvid.path": ["{}/streets-second"],
    "data.cifar10.path": ["{}/cifar-second"],
    "data.cifar100.path": ["{}/cifar-second"],
    "data.images.path": ["{}/pictures-second"],
    "data.masks.path": ["{}/streets-second"],
    "data.npz.path": ["{}/graph-second.npz"],
    "data.ogbn.path": ["{}/ogbn-second"],
    "data.pet.path": ["{}/pets-second"],
    "data.planetoid.path": ["{}/planetoid-second"],
    "data.shakespeare.path": ["{}/text-second.txt"],
    "data.text.path": ["{}/text-second.txt"],
    "data.webkb.path": ["{}/webkb-second"],
    "data.wikitext.path": ["{}/rows-second"],
    "data.images.name": ["two"],
    "data.masks.name": ["two"],
    "data.text.name": ["wikitext-103-raw-v1"],
    "data.wikitext.name": ["wikitext-2-raw-v1"],
    "data.images.image": ["other"],
    "data.masks.image": ["image_b"],
    "data.masks.mask": ["mask_b"],
    "data.images.label": ["fine_label"],
    "data.text.text": ["title"],
    "data.train_split": ["more"],
    "data.val_split": ["more"],
    "data.test_split": ["more"],
    "data.masks.classes": [[f"class {number}" for number in range(12)]],
    "data.masks.values": [[*range(11, -1, -1)]],
    "model.cnn.base_width": [128],
    "optimizer.min_lr": [1e-4],
    "task.gnn.neighbors": [1, [2, 1, 0]],
    "task.unet.loss": ["dice", "focal", ["cross_entropy", "dice"]],
    "trainer.validate_every": [1],
    "trainer.clip": [1e-3],
    "trainer.matmul": ["high", "medium"],  # beside what a CPU does by itself
    "task.unet.class_weights": [[1.0, 2.0, 3.0], "balanced", "damped"],
    "logger.wandb.project": ["other"],
    "logger.wandb.group": ["other"],
    "logger.wandb.name": ["other"],
    "logger.wandb.tags": [["other"]],
    "logger.wandb.mode": ["offline"],
    "trainer.accelerator": ["gpu"],
    "trainer.graphs": [True],  # refused: there is no GPU
    "trainer.devices": [4096],  # refused: more than there are
    "trainer.strategy": ["fsdp"],  # refused: there is one device; see test_fsdp
}
FIGURES = {"task.diffusion.sample_every"}  # seen in figures alone
WITHOUT = {  # options that change no number of a run, and what they change
    "model.checkpoint": "memory and time of the backward pass; the numbers stay",
    "long.attention.block": "a long skip is a stream of one write",
    "task.diffusion.variance": "of the sampler ddpm alone, which `sample` and `export` take",
    "diagnostics.health": "which steps are looked at; see test_health",
    "logger.wandb": "what W&B shows of the run beside it",
    "trainer.hang_seconds": "when a run that hangs is ended; see test_watchdog",
    "trainer.on_nonfinite": "what follows a step that is not finite; see test_nonfinite",
    "trainer.nonfinite_limit": "how many of them end the run; see test_nonfinite",
    "trainer.save_minutes": "how often last.ckpt is written before the end; the last one stays",
}
SLOW = {"trainer.compile"}
SILENT = {  # options that change nothing where what they need is left out, and are not refused
    "data.vocabulary": "only a byte-pair encoding is trained",
    "data.images.val": "the data has parts of its own",
    "data.images.test": "the data has parts of its own",
    "data.images.seed": "the data has parts of its own",
    "data.masks.val": "the data has parts of its own",
    "data.masks.test": "the data has parts of its own",
    "data.masks.seed": "the data has parts of its own",
    "init.zero_last.shortcut": "no shortcut has a norm",
    "model.cnn.shortcut": "one stage never changes its shape",
    "model.cnn.shortcut_norm": "no shortcut has weights",
    "model.gnn.heads": "only gatv2 has heads",
    "model.gnn.jump": "the maximum over a stream that only grows is its end",
    "model.gnn.norm": "there are no norms",
    "model.gnn.theta": "only gcn2 has it",
    "model.unet.shortcut": "a single branch at each place changes the shape everywhere",
    "optimizer.drops": "other schedules have no steps",
    "optimizer.drop": "other schedules have no steps",
    "optimizer.min_lr": "a constant rate does not fall",
    "task.diffusion.sample_every": "samples are drawn at validations",
    "task.gnn.clusters": "a step sees the whole graph",
    "task.gnn.neighbors": "a step sees the whole graph",
    "task.gnn.batch_size": "a step sees the whole graph",
    "trainer.max_epochs": "max_steps ends the run before",
    "trainer.patience": "every validation is better than the one before",
}
TWINS = ["rezero", "skip_init"]  # one factor from zero: one equation of two papers
SYNONYMS = {"connection": [TWINS], "long": [TWINS]}  # names whose runs are the same
HERE = {"dir": "{run}/other"}
VERBS = {  # words that a verb needs, and other values of its options where the type tells none
    "cnn.predict": (["path={}/shown-first"], {"path": "{}/shown-second", "out": "{run}/out.csv"}),
    "unet.predict": (
        ["path={}/shown-first"],
        {"path": "{}/shown-second", "out": "{run}/out", "size": 32},
    ),
    "transformer.sample": (["tokens=20"], {"prompt": "the", **HERE}),
    "diffusion.sample": (["count=2", "steps=4"], {"label": "red", "steps": 5, **HERE}),
    "gnn.predict": ([], {"path": "{}/nodes.npz", "out": "{run}/out.csv"}),
}
