"""Verbs on odd files: names that are no text, links, formulas, folders that cannot be written."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_runs import words

from tasks.transformer.sample import harmless
from zoo.cli.main import main

NAMES = [b"=1+1.png", b"+a.png", b"-b.png", b"@c.png", b"\tt.png", b"\xff\xe9.png"]
NAMES += [b"red \x1b[31m.png", b"line\nend.png", "日本 [1].png".encode()]
NAMES += ["right\u202eleft.png".encode(), b"x" * 251 + b".png"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    for task in ("cnn", "unet", "diffusion", "transformer"):
        given = words(task, "trainer.max_steps=1", f"run.dir={place / task}")
        assert main(["fit", *given]) == 0
    return place


@pytest.fixture
def odd(tmp_path):
    """Images with odd names, one of them linked, two in a linked folder, and what is no image."""
    folder, other = tmp_path / "images", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (len(NAMES) + 2, 8, 8)).astype(np.uint8)
    for number, name in enumerate(NAMES):
        Image.fromarray(pixels[number]).save(tmp_path / "image.png")
        os.rename(tmp_path / "image.png", os.fsencode(folder) + b"/" + name)
    for number in (0, 1):
        Image.fromarray(pixels[-1 - number]).save(other / f"{number}.png")
    (folder / "linked").symlink_to(other)
    (folder / "one.png").symlink_to(other / "0.png")
    (folder / "nowhere.png").symlink_to(tmp_path / "lost")
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "round").symlink_to(folder)
    (folder / "empty.png").touch()
    (folder / ".hidden.png").touch()
    return folder


def test_every_image_has_a_label_whatever_its_name(runs, odd, capfd):
    assert main(["predict", f"from={runs / 'cnn'}", f"path={odd}"]) == 0
    told = capfd.readouterr()
    assert all(letter.isprintable() or letter == "\n" for letter in told.out + told.err)
    for name in ("nowhere.png", "itself.png", "round", "empty.png"):
        assert f"cannot be read: {odd / name} (" in told.out
    assert ".hidden.png" in told.out
    with (runs / "cnn/predictions/labels.csv").open(newline="", encoding="utf-8") as file:
        found = [row["image"] for row in csv.DictReader(file)]
    spelled = {"'=1+1.png", "'+a.png", "'-b.png", "'@c.png", "\\tt.png", "\\xff\\xe9.png"}
    spelled |= {
        "x" * 251 + ".png",
        "red \\x1b[31m.png",
        "line\\nend.png",
        "日本 [1].png",
        "right\\u202eleft.png",
    }
    spelled |= {"x" * 251 + ".png"}
    assert sorted(found) == sorted(spelled | {"linked/0.png", "linked/1.png", "one.png"})


def test_every_image_has_a_mask_under_its_own_name(runs, odd, capfd):
    assert main(["predict", "--json", f"from={runs / 'unet'}", f"path={odd}"]) == 0
    found = json.loads(capfd.readouterr().out)
    masks = os.listdir(os.fsencode(runs / "unet" / "predictions"))
    assert set(masks) == {*NAMES, b"one.png", b"linked"}
    assert len(found["masks"]) == len(NAMES) + 3
    lost = {Path(entry["file"]).name for entry in found["bad"]}
    assert lost == {"nowhere.png", "itself.png", "round", "empty.png"}
    assert found["passed"] == [".hidden.png"]


@pytest.mark.parametrize(
    ("task", "verb", "option"),
    [
        ("cnn", ["predict", "path={images}"], "out"),
        ("unet", ["predict", "path={images}"], "out"),
        ("diffusion", ["sample", "count=2", "steps=1"], "dir"),
        ("diffusion", ["export"], "dir"),
        ("transformer", ["sample", "tokens=3"], "dir"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(task, verb, option, runs, tmp_path, capfd):
    """Here because a file stands there; root may write into every folder."""
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "images" / "a.png")
    (tmp_path / "file").touch()
    verb = [word.format(images=tmp_path / "images") for word in verb]
    given = [*verb, f"from={runs / task}"]
    assert main([*given, f"{option}={tmp_path / 'file' / 'inside'}"]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "cannot be written" in said
    assert f"{option}=" in said
    assert main([*given, f"{option}={tmp_path / 'made' / 'here'}"]) == 0
    assert list((tmp_path / "made").rglob("*"))


def test_a_mask_whose_name_is_too_long_costs_no_other_one(runs, tmp_path, capfd):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "a.gif", "a.png.bmp", "x" * 251 + ".png", "x" * 251 + ".gif"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / name)
    given = [f"from={runs / 'unet'}", f"path={folder}", f"out={tmp_path / 'masks'}"]
    assert main(["predict", *given]) == 0
    names = {path.name for path in (tmp_path / "masks").iterdir()}
    assert names == {"a.png.png", "a.gif.png", "a.png.bmp.png"}
    assert capfd.readouterr().out.count("its mask cannot be written (File name too long)") == 2


def test_no_mask_is_written_among_images_that_a_link_leads_to(runs, tmp_path, capfd):
    (tmp_path / "images").mkdir()
    (tmp_path / "other" / "inside").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "other" / "a.png")
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "other")
    given = [f"from={runs / 'unet'}", f"path={tmp_path / 'images'}"]
    for out in ("images/masks", "other", "other/inside/masks", "images/linked/new"):
        assert main(["predict", *given, f"out={tmp_path / out}"]) == 2
        assert "is among the images" in capfd.readouterr().err
    assert not list(tmp_path.rglob("*.png.png"))


def test_an_export_replaces_no_folder_of_a_user(runs, tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    given = ["export", f"from={runs / 'diffusion'}"]
    assert main([*given, f"dir={tmp_path / 'mine'}"]) == 2
    assert "name a new folder" in capfd.readouterr().err
    assert (tmp_path / "mine").is_dir()


def test_an_empty_path_is_not_the_folder_one_stands_in(runs, capfd):
    for option in ("path=", "path=x out="):
        assert main(["predict", f"from={runs / 'cnn'}", *option.split()]) == 2
        assert "the path is empty" in capfd.readouterr().err


def test_a_graph_that_is_not_there_is_named(runs, tmp_path, capfd):
    assert main(["fit", *words("gnn", "trainer.max_steps=1", f"run.dir={tmp_path / 'gnn'}")]) == 0
    for path, said in ((tmp_path / "lost.npz", "no such file"), (tmp_path, "a folder is no file")):
        assert main(["predict", f"from={tmp_path / 'gnn'}", f"path={path}"]) == 3
        assert f"{said} -- {path} -- give path=FILE.npz" in capfd.readouterr().err


@pytest.mark.fault(40)
def test_text_steers_no_terminal():
    assert "".join(map(harmless, "a\n\t\x1b[31m\r\x9b é\u3000")) == (
        "a\n\t\\x1b[31m\\r\\x9b é\u3000"
    )
