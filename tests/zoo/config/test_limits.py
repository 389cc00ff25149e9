"""How long a run is: which limit ends it, what a continued run may change, warm-up."""

import itertools

import pytest
import torch
from small_domains import words
from small_runs import rows, weights

from tasks.training.module import Task
from zoo import shard
from zoo.cli.main import main
from zoo.compare.design.command import Defaults, fit_command
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.config import registry
from zoo.config.compose import load
from zoo.models.layers.dropout import dropout
from zoo.run_folder import RunFolder

SMALL = ["model.depth=2", "model.width=8", "data.nodes=60", "data.train=20", "data.val=20"]
SMALL += ["data.features=4", "logger=none"]
LIMITS = ("max_steps", "max_epochs")


def limits(*typed):
    trainer = load(typed)[0].sections["trainer"]
    return tuple(trainer[key] for key in LIMITS)


@pytest.mark.parametrize("task", registry.names("task"))
def test_a_limit_of_the_command_line_takes_the_place_of_the_default(task):
    assert limits(f"task={task}", "trainer.max_steps=5000") == (5000, None)
    assert limits(f"task={task}", "trainer.max_epochs=700") == (None, 700)
    assert limits(f"task={task}", "trainer.max_steps=5", "trainer.max_epochs=7") == (5, 7)


def test_a_limit_of_a_preset_or_a_file_counts_as_given(tmp_path):
    file = tmp_path / "long.yaml"
    file.write_text("task: cnn\ntrainer: {max_steps: 50}\n")
    assert limits(f"config={file}") == (50, None)
    assert limits(f"config={file}", "trainer.max_epochs=3") == (50, 3)
    file.write_text("task: cnn\ntrainer: {max_steps: 50, max_epochs: 10}\n")  # as the default
    assert limits(f"config={file}") == (50, 10)
    assert limits("task=cnn", "preset=resnet", "data.path=x", "trainer.max_epochs=3") == (64_000, 3)
    assert limits("task=cnn", "preset=resnext50", "data.path=x") == (None, 90)


def test_a_run_says_which_limit_ends_it(tmp_path, capsys):
    base = ["fit", "task=gnn", *SMALL, "trainer.max_steps=9", "trainer.max_epochs=3"]
    assert main([*base, f"run.dir={tmp_path / 'run'}"]) == 0
    said = "3 steps (trainer.max_epochs=3, before trainer.max_steps=9)"
    assert said in capsys.readouterr().err
    assert RunFolder(tmp_path / "run").result()["steps"] == 3


def test_a_finished_run_is_trained_longer_or_left_as_it_is(tmp_path, capsys):
    run = tmp_path / "run"
    fit = ["fit", "task=gnn", *SMALL, "trainer.max_epochs=3", f"run.dir={run}"]
    assert main(fit) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for more, said in [
        (["trainer.max_steps=1"], "the run is at step 3, trainer.max_steps=1 ends at step 1"),
        (["trainer.max_epochs=2"], "the run is at step 3, trainer.max_epochs=2 ends at step 2"),
    ]:
        assert main(["fit", f"from={run}", *more]) == 2
        assert said in capsys.readouterr().err
    assert main(["fit", f"from={run}", "trainer.max_steps=3"]) == 0
    assert "already complete" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert main(["fit", f"from={run}", "trainer.max_steps=8"]) == 0
    assert "trainer.max_epochs=3 of the run no longer holds" in capsys.readouterr().err
    assert RunFolder(run).result()["steps"] == 8
    assert limits(f"from={run}") == (8, None)


def test_compare_trains_as_long_as_it_is_told():
    _, options, axes = declare(["task=unet", "trainer.max_steps=70", "pairs=1"])
    for cell in plan(options, axes).cells:
        command = fit_command(cell, Defaults())
        assert limits(*command.split()[4:]) == (70, None)
        assert "trainer.max_steps=70" in command
        assert "trainer.max_epochs" not in command.replace("trainer.max_epochs=null", "")


