"""Runs of segmentation through the command line."""

import io
import json
import math
import shutil
from contextlib import redirect_stdout

import numpy as np
import pytest
from conftest import DATA
from image_files import photo
from mask_files import write_masks
from PIL import Image
from quick import drawn
from small_runs import rows

from tasks.data.masks.dataset import UNLABELLED
from tasks.training.build import build_task
from tasks.unet import task as unet
from tasks.unet.plots import answers_figure
from zoo.cli.main import main
from zoo.config.compose import load as compose
from zoo.run_folder import RunFolder

SMALL = ["task=unet", "model.depth=2", "model.width=4", "logger=none", "trainer.accelerator=cpu"]
SMALL += ["trainer.max_epochs=null", "trainer.max_steps=4", "trainer.log_every=2"]
SMALL += ["trainer.validate_every=2"]
CELLS = ["data.train=12", "data.val=2", "data.test=4", "data.size=32", "data.batch_size=4"]
MOVED = ["task.flip_vertical=true", "task.rotate=true", "task.crop=24", "task.scale=1.3"]
MOVED += ["task.brightness=0.1", "task.contrast=0.2"]
SUM = ["task.loss=[cross_entropy,dice,focal]", "task.class_weights=balanced"]


def fit(folder, *words, code=0, data=CELLS):
    assert main(["fit", *SMALL, *data, f"run.dir={folder}", *words]) == code
    return RunFolder(folder).result()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder, its result, and what was printed."""
    folder, out = tmp_path_factory.mktemp("unet") / "run", io.StringIO()
    with redirect_stdout(out), drawn():
        result = fit(folder)
    return folder, result, out.getvalue()


def test_a_run_and_its_figures(run):
    folder, result, out = run
    names = {"curves", "stream_rms", "mixing", "answers", "samples"}
    assert {path.stem for path in (folder / "figures").iterdir()} == names
    assert len(result["curves"]["stream_rms"]) == 5  # behind the stem and after four writes
    assert (result["data"], result["long"]) == ("cells", "concat")
    kinds = {"loss", "mean_iou", "dice", "boundary_iou", "accuracy"}
    kinds |= {f"iou/{name}" for name in ("background", "cell", "boundary")}
    assert {name.partition("/")[2] for name in result["metrics"] if "best" not in name} == kinds
    assert result["primary"]["name"] == "test/mean_iou"
    names = {f"{part}/{name}" for part in ("val", "test") for name in ("mean_iou", "accuracy")}
    assert set(result["chance"]) == names
    assert result["chance"]["test/mean_iou"] < 1 / 3
    assert "test" in out
    assert "iou/cell" not in out
    assert rows(folder)[-1]["val/iou/cell"] >= 0


@pytest.mark.parametrize("count", [2, 9])
def test_the_worst_and_typical_test_images_are_shown_with_their_iou(count, monkeypatch):
    monkeypatch.setattr(unet, "AT_ONCE", 3 * 32**2)  # so that a batch is a part of them
    words = [
        "task=unet",
        "model.depth=1",
        "model.width=4",
        *CELLS[:2],
        *CELLS[3:],
        f"data.test={count}",
    ]
    task = build_task(compose(words)[0])
    task.setup("fit")
    with task.evaluating():
        (axis,) = answers_figure(task, "untrained").axes
        examples = task.data.test
        guesses = task.logits(examples).argmax(1)
    ious = []
    for mask, guess in zip(task.data.masks[examples], guesses, strict=True):
        known = mask != UNLABELLED
        both = [((mask == k) & (guess == k)).sum() for k in range(3)]
        either = [(((mask == k) | (guess == k)) & known).sum() for k in range(3)]
        ratios = [float(b / e) for b, e in zip(both, either, strict=True) if e]
        ious.append(sum(ratios) / len(ratios))
    order = sorted(range(count), key=lambda number: ious[number])
    texts = [text.get_text() for text in axis.texts]
    shown = [text.partition(": test image ")[::2] for text in texts if "test image" in text]
    numbers = {kind: [int(n) for of, n in shown if of == kind] for kind in ("worst", "typical")}
    assert numbers["worst"] == order[:4]
    assert numbers["typical"] == (order[2:6] if count == 9 else order)
    said = [float(text.split()[-1]) for text in texts if "IoU" in text]
    assert said == [pytest.approx(ious[int(n)], abs=0.0051) for _, n in shown]


@pytest.mark.parametrize(
    "words",
    [
        ["trainer.precision=bf16-mixed", "connection=plain", "long=residual"],
        ["norm=pre", "model.blocks=2", "model.shortcut=C", "long=highway", "long.bias=-1.0"],
        ["norm=none", "init=zero_last", "model.up=nearest", "long=plain", "trainer.ema=0.9"],
        ["model.norm=group", "model.long_at=[1]", "model.checkpoint=true", *SUM],
        ["task.loss=[dice]", "task.class_weights=[0.0,1.0,2.0]", "model.width=[4,5,6]"],
    ],
)
def test_options_train(words, tmp_path, capsys):
    result = fit(tmp_path / "run", *words)
    assert all(math.isfinite(value) for value in result["metrics"].values())


def streets(folder, size=(19, 13)):
    write_masks(folder, 10, size=size, values=(0, 1, 2, 9))
    return ["data=masks", f"data.path={folder}", "data.ignore=[9]"]


def test_images_of_odd_size(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    result = fit(tmp_path / "run", data=streets(tmp_path / "streets"))
    assert result["metrics"]["test/accuracy"] > 0
    result = fit(tmp_path / "tiny", data=streets(tmp_path / "few", (3, 2)))
    assert result["status"] == "done"


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["model.width=[4,8]"], "needs 3 numbers", 2),
        (["model.long_at=[2]"], "levels go from 0 to 1", 2),
        (["model.depth=0"], "model.depth", 2),
        (["long=concatt"], "did you mean concat", 2),
        (["task.loss=jaccard"], "task.loss", 2),
        (["task.loss=[]"], "task.loss", 2),
        (["task.loss_weights=[1.0,2.0]"], "1 losses have 2 loss_weights", 2),
        (["task.class_weights=[1.0]"], "background, cell, boundary", 2),
        (["task.scale=0.5"], "task.scale", 2),
        (["data=digits"], "cannot use data=digits", 2),
        (["data=masks"], "needs data.path", 2),
        (["data=masks", "data.path=/nowhere/at/all"], "no such folder", 3),
    ],
)
def test_wrong_options_are_one_line(words, said, code, tmp_path, capsys):
    folder = tmp_path / "run"
    assert main(["fit", *SMALL, f"run.dir={folder}", *words]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not folder.exists()


def test_quarter_turns_need_square_windows(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = streets(tmp_path / "streets")
    fit(tmp_path / "run", "task.rotate=true", data=data, code=2)
    assert "13x19 cannot be turned" in capsys.readouterr().err
    fit(tmp_path / "run", "task.rotate=true", "task.crop=8", data=data)


def test_predict(run, tmp_path, capsys):
    shutil.copytree(run[0], tmp_path / "run")
    folder = tmp_path / "images"
    (folder / "more").mkdir(parents=True)
    sizes = {"a.png": (13, 21), "a.jpg": (32, 32), "more/b.bmp": (40, 7), ".c.png": (3, 3)}
    for number, (name, size) in enumerate(sizes.items()):
        photo(number, size).save(folder / name)
    (folder / "notes.txt").write_text("no image")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    words = ["predict", f"from={tmp_path / 'run'}"]
    assert main([*words, f"path={folder}", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [entry["file"] for entry in report["bad"]] == [str(folder / "notes.txt")]
    out = tmp_path / "run" / "predictions"
    masks = {"a.png": "a.png.png", "a.jpg": "a.jpg.png", "more/b.bmp": "more/b.png"}
    assert {str(p.relative_to(out)) for p in out.rglob("*.png")} == {*masks.values()}
    for name, mask in masks.items():
        with Image.open(out / mask) as image:
            assert (image.mode, image.size) == ("P", sizes[name])
            assert np.asarray(image).max() < 3
    assert {path: path.read_bytes() for path in before} == before
    empty = tmp_path / "empty"
    (empty / ".git").mkdir(parents=True)
    (empty / ".git" / "a.png").write_text("hidden")
    for wrong, said, code in [
        (["path=images"], "no such file or folder", 3),
        ([f"path={empty}"], "no files", 3),
        ([f"path={folder / 'notes.txt'}"], "none of 1 files is an image", 3),
        ([], "needs path=IMAGES", 2),
        ([f"path={folder}", f"out={folder}"], "among the images", 2),
        ([f"path={folder / 'a.png'}", f"out={folder / 'more'}"], "among the images", 2),
        ([f"path={folder}", "size=0"], "size=0", 2),
    ]:
        assert main([*words, *wrong]) == code
        assert said in capsys.readouterr().err
    out = tmp_path / "out"
    assert main([*words, f"path={folder / 'a.png'}", f"out={out}", "size=40"]) == 0
    assert [path.name for path in out.iterdir()] == ["a.png"]


def test_masks_of_the_test_part_are_those_that_were_counted(run, tmp_path):
    """Accuracy from the written masks is the run's own."""
    from tasks.data.masks.cells import Cells

    trained, result, _ = run
    data = Cells(12, 2, 4, 32).load()
    folder = tmp_path / "images"
    folder.mkdir()
    for number in data.test.tolist():
        Image.fromarray(data.images[number, 0].numpy()).save(folder / f"{number}.png")
    out = tmp_path / "out"
    assert main(["predict", f"from={trained}", f"path={folder}", f"out={out}"]) == 0
    hits = []
    for number in data.test.tolist():
        with Image.open(out / f"{number}.png") as image:
            hits.append((np.asarray(image) == data.masks[number].numpy()).mean())
    assert np.mean(hits) == pytest.approx(result["metrics"]["test/accuracy"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_long_skips_find_boundaries(seed, tmp_path, capsys):
    metrics = {}
    for long in ("concat", "residual", "plain"):
        words = ["task=unet", f"long={long}", f"seed={seed}", "logger=none"]
        assert main(["fit", *words, f"run.dir={tmp_path / long}"]) == 0
        metrics[long] = RunFolder(tmp_path / long).result()["metrics"]
    without = metrics.pop("plain")
    for with_skips in metrics.values():
        assert with_skips["test/mean_iou"] - without["test/mean_iou"] > 0.1
        assert with_skips["test/iou/boundary"] > 3 * without["test/iou/boundary"]


@pytest.mark.slow
def test_camvid_is_learned(tmp_path, capsys):
    folder = DATA / "camvid-240x180"
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set ZOO_DATA")
    words = ["task=unet", "preset=camvid", f"data.path={folder}", "logger=none"]
    assert main(["fit", *words, f"run.dir={tmp_path / 'run'}"]) == 0
    assert RunFolder(tmp_path / "run").result()["metrics"]["val/mean_iou"] >= 0.55
