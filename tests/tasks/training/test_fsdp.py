"""Runs whose processes share the model are those of one process, wherever they stop and go on."""

import pytest
import torch
from forked import places, start
from small_domains import TASKS, words
from small_runs import fit, rows, weights
from test_domains import rank
from torch.distributed.tensor import DTensor

from tasks.training import train
from tasks.transformer.task import LanguageModelling
from zoo.cli.main import main
from zoo.errors import ResourceError
from zoo.run_folder import RunFolder

AVERAGES = ["trainer.clip=0.5", "trainer.ema=0.9", "trainer.accumulate=2"]
SHARED = "trainer.strategy=fsdp"


def counting(runs, place, out):
    """One process of a run of text, which tells how many tokens were evaluated.

    Where it is given twice, the first one ends before its last evaluation.
    """
    metrics, conclude = LanguageModelling.metrics_from_sums, train.conclude

    def counted(self, totals):
        return {"tokens": totals["count"].item(), **metrics(self, totals)}

    def cut(*given):
        train.conclude = conclude
        raise ResourceError("cut", "before the last evaluation", "go on")

    LanguageModelling.metrics_from_sums = counted
    if len(runs) == 2:
        train.conclude = cut
    rank(runs, place, out, [ResourceError.code, 0][-len(runs) :])


def begin(folder, runs, world, each_process=rank):
    """Starts the processes of some runs, in float64: rounding is no difference."""
    folder.mkdir(exist_ok=True)
    told = [folder / f"{world}-{number}.txt" for number in range(world)]
    each = zip(places(world), told, strict=True)
    return [(start(each_process, runs, place, out), out) for place, out in each]


def end(ranks):
    for process, _ in ranks:
        process.join()
    said = [file.read_text() for _, file in ranks]
    assert [process.exitcode for process, _ in ranks] == [0] * len(ranks), said


def fits(task, folder, world, *more):
    """A run of a task in so many processes, with clipping and averages."""
    drop = "connection=stochastic_depth" if task == "cnn" else "model.dropout=0.3"
    given = [*words(task, drop, *AVERAGES), f"run.dir={folder}", *more]
    return ["fit", *given, *([f"trainer.devices={world}", SHARED] if world > 1 else [])]


