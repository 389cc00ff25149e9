"""`diagnose fix=batchnorm`: running statistics that are counted again."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from small_runs import weights
from tiny_runs import shrink, words
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import update_bn

import zoo
from tasks.data.images.digits import Digits
from tasks.recovery.loading import load_last
from tasks.recovery.tensor_files import save_checkpoint
from zoo.cli.main import main

STATISTICS = ("running_mean", "running_var")


@pytest.fixture(scope="module", autouse=True)
def small():
    """Few images."""
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a small run whose statistics are spoilt: as after a step that was too large."""
    folder = tmp_path_factory.mktemp("runs") / "cnn"
    given = words("cnn", "trainer.max_steps=6", "trainer.accelerator=cpu", "optimizer.lr=0.1")
    assert main(["fit", *given, f"run.dir={folder}"]) == 0
    checkpoint, path = load_last(folder / "checkpoints")
    for name, value in checkpoint["state_dict"].items():
        if name.endswith("running_mean"):
            value.add_(3.0)
    save_checkpoint(checkpoint, path)
    return folder


@pytest.fixture(scope="module")
def fixed(run):
    """The new folder, and what the command said."""
    before = contents(run)
    new = run.with_name("fixed")
    assert main(["diagnose", f"from={run}", "fix=batchnorm", f"run.dir={new}"]) == 0
    assert contents(run) == before
    return new


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def repaired(capsys, *more, code=0):
    capsys.readouterr()
    assert main(["--json", "diagnose", *more, "fix=batchnorm"]) == code
    said = capsys.readouterr()
    return said.err if code else json.loads(said.out)


def test_statistics_are_those_that_pytorch_counts(run, fixed):
    """One batch holds all 24 images, so that no order counts."""
    data = Digits().load()
    net = zoo.load(run, device="cpu")
    (images,) = net.prepare(data.images[data.train])
    update_bn([images], net.module)
    counted = dict(net.module.named_buffers())
    found = dict(zoo.load(fixed, device="cpu").module.named_buffers())
    for name, value in counted.items():
        if name.endswith(STATISTICS):
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)


def test_nothing_but_the_statistics_is_new(run, fixed):
    old, new = weights(run), weights(fixed)
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert changed == {name for name in old if name.endswith(STATISTICS)}


