"""Runs of image classification through the command line."""

import json
import math
import shutil
from pathlib import Path

import pytest
from conftest import DATA
from quick import drawn
from small_runs import weights

from zoo.cli.main import main
from zoo.run_folder import RunFolder

SMALL = ["task=cnn", "model.depth=8", "model.width=8", "logger=none", "trainer.accelerator=cpu"]
SMALL += ["trainer.max_epochs=null", "trainer.max_steps=6", "trainer.log_every=2"]
SMALL += ["trainer.validate_every=3"]
MIXED = ["task.crop=1", "task.flip=true", "task.cutout=2", "task.mixup=0.2", "task.cutmix=1.0"]


def fit(folder, *words, code=0):
    assert main(["fit", *SMALL, f"run.dir={folder}", *words]) == code
    return RunFolder(folder).result()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cnn") / "run"
    with drawn():
        return folder, fit(folder, "trainer.max_steps=20")


def test_a_run_and_its_figures(run):
    folder, result = run
    names = {"curves", "stream_rms", "mixing", "confusion", "mistakes", "samples"}
    assert {path.stem for path in (folder / "figures").iterdir()} == names
    assert len(result["curves"]["stream_rms"]) == 4
    assert result["data"] == "digits"


def test_labels_of_test_images_are_those_that_were_counted(run, tmp_path, capsys):
    """On a machine without the run's GPUs too; what is no image is named."""
    from PIL import Image

    from tasks.data.images.digits import Digits

    folder, result = run
    shutil.copytree(folder, tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("accelerator: cpu", "accelerator: gpu"))
    data = Digits().load()
    (tmp_path / "images").mkdir()
    for number in data.test.tolist():
        image = Image.fromarray(data.images[number, 0].numpy())
        image.save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "images" / "note.txt").write_text("no image")
    words = [f"from={tmp_path / 'run'}", f"path={tmp_path / 'images'}"]
    capsys.readouterr()
    assert main(["--json", "predict", *words]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [Path(entry["file"]).name for entry in report["bad"]] == ["note.txt"]
    hits = [
        row["label"] == data.classes[data.labels[int(Path(row["image"]).stem)]]
        for row in report["labels"]
    ]
    assert len(hits) == len(data.test)
    assert sum(hits) / len(hits) == pytest.approx(result["metrics"]["test/accuracy"])
    table = (tmp_path / "run" / "predictions" / "labels.csv").read_text().splitlines()
    assert table[0] == "image,label,probability"
    assert len(table) == len(hits) + 1


def test_the_net_trains_in_training_mode(run):
    """Batch norm's running statistics move only there."""
    last = weights(run[0])
    tracked = [value for name, value in last.items() if name.endswith("num_batches_tracked")]
    assert [int(value) for value in tracked] == [20] * len(tracked)


@pytest.mark.usefixtures("shrunk")
@pytest.mark.parametrize(
    "words",
    [
        ["preset=fixup", "optimizer.lr=0.01"],
        ["preset=rezero_no_norm"],
        ["model.width=[8,16,16]", "model.shortcut=B", "norm=pre", "optimizer.base_batch=256"],
        ["optimizer.schedule=step", "optimizer.warmup=0", "task.label_smoothing=0.1"],
        ["model.block=bottleneck", "model.depth=11", "model.checkpoint=true"],
    ],
)
def test_options_train(words, tmp_path, capsys):
    result = fit(tmp_path / "run", *words)
    assert all(math.isfinite(value) for value in result["metrics"].values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.depth=9"], "10 is near"),
        (["preset=deepnorm"], "use it with task=gnn, transformer"),
        (["model.block=bottleneck", "model.depth=11", "model.base_width=1"], "no channel"),
        (["model.width=[]"], "at least 1 item"),
        (["model.width=[16,0]"], "greater than or equal to 1"),
        (["task.cutout=8"], "leave nothing of 8 x 8 pixels"),
        (["data.batch_size=0"], "data.batch_size"),
        (["task.crop=-1"], "task.crop"),
        (["task.label_smoothing=1.0"], "task.label_smoothing"),
        (["init=fixups"], "did you mean fixup?"),
        (["data=csbm"], "data"),
    ],
)
def test_wrong_options_are_one_line(words, said, tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["fit", *SMALL, f"run.dir={folder}", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not folder.exists()


def test_learning_rate_grows_with_the_batch():
    from torch import nn

    from tasks.training.optimizers import SGD

    built = SGD(lr=0.1, base_batch=256).build(nn.Linear(2, 2), 10, 1024)
    assert built["optimizer"].param_groups[0]["lr"] == pytest.approx(0.4)


def test_step_schedule_of_he_2015():
    """32k and 48k of 64k steps."""
    from tasks.training.optimizers import SGD

    schedule = SGD(schedule="step").rate_schedule(64_000)
    factors = [schedule.factor(step) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_depth_hurts_the_plain_net_alone(seed, tmp_path, capsys):
    """He et al. 2015, figure 1: also in training error."""
    metrics = {}
    for connection in ("residual", "plain"):
        words = ["task=cnn", "model.depth=56", f"connection={connection}", f"seed={seed}"]
        folder = tmp_path / connection
        assert main(["fit", *words, "logger=none", f"run.dir={folder}"]) == 0
        metrics[connection] = RunFolder(folder).result()["metrics"]
    assert metrics["residual"]["test/accuracy"] - metrics["plain"]["test/accuracy"] > 0.2
    assert metrics["residual"]["train/accuracy"] - metrics["plain"]["train/accuracy"] > 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "least"), [("fixup", 0.85), ("rezero_no_norm", 0.95)])
def test_deep_nets_without_norms_train(preset, least, tmp_path, capsys):
    """Zhang et al. 2019 and Bachlechner et al. 2020: the start is enough."""
    words = ["task=cnn", "model.depth=56", f"preset={preset}", "optimizer.lr=0.05"]
    words += ["trainer.max_epochs=40", "trainer.clip=1.0", "logger=none"]
    assert main(["fit", *words, f"run.dir={tmp_path / 'run'}"]) == 0
    assert RunFolder(tmp_path / "run").result()["metrics"]["test/accuracy"] > least


@pytest.mark.slow
def test_resnet_20_learns_cifar(tmp_path, capsys):
    folder = DATA / "cifar10-12k"
    if not folder.is_dir():
        pytest.skip(f"no images in {folder}; set ZOO_DATA")
    words = ["task=cnn", "data=cifar10", f"data.path={folder}", "data.batch_size=64"]
    words += ["model.width=[16,32,64]", "task.crop=4", "task.flip=true", "trainer.max_epochs=8"]
    words += ["trainer.validate_every=140", "logger=none"]
    assert main(["fit", *words, f"run.dir={tmp_path / 'run'}"]) == 0
    assert RunFolder(tmp_path / "run").result()["metrics"]["test/accuracy"] > 0.6