def test_options_of_a_file_hold_for_the_choice_of_the_command_line(tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_text("task: gnn\nmodel: {depth: 3}\n")
    assert load([f"config={file}", "model=gnn"])[0].sections["model"]["depth"] == 3
    file.write_text("choices: {task: gnn, connection: hyper}\nconnection: {streams: 3}\n")
    assert load([f"config={file}"])[0].sections["connection"]["streams"] == 3
    assert load([f"config={file}", "connection=plain"])[0].sections["connection"] == {}
    assert "connection=plain is not hyper: streams left out" in capsys.readouterr().err


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_run_that_is_trained_longer_has_the_rates_of_the_longer_schedule(schedule, tmp_path):
    """As if it had been as long from the start, from the continued step on."""
    base = ["fit", "task=gnn", *SMALL, f"optimizer.schedule={schedule}", "optimizer.warmup=2"]
    assert main([*base, "trainer.max_steps=4", f"run.dir={tmp_path / 'short'}"]) == 0
    assert main([*base, "trainer.max_steps=8", f"run.dir={tmp_path / 'long'}"]) == 0
    last = tmp_path / "short" / "checkpoints" / "last.ckpt"
    before = weights(tmp_path / "short")
    (state,) = torch.load(last, weights_only=True)["lr_schedulers"]
    assert state["_last_lr"] == [0.0, 0.0]
    assert main(["fit", f"from={tmp_path / 'short'}", "trainer.max_steps=5"]) == 0
    after = weights(tmp_path / "short")
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("accumulate", "cuts"),
    [(3, (5,)), (7, (8,)), *(pytest.param(n, (3, 5, 8), marks=pytest.mark.slow) for n in (3, 7))],
)
def test_accumulated_steps_are_continued(accumulate, cuts, tmp_path):
    """Lightning would make a step of fewer batches at the end of its outer loop's turns."""
    base = ["fit", "task=gnn", *SMALL, f"trainer.accumulate={accumulate}"]
    base += ["trainer.validate_every=3", "trainer.log_every=1", "task.drop_edge=0.2"]
    assert main([*base, "trainer.max_steps=10", f"run.dir={tmp_path / 'whole'}"]) == 0
    for cut in cuts:
        run = tmp_path / f"cut{cut}"
        assert main([*base, f"trainer.max_steps={cut}", f"run.dir={run}"]) == 0
        assert main(["fit", f"from={run}", "trainer.max_steps=10"]) == 0
        whole, resumed = weights(tmp_path / "whole"), weights(run)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
        assert rows(tmp_path / "whole")[-1] == rows(run)[-1]


@pytest.mark.parametrize("task", registry.names("task"))
def test_every_step_of_every_task_is_made_of_as_many_batches(task, tmp_path, monkeypatch):
    steps = []
    taken = Task.optimizer_step

    def counted(self, *args, **kwargs):
        steps.append(self.trainer.fit_loop.epoch_loop.batch_progress.total.ready)
        return taken(self, *args, **kwargs)

    monkeypatch.setattr(Task, "optimizer_step", counted)
    count = 340 if task == "gnn" else 5  # beyond 1000 batches
    run = words(task, "trainer.accumulate=3", f"trainer.max_steps={count}", "task.drop_edge=0.0")
    run = run if task == "gnn" else run[:-1]
    assert main(["fit", *run, "trainer.validate_every=340", f"run.dir={tmp_path / 'run'}"]) == 0
    assert [after - before for before, after in itertools.pairwise([0, *steps])] == [3] * count


def test_a_warm_up_takes_at_most_half_of_the_run(tmp_path, capsys):
    base = ["fit", "task=gnn", *SMALL, "optimizer.warmup=50", "trainer.max_steps=20"]
    assert main([*base, f"run.dir={tmp_path / 'run'}"]) == 0
    said = "warm-up takes half of the run, 10 of 20 steps, not optimizer.warmup=50"
    assert said in capsys.readouterr().err
    (state,) = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)[
        "lr_schedulers"
    ]
    assert set(state["_last_lr"]) == {0.01}


def warmups(*typed):
    optimizer = load(typed)[0].sections["optimizer"]
    return optimizer["warmup"], optimizer["warmup_epochs"]


def test_a_warm_up_in_epochs_takes_the_place_of_the_default_in_steps(tmp_path):
    assert warmups("task=cnn") == (40, None)
    assert warmups("task=cnn", "optimizer.warmup_epochs=2") == (0, 2)
    assert warmups("task=cnn", "optimizer.warmup_epochs=null") == (40, None)
    file = tmp_path / "mine.yaml"
    file.write_text("task: cnn\noptimizer: {warmup_epochs: 0.5}\n")
    assert warmups(f"config={file}") == (0, 0.5)
    assert warmups(f"config={file}", "optimizer.warmup=7") == (7, None)
    assert warmups(f"config={file}", "optimizer.warmup_epochs=3") == (0, 3)