def test_the_better_net_is_named_and_the_new_folder_is_a_run(run, tmp_path, capsys):
    copy = shutil.copytree(run, tmp_path / "copy")
    record = repaired(capsys, f"from={copy}")
    assert record["run"] == str(copy / "batchnorm")
    assert record["after"]["loss"] < record["before"]["loss"]
    gain = record["after"]["accuracy"] - record["before"]["accuracy"]
    assert record["better"] == ("after" if gain >= 0 else "before")
    assert main(["--json", "test", f"from={copy / 'batchnorm'}"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["val/loss"] == pytest.approx(record["after"]["loss"])
    assert metrics["val/accuracy"] == pytest.approx(record["after"]["accuracy"])


def test_the_new_run_has_ended_and_its_best_weights_are_the_new_ones(run, fixed):
    """Nothing was trained since, so the old best weights, of other statistics, are not kept."""
    last, best = (zoo.load(fixed, which, "cpu") for which in ("last", "best"))
    torch.testing.assert_close(
        best.module.state_dict(), last.module.state_dict(), rtol=0, atol=0, equal_nan=True
    )
    result, old = last.result, zoo.load(run, device="cpu").result
    assert (result["status"], result["steps"], result["best_step"]) == ("done", 6, 6)
    assert result["batchnorm"]["from"] == str(run)
    assert result["batchnorm"]["after"]["loss"] == result["metrics"]["val/loss"]
    assert result["primary"]["value"] == result["metrics"]["test/accuracy"]
    assert result["data_digest"] == old["data_digest"]
    assert "diagnose" in result["command"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Folders of images: the data of a run, and brighter data of other classes or of the same."""
    place = tmp_path_factory.mktemp("pictures")
    for name, classes, bright in (("own", "ab", 0), ("lit", "ab", 100), ("other", "cd", 0)):
        for label in classes:
            folder = place / name / label
            folder.mkdir(parents=True)
            for i in range(12):
                draws = np.random.default_rng(i)
                pixels = draws.integers(0, 100, (8, 8), np.uint8) + np.uint8(bright)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return place


def test_statistics_of_other_data_make_a_run_of_that_data(pictures, tmp_path, capsys):
    run, new = tmp_path / "run", tmp_path / "new"
    given = [
        "data=images",
        f"data.path={pictures / 'own'}",
        "data.size=8",
        "trainer.max_steps=2",
    ]
    assert main(["fit", *words("cnn", *given, "trainer.accelerator=cpu"), f"run.dir={run}"]) == 0
    lit = f"data.path={pictures / 'lit'}"
    record = repaired(capsys, f"from={run}", lit, f"run.dir={new}")
    assert zoo.load(new, device="cpu").config["data"]["path"] == str(pictures / "lit")
    assert main(["--json", "test", f"from={new}"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["val/loss"] == pytest.approx(record["after"]["loss"])
    other = f"data.path={pictures / 'other'}"
    assert "other classes" in repaired(capsys, f"from={run}", other, code=2)


def fortunate(net, data):
    """The weights of a net with the best of many random statistics for the validation part."""
    (images,), labels = net.prepare(data.images[data.val]), data.labels[data.val]
    good, tried = net.module.state_dict(), []
    for seed in range(100):
        draws = torch.Generator().manual_seed(seed)
        state = {n: v.clone() for n, v in good.items()}
        for name in (name for name in state if name.endswith("running_mean")):
            state[name] += 0.5 * torch.randn(state[name].shape, generator=draws)
        net.module.load_state_dict(state)
        with torch.no_grad():
            logits = net.module(images)
        right = (logits.argmax(1) == labels).float().mean()
        tried.append((right.item(), -cross_entropy(logits, labels).item(), seed, state))
    return max(tried)[3]


def test_counting_again_can_make_it_worse_and_writes_over_nothing(fixed, tmp_path, capsys):
    good = shutil.copytree(fixed, tmp_path / "good")
    weights = fortunate(zoo.load(good, device="cpu"), Digits().load())
    checkpoint, path = load_last(good / "checkpoints")
    checkpoint["state_dict"] |= {f"model.{name}": value for name, value in weights.items()}
    save_checkpoint(checkpoint, path)
    record = repaired(capsys, f"from={good}")
    assert record["run"] == str(good / "batchnorm")
    assert record["after"]["accuracy"] < record["before"]["accuracy"]
    assert record["better"] == "before"
    kept = contents(good)
    assert main(["diagnose", f"from={good}", "fix=batchnorm"]) == 0
    said = capsys.readouterr().out
    assert "counting again made it worse" in said
    assert said.endswith(f"new run folder: {good / 'batchnorm-2'}\n")
    assert contents(good).items() >= kept.items()


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["from={}/transformer"], 2, "the net has no batch norm with running statistics"),
        (["from=/nowhere"], 5, "there is no run"),
        (["task=cnn"], 2, "no run is named"),
        (["from={}/cnn", "fix=layernorm"], 2, "write fix=batchnorm"),
        (["from={}/cnn", "model.depth=14"], 2, "model.depth would change"),
        (["from={}/cnn", "run.dir={}/cnn"], 2, "the folder is not empty"),
        (["from={}/cnn", "trainer.devices=3"], 2, "trainer.devices would change"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(more, code, said, run, capsys):
    other = run.with_name("transformer")
    if "transformer" in more[0] and not other.exists():
        given = words("transformer", "trainer.max_steps=1", f"run.dir={other}")
        assert main(["fit", *given]) == 0
    before = contents(run.parent)
    assert said in repaired(capsys, *(word.format(run.parent) for word in more), code=code)
    assert contents(run.parent) == before