def assert_alike(one, other):
    """Weights, log and metrics agree; in float64 they differ by rounding alone."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    apart = {name: (first[name] - second[name]).abs().max().item() for name in first}
    assert max(apart.values()) < 1e-9, max(apart, key=apart.get)
    for before, after in zip(rows(one), rows(other), strict=True):
        assert before == pytest.approx(after, abs=1e-6)
    one, other = RunFolder(one).result(), RunFolder(other).result()
    assert one["metrics"] == pytest.approx(other["metrics"], abs=1e-6)
    same = ("branch_digest", "start_digest", "order_digest", "parameters", "best_step")
    assert [one[key] for key in same] == [other[key] for key in same]


def test_two_processes_that_share_a_model_equal_one(tmp_path):
    """Also with a factor that stays whole, and a head that shares its weights with the stem.

    Their run is cut when no step is left, and goes on.
    """
    short = ["connection=rezero", "trainer.max_steps=2", "trainer.validate_every=1"]
    short += ["trainer.lookahead=2"]  # which knows the length of a run
    runs = {number: tmp_path / str(number) for number in (1, 2)}
    worlds = []
    for number, folder in runs.items():
        given = [fits("transformer", folder, number, *short), ["fit", f"from={folder}"]]
        worlds.append(begin(tmp_path / "said", given[:number], number, counting))
    for ranks in worlds:
        end(ranks)
    assert_alike(runs[1], runs[2])
    assert [RunFolder(runs[n]).result()["strategy"] for n in (1, 2)] == ["single", "fsdp"]
    assert any("val/tokens" in row for row in rows(runs[2]))
    held = torch.load(runs[2] / "checkpoints/last.ckpt", weights_only=True)
    memory = held["optimizer_states"][0]["state"].values()
    assert {type(v) for state in memory for v in state.values()} == {torch.Tensor}
    assert not any(isinstance(value, DTensor) for value in held["weights"].values())


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_task_equals_one_process_and_goes_on_in_another_number(task, tmp_path):
    """Three processes, and two that become three and then one, each time from the checkpoint."""
    end(begin(tmp_path / "said", [fits(task, tmp_path / "one", 1)], 1))
    end(begin(tmp_path / "said", [fits(task, tmp_path / "three", 3)], 3))
    assert_alike(tmp_path / "one", tmp_path / "three")
    cut = tmp_path / "cut"
    end(begin(tmp_path / "said", [fits(task, cut, 2, "trainer.max_steps=2")], 2))
    onward = ["fit", f"from={cut}", "trainer.max_steps=4", "trainer.devices=3"]
    end(begin(tmp_path / "said", [onward], 3))
    onward = ["fit", f"from={cut}", "trainer.max_steps=6", "trainer.devices=1"]
    end(begin(tmp_path / "said", [[*onward, "trainer.strategy=auto"]], 1))
    first, second = weights(tmp_path / "one"), weights(cut)
    apart = {name: (first[name] - second[name]).abs().max().item() for name in first}
    assert max(apart.values()) < 1e-9, max(apart, key=apart.get)


@pytest.mark.parametrize(
    "more",
    [
        ["trainer.ema=null"],  # then the weights themselves are evaluated
        pytest.param(["model.checkpoint=true"], marks=pytest.mark.slow),
        pytest.param(
            ["trainer.on_nonfinite=skip", "optimizer=sgd", "connection=weighted"],
            marks=pytest.mark.slow,
        ),
        pytest.param(["trainer.on_nonfinite=rollback", "connection=hyper"], marks=pytest.mark.slow),
    ],
    ids=lambda more: more[0],
)
def test_recomputed_branches_and_watched_gradients_change_nothing(more, tmp_path):
    for world in (1, 2):
        run = fits("transformer", tmp_path / str(world), world, *more)
        end(begin(tmp_path / "said", [run], world))
    assert_alike(tmp_path / "1", tmp_path / "2")


@pytest.mark.slow
def test_a_run_that_returns_is_divided_again(tmp_path):
    lost = ["optimizer.lr=1e300", "trainer.on_nonfinite=rollback", "trainer.nonfinite_limit=2"]
    ranks = begin(tmp_path, [fits("transformer", tmp_path / "run", 2, *lost)], 2)
    for process, _ in ranks:
        process.join()
    said = ranks[0][1].read_text()
    assert said.count("; back to step 0, without batches") == 2, said
    assert "(3 such steps)" in said
    assert RunFolder(tmp_path / "run").result()["status"] == "diverged"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "trainer.strategy=auto"),
        (["trainer.devices=2", "trainer.compile=true"], "trainer.compile=false"),
        (["trainer.devices=2", "diagnostics=health"], "diagnostics=none"),
        (["trainer.devices=2", "connection=reversible"], "trainer.strategy=ddp"),
    ],
)
def test_what_does_not_go_with_it_is_refused_before_there_is_a_folder(
    more, said, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    fit(tmp_path / "run", SHARED, "trainer.accelerator=cpu", *more, code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "run").exists()


def test_one_device_can_evaluate_what_several_have_trained(tmp_path, capsys):
    """The configuration names devices and strategy, both of which may change."""
    fit(tmp_path / "run", "trainer.max_steps=2")
    path = tmp_path / "run" / "config.yaml"
    text = path.read_text().replace("devices: 1", "devices: 2")
    path.write_text(text.replace("strategy: auto", "strategy: fsdp"))
    capsys.readouterr()
    alone = ["trainer.devices=1", "trainer.strategy=auto"]
    assert main(["test", f"from={tmp_path / 'run'}", *alone]) == 0
