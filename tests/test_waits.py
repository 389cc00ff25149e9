"""How often a run waits for its device, and how much it gives it to do.

It waits once a row of the log, once a validation, and once at its end for the metrics of all parts.
"""

from pathlib import Path

import pytest
import torch
from launches import counted_launches
from second_device import HERE, counted_waits, second_device
from tiny_runs import words

from tasks.training.chained import ChainedOptimizer
from tasks.training.run import fit
from zoo.config.compose import load
from zoo.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
RUNS = [  # every way in which a batch is made, in float32, bfloat16 and float16
    "gnn task.drop_edge=0.3 trainer.clip=1.0 trainer.ema=0.9",
    "cnn task.crop=1 task.flip=true task.cutout=2 task.mixup=0.2 task.cutmix=1.0 trainer.ema=0.9",
    "cnn model.stem=whitened model.pool=true model.norm=batch_shift model.readout=max init=dirac "
    "task.crop=1 task.edge=reflect task.flip=alternating task.views=translate trainer.lookahead=2 "
    "optimizer.norm_bias_rate=64.0",
    "unet task.loss=[cross_entropy,dice,focal] task.flip_vertical=true task.rotate=true "
    "task.crop=8 task.scale=1.3 task.brightness=0.1 task.contrast=0.2 trainer.accumulate=2 "
    "trainer.ema=0.9 trainer.on_nonfinite=skip",
    "transformer trainer.clip=1.0 trainer.ema=0.9 trainer.accumulate=2",
    "diffusion model.conditional=true task.flip=true trainer.clip=1.0 trainer.ema=0.9",
    "cnn trainer.precision=16-mixed trainer.clip=1.0 trainer.ema=0.9 trainer.accumulate=2",
    "gnn trainer.precision=16-mixed trainer.on_nonfinite=skip",
    "transformer trainer.precision=bf16-mixed optimizer=adam",
]
METRICS = ("tasks/training/gathering.py", "on_host")
WAITS = [
    ("tasks/recovery/nonfinite.py", "look"),  # row 2, where loss and norm are read
    ("tasks/recovery/nonfinite.py", "look"),  # row 4
    METRICS,  # of the validation
    ("tasks/recovery/nonfinite.py", "look"),  # the end, and its checkpoint
    ("tasks/recovery/checkpoints.py", "refuse_lost_numbers"),
]


pytestmark = pytest.mark.usefixtures("shrunk")


@pytest.fixture
def device():
    with second_device():
        yield


def place(stack):
    """The last file and function of the project in a stack; of a comprehension the function."""
    rooms = (f"{ROOT / 'tasks'}/", f"{ROOT / 'zoo'}/")
    ours = [f for f in stack if f.filename.startswith(rooms) and not f.name.startswith("<")]
    return str(Path(ours[-1].filename).relative_to(ROOT)), ours[-1].name


@pytest.mark.parametrize("options", RUNS)
def test_no_step_waits_for_the_device_and_an_evaluation_once(options, device, tmp_path):
    task, *more = options.split()
    given = [*words(task, *more), "trainer.max_steps=5", f"run.dir={tmp_path / 'run'}"]
    config, _ = load([*given, "trainer.log_every=2", "trainer.validate_every=4"])
    with counted_waits() as waits:
        fit(config)

    def within(name):
        return [place(stack) for _, stack in waits if any(f.name == name for f in stack)]

    assert within("advance") == WAITS
    best = RunFolder(tmp_path / "run").result()["best_step"]
    passes = 1 if best == 5 else 2  # over all three parts: of the last weights and of the best
    assert within("evaluate").count(METRICS) == passes
    assert not within("validation_step")


def far(*values):
    return torch.tensor(values, device="cuda")


@pytest.mark.parametrize(
    ("call", "waits"),
    [
        (lambda x: x.sum().item(), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: float(x[0]) + float(x[1]), 1),  # nothing to do in between
        (lambda x: float(x[0]) + float(x.sum()), 2),
        (lambda x: x.nonzero(), 1),
        (lambda x: x[x > 1], 1),
        (lambda x: x[torch.tensor([0, 1])], 1),  # the index is copied
        (lambda x: x[torch.tensor([0, 1]).to(HERE, non_blocking=True)], 0),
        (lambda x: x + torch.ones(2).to(HERE), 1),
        (lambda x: x + torch.ones(2).to(HERE, non_blocking=True), 0),
        (lambda x: torch.bincount(x.long(), minlength=4), 1),
        (lambda x: x.where(x > 1, 0).sum(), 0),
        (lambda x: x.clone().copy_(torch.ones(2)), 1),
    ],
)
def test_what_waits_is_counted(call, waits, device):
    x = far(1.0, 2.0) * 2
    with counted_waits() as seen:
        call(x)
    assert len(seen) == waits


UPDATES = [
    ("optimizer=adam", 12),
    ("optimizer=adamw trainer.clip=1.0 trainer.ema=0.9", 18),
    ("optimizer=sgd trainer.clip=1.0 trainer.on_nonfinite=skip", 21),
    ("optimizer=sgd trainer.precision=16-mixed trainer.clip=1.0 trainer.ema=0.9", 15),
]


@pytest.mark.parametrize(("options", "number"), UPDATES)
def test_an_update_launches_as_much_for_a_deep_net(options, number, device, tmp_path, monkeypatch):
    """All weights at once: norm, clipping, guard, optimiser, average."""
    found = []
    for depth in (3, 6):
        given = [*words("gnn", options, f"model.depth={depth} norm=pre model.norm=batch")]
        given += ["trainer.log_every=9", "trainer.validate_every=9", "trainer.max_steps=4"]
        config, _ = load([*given, f"run.dir={tmp_path / str(depth)}"])
        with counted_launches(monkeypatch) as steps:
            fit(config)
        gradient, update = steps[1]
        found.append((gradient.total(), update))
    (shallow, update), (deep, same) = found
    assert shallow < deep
    assert same == update
    assert update.total() == number, update


def test_a_chain_of_fused_optimisers_is_scaled_without_waiting(device):
    """A gradient that is not finite leaves out the steps of all of them."""
    net = torch.nn.Linear(1, 1).to("cuda")
    sgd = torch.optim.SGD([net.weight], 0.1, fused=True)
    chain = ChainedOptimizer(sgd, torch.optim.Adam([net.bias], 0.1, fused=True))
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0)
    moved = []
    for x in (float("inf"), 1.0):
        inputs, before = far(x)[None], [p.tolist() for p in net.parameters()]
        with counted_waits() as seen:
            scaler.scale(net(inputs).sum()).backward()
            scaler.unscale_(chain)
            scaler.step(chain)
            scaler.update()
            chain.zero_grad()
        assert not seen
        moved.append([p.tolist() != b for p, b in zip(net.parameters(), before, strict=True)])
    assert moved == [[False, False], [True, True]]
    assert scaler.get_scale() == 1.0
