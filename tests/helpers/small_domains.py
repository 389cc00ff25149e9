"""Small runs of every task with what it draws at random: augmentation, masks, dropped edges."""

from zoo.config import registry

TASKS = registry.names("task")
SMALL = {
    "cnn": ["model.depth=4", "model.width=4", "data.batch_size=33"],
    "diffusion": ["model.depth=2", "model.width=4", "model.blocks=1", "task.timesteps=100"],
    "gnn": ["model.depth=4", "model.width=16", "data.train=101"],
    "transformer": ["model.depth=2", "model.width=16", "model.context=16", "data.batch_size=7"],
    "unet": ["model.depth=2", "model.width=4", "data.train=12", "data.val=2", "data.test=4"],
}
SMALL["diffusion"] += ["data.batch_size=17", "task.frechet_samples=0"]
SMALL["transformer"] += ["data.val=0.002", "data.test=0.002"]
SMALL["unet"] += ["data.size=32", "data.batch_size=5"]
AUGMENTED = {
    "cnn": ["task.crop=1", "task.flip=true", "task.cutout=2", "task.mixup=0.2", "task.cutmix=1.0"],
    "diffusion": ["model.conditional=true", "task.flip=true"],
    "gnn": ["task.drop_edge=0.2"],
    "transformer": [],
    "unet": ["task.flip_vertical=true", "task.rotate=true", "task.crop=24", "task.scale=1.3"],
}
AUGMENTED["unet"] += ["task.brightness=0.1", "task.contrast=0.2", "task.class_weights=balanced"]
AUGMENTED["unet"] += ["task.loss=[cross_entropy,dice,focal]"]
STEPS = ["optimizer.warmup=0", "optimizer.schedule=constant", "trainer.max_epochs=null"]
STEPS += [
    "trainer.max_steps=6",
    "trainer.log_every=2",
    "trainer.validate_every=3",
    "trainer.accelerator=cpu",
]


def words(task, *more):
    return [f"task={task}", *SMALL[task], *AUGMENTED[task], *STEPS, "logger=none", *more]
