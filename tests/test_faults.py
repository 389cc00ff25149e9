"""Every fault of faults.yaml is injected by a test that bears its number; many are here."""

import errno
import itertools
import json
import math
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from image_files import CLASSES, IMAGE, cells, photo, write_parquet, write_tree
from mask_files import labels
from PIL import Image
from small_graphs import npz
from small_runs import command, content, rows
from tiny_runs import shrink, words

from tasks.gnn.task import NodeClassification
from zoo.cli.main import main
from zoo.config import registry
from zoo.config.compose import load
from zoo.config.tree import flatten
from zoo.run_folder import RunFolder

HOME = Path(__file__).parent
FAULTS = yaml.safe_load((HOME / "faults.yaml").read_text())
TASKS = registry.names("task")
IMAGES = ["task=cnn", "data=images", "model.depth=8", "model.width=4", "data.batch_size=4"]
SHORT = ["trainer.max_steps=2", "trainer.validate_every=2", "logger=none", "optimizer.warmup=0"]


class Place:
    """Where a fault is injected: an empty folder, and commands that are watched.

    Args:
        path: the folder.
        capsys: catches what is printed.
        patch: pytest's monkeypatch.
    """

    def __init__(self, path, capsys, patch):
        self.path, self.capsys, self.patch = path, capsys, patch

    def told(self, given, code, *said, ran=False):
        """Runs a command that must fail in one line and touch no file; one that ran has its own."""
        before = content(self.path)
        self.capsys.readouterr()
        assert main(given) == code
        printed = self.capsys.readouterr()
        lines = [line for line in printed.err.splitlines() if line.startswith("zoo: error: ")]
        assert len(lines) == 1, printed.err
        assert lines[0].count(" -- ") >= 2
        assert all(each in lines[0] for each in said), lines[0]
        assert "Traceback" not in printed.err + printed.out
        after = content(self.path)
        new = after.keys() - before
        assert {path: after[path] for path in after if path not in new} == before
        assert {path.relative_to(self.path).parts[0] for path in new} == ({"run"} if ran else set())

    def trained(self, *given, name="run"):
        """The result of a run that must come to its end."""
        self.capsys.readouterr()
        assert main(["fit", *given, f"run.dir={self.path / name}"]) == 0
        assert "Traceback" not in self.capsys.readouterr().err
        result = RunFolder(self.path / name).result()
        assert all(math.isfinite(value) for value in result["metrics"].values())
        return result


