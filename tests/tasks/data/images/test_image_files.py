"""Folders of images in the Hub's layout: columns, splits, odd and broken files, wrong options."""

import io

import numpy as np
import pytest
import torch
from conftest import DATA
from image_files import CLASSES, IMAGE, cells, pets, write_parquet, write_tree
from PIL import Image

from tasks.data.images.cifar import CIFAR10, CIFAR100
from tasks.data.images.sources import Images
from zoo.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "residual-zoo" / "datasets"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pets"


def exact(data):
    """Images as a set of bytes, with their labels."""
    return sorted(
        (x.numpy().tobytes(), y) for x, y in zip(data.images, data.labels.tolist(), strict=True)
    )


def test_cifar10(cache):
    folder = DATA / "cifar10-12k"
    if not folder.is_dir():
        pytest.skip(f"no CIFAR-10 files in {folder}; set ZOO_DATA")
    import pyarrow.parquet as pq

    before = sorted(folder.rglob("*"))
    data = CIFAR10(str(folder)).load()
    assert data.images.shape == (12000, 3, 32, 32)
    assert [len(part) for part in (data.train, data.val, data.test)] == [9000, 1000, 2000]
    assert data.classes[0] == "airplane"
    assert len(data.classes) == 10
    assert data.skipped == 0
    assert data.mean == pytest.approx([0.49, 0.48, 0.45], abs=0.02)
    rows = pq.read_table(next(folder.rglob("test-*"))).slice(7, 1).to_pylist()[0]
    there = np.asarray(Image.open(io.BytesIO(rows["img"]["bytes"])))
    assert (data.images[10007].permute(1, 2, 0).numpy() == there).all()
    assert data.labels[10007] == rows["label"]
    assert sorted(folder.rglob("*")) == before
    assert cache.is_dir()
    again, other = (CIFAR10(str(folder), seed=seed).load() for seed in (0, 1))
    assert data.digest() == again.digest() != other.digest()


@pytest.mark.parametrize(("coarse", "classes"), [(False, 4), (True, 2)])
def test_cifar100_has_fine_and_coarse_classes(folder, coarse, classes):
    fine, coarser = [i % 4 for i in range(24)], [i % 2 for i in range(24)]
    for split in ("train", "test"):
        columns = {"img": cells(24), "fine_label": fine, "coarse_label": coarser}
        write_parquet(folder, split, **columns)
    data = CIFAR100(str(folder), coarse=coarse).load()
    assert len(data.classes) == classes
    assert len(data.test) == 24


def test_a_tree_of_files(folder):
    write_tree(folder, {("train", "cat"): 10, ("train", "dog"): 10, ("test", "cat"): 3})
    data = Images(str(folder)).load()
    assert data.classes == ("cat", "dog")  # although no dog is in the test
    assert [len(part) for part in (data.train, data.val, data.test)] == [18, 2, 3]
    assert data.labels[data.test].tolist() == [0, 0, 0]
    assert data.labels[data.val].tolist() == [0, 1]
    first = np.asarray(Image.open(folder / "test" / "cat" / "0.png"))
    assert (data.images[data.test[0]].permute(1, 2, 0).numpy() == first).all()


def test_splits_and_shares(folder):
    pets(folder, 40)
    one = Images(str(folder), val=0.25, test=0.5).load()
    assert [len(part) for part in (one.train, one.val, one.test)] == [15, 5, 20]
    assert one.labels[one.test].sum() == 10
    other = Images(str(folder), val=0.25, test=0.5, seed=1).load()
    assert torch.equal(one.test, other.test)
    assert not torch.equal(one.val, other.val)
    assert exact(one) == exact(other)
    pets(folder, 10, "validation")
    pets(folder, 12, "test")

    def sizes(**options):
        data = Images(str(folder), **options).load()
        return [len(part) for part in (data.train, data.val, data.test)]

    assert sizes() == [40, 10, 12]
    assert sizes(val_split="train") == [36, 4, 12]
    assert sizes(test_split="validation") == [36, 4, 10]
    assert sizes(test_split="train") == [32, 10, 8]
    assert sizes(train_split="test", val=0.5) == [10, 10, 2]
    for options, words in [
        ({"val_split": "tests"}, "no split 'tests' -- data.val_split -- did you mean test"),
        ({"val_split": "test", "test_split": "test"}, "are both 'test'"),
    ]:
        with pytest.raises(ConfigError, match=words):
            sizes(**options)


