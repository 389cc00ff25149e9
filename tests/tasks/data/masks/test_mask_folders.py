"""Folders of images and masks: pairs by their names, in splits, and what is refused."""

import shutil

import numpy as np
import pytest
from image_files import photo
from mask_files import labels

from tasks.data.masks.sources import Masks
from zoo.errors import DataError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cells"


def write(folder, count=6, seed=0, inside="", end=".png", names=("images", "masks")):
    """Pairs in `images/` and `masks/`."""
    for i in range(count):
        image, mask = (folder / name / inside / f"{i}" for name in names)
        image.parent.mkdir(parents=True, exist_ok=True)
        mask.parent.mkdir(parents=True, exist_ok=True)
        photo(seed + i).save(image.with_suffix(end))
        labels(seed + i).save(mask.with_suffix(".png"))


def refused(folder, words):
    with pytest.raises(DataError, match=words) as caught:
        Masks(str(folder)).load()
    assert str(caught.value).count(" -- ") == 2
    return str(caught.value)


@pytest.mark.parametrize("inside", ["", "city/a", "test"])
@pytest.mark.parametrize("names", [("images", "masks"), ("Images", "MASKS")])
def test_pairs(folder, inside, names):
    write(folder, inside=inside, names=names)
    if inside == "test":
        refused(folder, "split folders are not at the top: .*mages/test")
        return
    data = Masks(str(folder), val=0.3, test=0.3).load()
    assert [len(part) for part in (data.train, data.val, data.test)] == [3, 1, 2]
    assert data.notes == []
    for i in range(6):
        assert np.array_equal(data.masks[i].numpy(), np.asarray(labels(i)))
        assert np.array_equal(data.images[i].permute(1, 2, 0).numpy(), np.asarray(photo(i)))


@pytest.mark.parametrize("splits", [("train", "val", "test"), ("Training", "DEV", "Testing")])
def test_pairs_in_split_folders(folder, splits):
    for number, (split, count) in enumerate(zip(splits, (6, 2, 3), strict=True)):
        write(folder / split, count, 100 * number, end=".bmp")
    data = Masks(str(folder)).load()
    assert [len(part) for part in (data.train, data.val, data.test)] == [6, 2, 3]
    assert np.array_equal(data.masks[data.test[1]].numpy(), np.asarray(labels(201)))
    write(folder / "holdout", 2, 300)
    refused(folder, "holdout/ beside the split folders")


def test_split_folders_inside_images_are_refused(folder):
    for number, split in enumerate(("train", "test")):
        write(folder, 4, 100 * number, split)
    message = refused(folder, "not at the top: images/test, images/train")
    assert "test/images and test/masks" in message


@pytest.mark.fault(13)
def test_files_that_make_no_pairs(folder):
    write(folder)
    (folder / "masks" / "2.png").unlink()
    labels().save(folder / "masks" / "7.png")
    message = refused(folder, "2 files of the folder without image or mask")
    assert "images/2.png, masks/7.png" in message
    (folder / "masks" / "7.png").rename(folder / "masks" / "2.png")
    photo(2).save(folder / "images" / "2.jpg")
    refused(folder, "1 file like others but for the ending: images/2.png")
    (folder / "images" / "2.jpg").unlink()
    photo(3).save(folder / "preview.png")
    refused(folder, "1 image outside images/ and masks/: preview.png")
    (folder / "preview.png").unlink()
    (folder / "masks" / "about.txt").write_text("x")
    assert Masks(str(folder)).load().notes == ["1 other file is not read: masks/about.txt"]
    shutil.rmtree(folder / "masks")
    assert "metadata.csv" in refused(folder, "the folder has no masks")


def test_one_image_in_two_parts(folder):
    write(folder / "train")
    write(folder / "test", 3, 100)
    (folder / "test" / "images" / "2.png").unlink()
    (folder / "test" / "images" / "2.png").symlink_to(folder / "train" / "images" / "0.png")
    refused(folder, "by two splits: train/images/0.png and test/images/2.png")
    (folder / "test" / "images" / "2.png").unlink()
    shutil.copy(folder / "train" / "images" / "0.png", folder / "test" / "images" / "2.png")
    (note,) = Masks(str(folder), val_split="test", test_split="train").load().notes
    assert note.startswith("1 image of the val part is also in train (test/images/2.png = ")


def test_the_example_of_the_documentation(folder):
    lines = [line.strip() for line in Masks.__doc__.splitlines()]
    first = lines.index("file_name,mask_file_name")
    rows = lines[first + 1 : lines.index("", first + 1)]
    folder.mkdir()
    more = [f"{name}.png,{name}_mask.png" for name in ("a", "train", "test_1")]
    (folder / "metadata.csv").write_text("\n".join([lines[first], *rows, *more]))
    for i, row in enumerate([*rows, *more]):
        image, mask = row.split(",")
        photo(i).save(folder / image)
        labels(i).save(folder / mask)
    data = Masks(str(folder), val=0.3, test=0.3).load()
    assert np.array_equal(data.masks[1].numpy(), np.asarray(labels(1)))
    assert len(data.images) == len(rows) + 3


def test_classes_that_are_not_trained(folder):
    write(folder / "train", 4)
    write(folder / "test", 2, 100)
    labels(7, values=(0, 1, 2, 3)).save(folder / "test" / "masks" / "1.png")
    (note,) = Masks(str(folder), val=0.3).load().notes
    assert note.startswith("the training part has nothing of 1 class: 3 (")
