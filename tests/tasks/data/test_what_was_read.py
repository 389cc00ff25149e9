"""Labels of graphs, words of options in any case, and what a run says of its data."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from image_files import write_tree

from tasks.data.graphs.csbm import CSBM
from tasks.data.graphs.npz import Npz
from tasks.data.images.dataset import ImageSet
from tasks.data.images.digits import Digits
from tasks.data.images.sources import Images
from tasks.data.text.pydoc import PyDoc
from zoo.cli.main import main
from zoo.config.registry import build
from zoo.errors import DataError

NODES = np.arange(12)


def graph(path, **changes):
    """The graph of a file with a ring of 12 nodes and three classes."""
    arrays = {
        "x": np.eye(12, dtype=np.float32),
        "edge_index": np.stack([NODES, np.roll(NODES, 1)]),
        "y": NODES % 3,
        "train": NODES[:6],
        "val": NODES[6:9],
        "test": NODES[9:],
    }
    np.savez(path / "graph.npz", **arrays | changes)
    return Npz(str(path / "graph.npz")).load()


def test_names_of_classes_are_numbered_in_order(tmp_path):
    names = np.array(["wolf", "cat", "dog"])
    data = graph(tmp_path, y=names[NODES % 3])
    assert data.class_names == ("cat", "dog", "wolf")
    assert data.y.tolist() == [(2, 0, 1)[i % 3] for i in range(12)]
    assert data.summary().endswith("train 6, val 3, test 3; 3 classes (cat, dog, wolf)")
    assert graph(tmp_path, y=(NODES + 2) % 3).digest() == data.digest()
    unlabelled = np.where(NODES == 11, "", names[NODES % 3])
    with pytest.raises(DataError, match="a label is -1"):
        graph(tmp_path, y=unlabelled)
    data = graph(tmp_path, y=unlabelled, test=NODES[9:11])
    assert data.classes == 3
    assert "test 2, 1 of no part" in data.summary()


@pytest.mark.parametrize(
    ("labels", "empty", "top"),
    [((1, 2, 3), "0", 3), ((0, 1, 3), "2", 3), ((0, 4, 8), "1, 2, 3 and 3 more", 8)],
)
def test_labels_that_leave_a_class_empty(tmp_path, labels, empty, top):
    with pytest.raises(DataError, match=f"no node has the label {empty}; labels run to {top}"):
        graph(tmp_path, y=np.array(labels)[NODES % 3])


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int8])
def test_masks_of_ones_and_zeros(tmp_path, kind):
    masks = {"train": NODES < 6, "val": (NODES >= 6) & (NODES < 9), "test": NODES >= 9}
    data = graph(tmp_path, **{name: mask.astype(kind) for name, mask in masks.items()})
    assert data.digest() == graph(tmp_path).digest()
    with pytest.raises(DataError, match="the val part is empty"):
        graph(tmp_path, val=np.zeros(12, kind))


def test_a_class_of_the_test_only(tmp_path):
    assert graph(tmp_path).notes == []
    y = np.where(NODES >= 9, 2, NODES % 2)
    (note,) = graph(tmp_path, y=y).notes
    assert note == "the training part has nothing of 1 class: 2 (3 in test)"


@pytest.mark.parametrize(
    ("words", "section", "key", "value"),
    [
        (["task=gnn", "data=planetoid", "data.name=Cora"], "data", "name", "cora"),
        (["task=gnn", "data=webkb", "data.name=CORNELL"], "data", "name", "cornell"),
        (["task=cnn", "model.norm=Group"], "model", "norm", "group"),
        (
            ["task=unet", "data=pet", "data.path=x", "data.border=Ignore"],
            "data",
            "border",
            "ignore",
        ),
    ],
)
def test_words_of_options_in_any_case(words, section, key, value, capsys):
    assert main(["show", *words]) == 0
    assert yaml.safe_load(capsys.readouterr().out)[section][key] == value


def test_paths_and_names_without_a_list_keep_their_case():
    assert build("data", "images", path="Set", mode="GREY").mode == "grey"
    assert build("data", "images", path="Set").path == "Set"


@pytest.fixture
def folder(tmp_path):
    sizes = {"train": 12, "val": 2, "test": 4}
    counts = {(split, name): size for split, size in sizes.items() for name in "ab"}
    write_tree(tmp_path / "set", counts)
    shutil.copy(tmp_path / "set/train/a/1.png", tmp_path / "set/test/a/copy.png")
    (tmp_path / "set" / "train" / "b" / "3.png").write_bytes(b"junk")
    (tmp_path / "set" / "about.txt").write_text("x")
    return tmp_path / "set"


def test_a_run_begins_with_what_was_read(folder, tmp_path, capsys):
    small = ["task=cnn", "data=images", "model.depth=8", "model.width=4", "trainer.max_steps=2"]
    run = ["fit", *small, f"data.path={folder}", "data.on_bad=Skip", "logger=none"]
    assert main([*run, f"run.dir={tmp_path / 'run'}"]) == 0
    first, *others = capsys.readouterr().err.splitlines()
    where = f"zoo: {folder}: "
    parts = "train 23, val 4, test 9; 2 classes (a, b), 1 skipped"
    assert first == f"{where}36 images of 4x6 rgb: {parts}"
    notes = [
        "1 image cannot be read and is skipped: train/b/3.png (it is empty, cut off or of an "
        "unknown kind)",
        "1 other file is not read: about.txt",
        "1 image of the test part is also in train (test/a/copy.png = train/a/1.png)",
    ]
    assert others[:3] == [f"zoo: {note}" for note in notes]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["skipped"] == 1
    assert result["data_notes"] == notes
    log = (tmp_path / "run" / "log.txt").read_text()
    assert all(text in log for text in (first.removeprefix("zoo: "), *notes))
    assert main(["test", f"from={tmp_path / 'run'}"]) == 0
    assert capsys.readouterr().err.splitlines()[:4] == [first, *others[:3]]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            Digits(),
            "digits: 1,797 images of 8x8 grey: train 1,293, val 144, test 360; 10 classes (",
        ),
        (CSBM(), "csbm seed 0: 1,000 nodes with 64 features, "),
        (PyDoc(), "pydoc: "),
    ],
)
def test_embedded_data_says_what_it_is(source, words):
    data = source.load()
    assert data.summary().startswith(words)
    assert "\n" not in data.summary()
    for places in data.parts.values():
        assert f"{len(places):,}" in data.summary()
    assert data.notes == []


def test_an_outline_of_before_is_read(folder, tmp_path):
    """Checkpoints hold outlines; those of before had no notes, and notes stay out of them."""
    data = Images(str(folder), on_bad="skip").load()
    outline = data.metadata()
    torch.save(outline, tmp_path / "outline.pt")
    again = ImageSet.from_metadata(torch.load(tmp_path / "outline.pt", weights_only=True))
    assert (again.classes, again.notes) == (data.classes, [])
    del outline["notes"]
    assert ImageSet.from_metadata(outline).mean == data.mean