def test_a_lone_split_is_for_training_unless_it_is_called_otherwise(folder):
    pets(folder / "one", 20, "all")
    assert len(Images(str(folder / "one")).load().test) == 4
    pets(folder / "two", 20, "test")
    with pytest.raises(ConfigError, match=r"no split train, only test .* data\.train_split=test"):
        Images(str(folder / "two")).load()
    assert len(Images(str(folder / "two"), train_split="test").load().test) == 4
    pets(folder / "two", 20, "validation")
    with pytest.raises(ConfigError, match="no split train"):
        Images(str(folder / "two")).load()


@pytest.mark.parametrize("labels", [["dog", "cat"] * 10, [7, 3] * 10, [True, False] * 10])
def test_classes_of_a_column_without_names(folder, labels):
    write_parquet(folder, image=cells(20), label=labels)
    data = Images(str(folder), image="image").load()
    assert data.classes == tuple(str(name) for name in sorted(set(labels)))
    assert data.labels.tolist() == [1, 0] * 10


def test_images_without_a_type_are_found(folder):
    typed, pairs, plain = folder / "typed", folder / "pairs", folder / "plain"
    pets(typed)
    names = ["cat", "dog"] * 10
    write_parquet(pairs, picture=[{**cell, "path": None} for cell in cells(20)], label=names)
    write_parquet(plain, file=[cell["bytes"] for cell in cells(20)], label=names)
    one, *others = (Images(str(path)).load() for path in (typed, pairs, plain))
    assert {one.digest()} == {other.digest() for other in others}


@pytest.mark.parametrize(
    ("columns", "options", "error", "words"),
    [
        ({"label": [0, 1]}, {}, DataError, "no column is the image; there are label"),
        ({"image": cells(2)}, {}, DataError, "no column is the label; there are image"),
        ({"image": cells(2), "label": [0, 1]}, {"label": "lable"}, ConfigError, "did you mean la"),
        ({"image": cells(2), "label": [0, 1]}, {"image": "label"}, ConfigError, "holds no images"),
        ({"image": cells(2), "label": [0.5, 1]}, {}, ConfigError, "'label' holds no classes"),
        ({"image": cells(2), "label": [[0], [1]]}, {}, ConfigError, "'label' holds no classes"),
        ({"image": cells(2), "label": ["a", None]}, {}, DataError, "1 of 2 images .* no label"),
        ({"image": cells(4), "label": [0, 0, 0, 0]}, {}, DataError, "the data has 1 class"),
        ({"image": cells(2), "label": [0, 1]}, {}, DataError, "part is empty"),
        ({"a": cells(2), "b": cells(2), "label": [0, 1]}, {}, ConfigError, "be the image: a, b"),
    ],
)
def test_columns_that_do_not_fit(folder, columns, options, error, words):
    write_parquet(folder, **columns)
    with pytest.raises(error, match=words) as caught:
        Images(str(folder), **options).load()
    assert str(caught.value).count(" -- ") == 2
    assert "\n" not in str(caught.value)


def test_unlabelled_test_images_and_several_class_columns(folder):
    pets(folder)
    pets(folder, 4, "test", labels=[-1] * 4)
    with pytest.raises(DataError, match="4 of 4 images of split test have no label"):
        Images(str(folder)).load()
    assert len(Images(str(folder), test_split="train").load().test) == 4
    features = {"image": IMAGE, "kind": CLASSES, "colour": CLASSES}
    classes = {"kind": [0, 1] * 4, "colour": [0, 0, 1, 1] * 2}
    write_parquet(folder / "two", features=features, image=cells(8), **classes)
    with pytest.raises(ConfigError, match="kind, colour"):
        Images(str(folder / "two")).load()
    assert Images(str(folder / "two"), label="colour", val=0.3).load().classes == ("cat", "dog")