def test_a_warm_up_in_both_is_refused(tmp_path, capsys):
    base = ["fit", "task=cnn", "optimizer.warmup=5", "optimizer.warmup_epochs=1.0"]
    assert main([*base, f"run.dir={tmp_path / 'run'}"]) == 2
    assert "warmup=5 and warmup_epochs=1.0: give one of them" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_warm_up_in_epochs_is_that_of_its_steps(accumulate, tmp_path):
    """Two batches of 5 of 12 images are a pass, so 1.4 passes are 3 or 2 steps."""
    base = ["fit", *words("unet", "trainer.max_steps=6", f"trainer.accumulate={accumulate}")]
    base = [word for word in base if not word.startswith("optimizer.warmup")]
    steps = {1: 3, 2: 2}[accumulate]
    for name, word in (("epochs", "warmup_epochs=1.4"), ("steps", f"warmup={steps}")):
        assert main([*base, f"optimizer.{word}", f"run.dir={tmp_path / name}"]) == 0
    assert main([*base, "optimizer.warmup=0", f"run.dir={tmp_path / 'none'}"]) == 0
    first, second, none = (weights(tmp_path / name) for name in ("epochs", "steps", "none"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], none[name]) for name in first)


def test_a_warm_up_in_epochs_takes_at_most_half_of_the_run_and_is_continued(tmp_path, capsys):
    run = tmp_path / "run"
    base = ["fit", "task=gnn", *SMALL, "optimizer.warmup_epochs=50", "trainer.max_steps=20"]
    assert main([*base, f"run.dir={run}"]) == 0
    said = "warm-up takes half of the run, 10 of 20 steps, not optimizer.warmup_epochs=50"
    assert said in capsys.readouterr().err
    assert main(["fit", f"from={run}", "trainer.max_steps=30"]) == 0
    assert "warm-up takes half of the run, 15 of 30 steps" in capsys.readouterr().err


def test_a_run_from_before_an_option_was_there_is_continued(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", "task=gnn", *SMALL, "trainer.max_steps=3", f"run.dir={run}"]) == 0
    lines = (run / "config.yaml").read_text().splitlines()
    remaining = [line for line in lines if "patience" not in line and "beta1" not in line]
    assert len(remaining) == len(lines) - 2
    (run / "config.yaml").write_text("\n".join(remaining))
    assert main(["fit", f"from={run}", "trainer.max_steps=5"]) == 0
    assert main(["fit", f"from={run}", "trainer.max_steps=7", "task.drop_edge=0.5"]) == 2
    assert "task.drop_edge would change" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.norm=batch"], "model.norm=batch counts for nothing: it is for norm=pre|post|sand"),
        (["model.theta=0.9"], "model.theta=0.9 counts for nothing: it is for model.conv=gcn2"),
        (["optimizer=adamw", "optimizer.min_lr=0.001"], "it is for optimizer.schedule=cosine|line"),
        (["optimizer=sgd", "optimizer.drop=0.5"], "it is for optimizer.schedule=step"),
        (
            ["init=zero_last", "init.shortcut=0.1"],
            "it is for model.shortcut=B|C model.shortcut_norm=true norm=post",
        ),
        (["model.norm=batch", "norm=pre"], None),
        (["model.conv=gcn2", "model.theta=0.9"], None),
    ],
)
def test_an_option_that_counts_for_nothing_is_told(words, said, tmp_path, capsys):
    base = ["fit", "task=gnn", *SMALL, "trainer.max_steps=1", *words]
    assert main([*base, f"run.dir={tmp_path / 'run'}"]) == 0
    err = capsys.readouterr().err
    assert said in err if said else "counts for nothing" not in err


@pytest.mark.fault(23)
def test_a_batch_larger_than_the_data_is_told(tmp_path, capsys):
    base = words("unet", "data.batch_size=50", "trainer.max_steps=1", "trainer.validate_every=1")
    assert main(["fit", *base, f"run.dir={tmp_path / 'run'}"]) == 0
    assert "data.batch_size=50 is cut to the 12 training examples" in capsys.readouterr().err


def test_a_model_that_lacks_what_its_task_asks_for_is_named(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", "task=diffusion", "model=unet", f"run.dir={run}"]) == 2
    said = "task=diffusion asks a model for conditional -- model=unet (UNet)"
    assert said in capsys.readouterr().err
    assert not run.exists()


def test_what_comes_after_a_run_of_several_processes_is_whole(tmp_path):
    shard.set_shard(shard.Shard(1, 2, 5))
    assert (
        main(["fit", "task=gnn", *SMALL, "trainer.max_steps=1", f"run.dir={tmp_path / 'r'}"]) == 0
    )
    assert shard.current == shard.WHOLE
    assert dropout(torch.ones(7, 3), 0.5, True).shape == (7, 3)


@pytest.mark.fault(35)
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_example_of_a_batch_is_of_one_process(world, count):
    rows = [shard.Shard(rank, world).of(count).index() for rank in range(world)]
    assert sorted(torch.cat(rows).tolist()) == list(range(count))
    assert all(part.dtype == torch.long for part in rows)  # an index, also where there is none