@pytest.fixture
def place(tmp_path, tmp_path_factory, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    shrink(monkeypatch)
    return Place(tmp_path, capsys, monkeypatch)


class Marks:
    """Notes the faults whose numbers the collected tests bear."""

    def pytest_collection_finish(self, session):
        marks = (mark for test in session.items for mark in test.iter_markers("fault"))
        self.faults = {number for mark in marks for number in mark.args}


def test_every_fault_is_injected_and_every_mark_is_one_of_a_fault():
    assert list(FAULTS) == list(range(1, 41))
    for row in FAULTS.values():
        assert {"fault", "then"} <= row.keys() <= {"fault", "then", "not"}
    marks = Marks()
    files = [path for path in HOME.rglob("test_*.py") if "mark.fault" in path.read_text()]
    given = ["--collect-only", "-q", "-n0", "-m=fault", *map(str, files)]
    assert pytest.main(given, plugins=[marks]) == pytest.ExitCode.OK
    assert sorted(marks.faults) == list(FAULTS)


@pytest.mark.fault(3)
def test_wrong_values(place):
    values = {
        "model.depth": ("0", "-3", "1e9", "ten"),
        "optimizer.lr": ("0", "nan", "inf", "-1"),
        "seed": ("-1", "1.5"),
    }
    for task in TASKS:
        for key in values if task == "gnn" else ["model.depth"]:  # of each task its own
            for value in values[key]:
                place.told(["fit", f"task={task}", f"{key}={value}"], 2, f"{key}=")


@pytest.mark.fault(4)
def test_broken_yaml(place):
    path = place.path / "mine.yaml"
    for text, said in {
        b"task: gnn\nmodel:\n\tdepth: 3\n": f"{path}:3",
        b"task: gnn\nseed: 1\nseed: 2\n": "given twice",
        b"<<<<<<< ours\ntask: gnn\n=======\ntask: cnn\n>>>>>>> theirs\n": "broken YAML",
        b"task: gnn\nrun: {id: \xff\xfe}\n": "broken YAML",
        b"": "no mapping",
    }.items():
        path.write_bytes(text)
        place.told(["fit", f"config={path}"], 2, said, str(path))


@pytest.mark.fault(5)
def test_code_in_a_configuration(place):
    path, canary = place.path / "mine.yaml", place.path / "canary"
    for text in (
        f"task: gnn\nmodel: {{_target_: os.system, command: 'touch {canary}'}}\n",
        f"task: gnn\nmodel: {{class: os.system, command: 'touch {canary}'}}\n",
        f"task: gnn\nmodel: !!python/object/apply:os.system ['touch {canary}']\n",
        "task: gnn\nlogger: {project: '${oc.env:HOME}'}\n",
    ):
        path.write_text(text)
        place.told(["fit", f"config={path}"], 2, str(path))
    assert not canary.exists()


@pytest.mark.fault(6)
def test_options_that_conflict(place):
    for given, said in {
        "task=transformer model.width=10 model.heads=4": ("10", "4", "width=8 is near"),
        "task=gnn model.conv=gatv2 model.width=16 model.heads=7": ("16", "7", "width=14 is near"),
        "task=unet model.depth=2 model.width=[4,8]": ("3", "2"),
        "task=cnn model.depth=9": ("9", "10 is near"),
    }.items():
        place.told(["fit", *given.split()], 2, *said)


@pytest.mark.fault(8)
def test_a_key_that_is_not_there(place):
    for task in TASKS:
        config, _ = load([f"task={task}"])
        keys = [key for key in flatten(config.plain()) if "." in key]
        for section in {key.partition(".")[0] for key in keys} - {"choices"}:
            key = next(key for key in keys if key.startswith(f"{section}."))
            place.told(["fit", f"task={task}", f"{key}x=1"], 2, f"unknown option {key}x")
            if task != "gnn" and section != "model":
                continue
            path = place.path / "mine.yaml"
            wrong = f"{{{key.partition('.')[2]}x: 1}}"
            path.write_text(f"choices: {{task: {task}}}\n{section}: {wrong}\n")
            place.told(["fit", f"config={path}"], 2, f"unknown option {key}x")


@pytest.mark.fault(9)
def test_data_that_is_not_there(place):
    empty = place.path / "empty"
    empty.mkdir()
    of_task = {"cnn": ["images", "cifar10", "cifar100"], "unet": ["masks", "camvid", "pet"]}
    of_task |= {"transformer": ["text", "shakespeare", "wikitext"]}
    of_task |= {"gnn": ["npz", "planetoid", "webkb", "actor"]}
    for task, sources in of_task.items():
        for source in sources:
            for path in (empty, place.path / "missing"):
                given = ["fit", f"task={task}", f"data={source}", f"data.path={path}"]
                place.told([*given, f"run.dir={place.path / 'run'}"], 3, str(path))


@pytest.mark.fault(10)
def test_images_that_are_cut_off(place):
    pets = place.path / "pets"
    write_tree(pets, {(s, c): 6 for s in ("train", "val", "test") for c in ("cat", "dog")})
    whole = (pets / "train" / "cat" / "1.png").read_bytes()
    (pets / "train" / "cat" / "1.png").write_bytes(whole[: len(whole) // 2])
    (pets / "train" / "dog" / "2.png").write_bytes(b"")
    given = [*IMAGES, f"data.path={pets}", *SHORT]
    where = str(Path("train") / "cat" / "1.png")
    place.told(["fit", *given, f"run.dir={place.path / 'run' / 'r'}"], 3, where)
    assert place.trained(*given, "data.on_bad=skip", name="skipped")["skipped"] == 2


@pytest.mark.fault(11)
def test_images_of_every_mode(place):
    modes = ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK"]
    folders = itertools.product(("train", "val", "test"), ("cat", "dog"))
    for number, (split, kind) in enumerate(folders):
        folder = place.path / "pets" / split / kind
        folder.mkdir(parents=True)
        for i, mode in enumerate(modes):
            end = "jpg" if mode == "CMYK" else "png"
            photo(10 * number + i, mode=mode).save(folder / f"{i}.{end}")
        deep = np.random.default_rng(number).integers(0, 2**16, (4, 6), np.uint16)
        Image.fromarray(deep).save(folder / "deep.png")
    given = [*IMAGES, f"data.path={place.path / 'pets'}", *SHORT]
    assert place.trained(*given)["examples"]["train"] == 2 * (len(modes) + 1)


def pairs(folder, count=8):
    """Images and masks of three classes."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for i in range(count):
        photo(i).save(folder / "images" / f"{i}.png")
        labels(i).save(folder / "masks" / f"{i}.png")
    return ["task=unet", "data=masks", f"data.path={folder}", *SHORT]


@pytest.mark.fault(12)
def test_masks_of_other_values(place):
    given = ["fit", *pairs(place.path / "streets"), f"run.dir={place.path / 'run'}"]
    labels(9, values=(0, 1, 77)).save(place.path / "streets" / "masks" / "3.png")
    place.told([*given, "data.classes=[sky,road,car]"], 3, "77")


@pytest.mark.fault(13)
def test_masks_that_do_not_fit(place):
    given = ["fit", *pairs(place.path / "streets"), f"run.dir={place.path / 'run'}"]
    labels(9, size=(5, 4)).save(place.path / "streets" / "masks" / "3.png")
    place.told(given, 3, "its mask 4x5")
    (place.path / "streets" / "masks" / "3.png").unlink()
    place.told(given, 3, "3.png")


@pytest.mark.fault(14)
def test_labels_that_are_no_class(place):
    for label, said in {-1: "10 of 20 images of split train have no label", 2: "2"}.items():
        folder = place.path / f"of {label + 1}"
        features = {"image": IMAGE, "label": CLASSES}
        write_parquet(folder, "train", features, image=cells(20), label=[0, label] * 10)
        given = ["fit", *IMAGES, f"data.path={folder}", *SHORT]
        place.told([*given, f"run.dir={place.path / 'run'}"], 3, said, str(folder))


@pytest.mark.fault(16)
def test_odd_graphs(place):
    given = ["task=gnn", "data=npz", "model.depth=3", "model.width=8", *SHORT]
    none = npz(place.path / "none.npz", edge_index=np.zeros((2, 0), int))
    place.trained(*given, f"data.path={none}", name="none")
    loops = npz(place.path / "loops.npz", edge_index=np.array([[0, 0, 3], [0, 0, 3]]))
    place.trained(*given, f"data.path={loops}", name="loops")
    one = {"x": np.ones((1, 3), np.float32), "y": np.zeros(1, int), "train": np.array([0])}
    nothing = {"edge_index": np.zeros((2, 0), int), "val": np.array([0]), "test": np.array([0])}
    path = npz(place.path / "one.npz", **one, **nothing)
    place.told(["fit", *given, f"data.path={path}", f"run.dir={place.path / 'run'}"], 3, str(path))


@pytest.mark.fault(18)
def test_odd_features(place):
    given = ["task=gnn", "data=npz", "model.depth=3", "model.width=8", *SHORT]
    for value in (math.nan, math.inf, -math.inf):
        x = np.ones((12, 3), np.float32)
        x[4, 1] = value
        path = npz(place.path / f"{value}.npz", x=x)
        place.told(
            ["fit", *given, f"data.path={path}", f"run.dir={place.path / 'run'}"],
            3,
            "NaN or infinite",
        )
    alike = npz(place.path / "alike.npz", x=np.ones((12, 3), np.float32))
    place.trained(*given, f"data.path={alike}")


@pytest.mark.fault(19)
def test_odd_texts(place):
    given = ["fit", "task=transformer", "data=text", "model.context=64", *SHORT]
    path = place.path / "text.txt"
    for text, said in {
        b"to be or not to be " * 9: "model.context=64",
        b"": "the file is empty",
        b"to be " * 99 + b"\xff": "byte 594 is 0xff",
    }.items():
        path.write_bytes(text)
        place.told([*given, f"data.path={path}", f"run.dir={place.path / 'run'}"], 3, said)


@pytest.mark.fault(23)
def test_a_last_batch_of_one(place):
    pets = place.path / "pets"
    counts = {("train", "cat"): 3, ("train", "dog"): 2}
    write_tree(pets, counts | {(s, c): 1 for s in ("val", "test") for c in ("cat", "dog")})
    given = [*IMAGES, f"data.path={pets}", *SHORT, "norm=post", "model.norm=batch"]
    for batch in (4, 100):
        result = place.trained(*given, f"data.batch_size={batch}", name=str(batch))
        assert (result["status"], result["steps"]) == ("done", 2)


def at_step(place, step, act):
    """Calls something in the forward pass of a step."""
    loss = NodeClassification.loss

    def struck(self, batch, shard):
        if self.trainer.global_step == step:
            act()
        return loss(self, batch, shard)

    place.patch.setattr(NodeClassification, "loss", struck)
    return ["fit", *words("gnn", "trainer.save_minutes=0", "trainer.max_steps=6")]


def kept(place, step):
    """The good checkpoint of a run that ended at a fault."""
    path = place.path / "run" / "checkpoints" / "last.ckpt"
    found = torch.load(path, weights_only=True)
    assert found["global_step"] == step
    assert not list((place.path / "run").rglob(".*.tmp*"))
    assert main(["test", f"from={place.path / 'run'}"]) == 0


@pytest.mark.fault(26)
def test_memory_that_ends(place):
    def full():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    given = at_step(place, 3, full)
    place.told([*given, f"run.dir={place.path / 'run'}"], 6, "out of memory", ran=True)
    place.patch.undo()
    kept(place, 3)


@pytest.mark.fault(27)
def test_a_disk_that_is_full(place):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    given = at_step(place, 3, lambda: place.patch.setattr("os.fsync", full))
    place.patch.setattr("tempfile.tempdir", str(place.path / "run"))
    place.told([*given, f"run.dir={place.path / 'run'}"], 6, "the disk is full", ran=True)
    place.patch.undo()
    kept(place, 3)


@pytest.mark.fault(29)
def test_signals(place):
    codes = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}
    for number, code in codes.items():
        with place.patch.context() as patch:
            run = place.path / number.name
            struck = Place(place.path, place.capsys, patch)
            given = at_step(struck, 3, lambda number=number: signal.raise_signal(number))
            assert main([*given, f"run.dir={run}"]) == code
        assert RunFolder(run).result()["steps"] == 4  # the step came to its end
        assert main(["fit", f"from={run}"]) == 0
        assert RunFolder(run).result()["steps"] == 6
    twice = at_step(place, 3, lambda: [signal.raise_signal(signal.SIGTERM) for _ in range(2)])
    with pytest.raises(SystemExit) as ended:
        main([*twice, f"run.dir={place.path / 'run'}"])
    assert ended.value.code == 143
    assert RunFolder(place.path / "run").result()["status"] == "interrupted"
    place.patch.undo()
    kept(place, 3)


@pytest.mark.fault(32)
def test_other_options(place):
    run = place.path / "finished"
    assert main(["fit", *words("gnn", "trainer.max_steps=2"), f"run.dir={run}"]) == 0
    for word in (
        "model.depth=5",
        "connection=plain",
        "optimizer=sgd",
        "data=npz",
        "seed=7",
        "task=cnn",
        "trainer.precision=bf16-mixed",
    ):
        place.told(["fit", f"from={run}", word], 2, word.partition("=")[0])


@pytest.mark.slow
@pytest.mark.fault(33)
def test_other_devices(place):
    given = [*words("gnn", "model.dropout=0.0"), "trainer.accelerator=cpu"]
    place.trained(*given, "trainer.max_steps=8", name="one")
    place.trained(*given, "trainer.max_steps=4", name="two")
    more = ["trainer.devices=2", "trainer.max_steps=8"]
    process = command("fit", f"from={place.path / 'two'}", *more)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    for one, two in zip(*(rows(place.path / each) for each in ("one", "two")), strict=True):
        assert two == pytest.approx(one, rel=1e-3)


@pytest.mark.fault(34)
def test_nothing_to_continue(place):
    run = place.path / "finished"
    assert main(["fit", *words("gnn", "trainer.max_steps=2"), f"run.dir={run}"]) == 0
    before = content(run)
    place.capsys.readouterr()
    assert main(["fit", f"from={run}"]) == 0
    assert "already complete" in place.capsys.readouterr().err
    assert content(run) == before
    place.told(["fit", f"from={place.path / 'missing'}"], 5, "missing")


@pytest.mark.fault(36)
def test_no_wandb(place):
    place.patch.setitem(sys.modules, "wandb", None)
    place.patch.delenv("WANDB_MODE", raising=False)
    given = [word for word in words("gnn", "trainer.max_steps=2") if word != "logger=none"]
    assert main(["fit", *given, f"run.dir={place.path / 'run'}"]) == 0
    lines = place.capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "W&B" in line]) == 1
    assert [row["step"] for row in rows(place.path / "run")]
    assert json.loads((place.path / "run" / "result.json").read_text())["status"] == "done"
