"""Images with masks: procedural cells, folders in the Hub's layout, CamVid, pets, odd files."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import DATA
from image_files import IMAGE, photo, write_parquet
from mask_files import BOTH, cell, labels, write_masks
from PIL import Image
from scipy import ndimage

from tasks.data.masks.cells import Cells
from tasks.data.masks.dataset import UNLABELLED, MaskSet
from tasks.data.masks.presets import CamVid, Pet
from tasks.data.masks.sources import Masks
from zoo.config.registry import build
from zoo.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "streets"


def test_cells():
    data = Cells(train=20, val=5, test=6).load()
    assert data.images.shape == (31, 1, 64, 64)
    assert data.masks.shape == (31, 64, 64)
    assert [len(part) for part in (data.train, data.val, data.test)] == [20, 5, 6]
    shares = data.counts(data.train) / data.counts(data.train).sum()
    assert ((shares > torch.tensor([0.4, 0.2, 0.04])) & (shares < 0.75)).all()
    brightness = [data.images[:, 0][data.masks == c].float().mean() for c in range(3)]
    assert brightness[0] < brightness[2] < brightness[1]  # a membrane is darker than its cell


def test_a_boundary_parts_cells_and_surrounds_them():
    """Without boundaries, every cell is an island: no two touch, none touches the background."""
    data = Cells(train=8, val=1, test=1).load()
    for mask in data.masks[data.train].numpy():
        beside = ndimage.grey_dilation(mask == 1, footprint=ndimage.generate_binary_structure(2, 1))
        assert not ((mask == 0) & beside).any()
        _, islands = ndimage.label(mask == 1)
        _, clumps = ndimage.label(mask > 0)
        assert islands >= clumps > 0
    several = [ndimage.label(m == 1)[1] - ndimage.label(m > 0)[1] for m in data.masks.numpy()]
    assert max(several) > 2


def test_cells_follow_from_their_seed_and_part():
    few, more, other = Cells(4, 2, 3).load(), Cells(8, 2, 3).load(), Cells(4, 2, 3, seed=1).load()
    assert few.digest() == Cells(4, 2, 3, batch_size=2).load().digest() != other.digest()
    for part in ("val", "test"):
        ours, theirs = ((d.images[getattr(d, part)]) for d in (few, more))
        assert torch.equal(ours, theirs)


def test_cells_need_no_libraries_of_data():
    code = (
        "import sys; from tasks.data.masks.cells import Cells; Cells(2, 1, 1).load();"
        "print([m for m in ('datasets', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def small(**changes):
    images = torch.arange(6 * 3 * 2 * 2).reshape(6, 3, 2, 2).to(torch.uint8)
    masks = (torch.arange(24) % 2).reshape(6, 2, 2).to(torch.uint8)
    parts = [torch.tensor(part) for part in ([0, 1], [2, 3], [4, 5])]
    data = MaskSet(images, masks, *parts, ("a", "b"), (0.5,) * 3, (0.2,) * 3, "here")
    return replace(data, **changes)


def test_a_sound_set_is_its_own_check():
    data = small()
    assert data.checked() is data
    for changes in ({"images": data.images.flip(0)}, {"targets": 1 - data.masks}):
        assert small(**changes).digest() != data.digest()
    assert small(val=data.test, test=data.val).digest() != data.digest()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": torch.zeros(6, 3, 2, 2)}, "images are torch.float32 of shape"),
        ({"targets": torch.zeros(6, 2, 2)}, "masks are torch.float32 of shape"),
        ({"targets": torch.zeros(6, 2, 3, dtype=torch.uint8)}, r"masks are .* \[6, 2, 3\]"),
        pytest.param(
            {"targets": torch.full((6, 2, 2), 2, dtype=torch.uint8)},
            r"masks hold \[2\] with 2",
            marks=pytest.mark.fault(12),
        ),
        ({"targets": torch.full((6, 2, 2), 255, dtype=torch.uint8)}, "no pixel of the train part"),
        ({"classes": ("a",)}, r"1 class "),
        ({"classes": ("a", "a")}, "one name"),
        ({"val": torch.tensor([], dtype=torch.long)}, "val part is empty"),
        ({"test": torch.tensor([6])}, "test part names images outside 0 to 5"),
        ({"train": torch.tensor([0, 0])}, "train part repeats"),
        ({"test": torch.tensor([2, 4])}, "two parts share 1 image"),
        ({"mean": (0.5,)}, "do not fit 3 channels"),
    ],
)
def test_a_wrong_set_is_refused(changes, words):
    with pytest.raises(DataError, match=words) as caught:
        small(**changes).checked()
    assert " -- here -- " in str(caught.value)


def test_a_folder_of_parquet_files(folder):
    write_masks(folder, 20)
    write_masks(folder, 4, "test")
    data = Masks(str(folder)).load()
    assert [len(part) for part in (data.train, data.val, data.test)] == [18, 2, 4]
    assert data.classes == ("0", "1", "2")
    number = int(data.test[3])
    assert np.array_equal(data.masks[number].numpy(), np.asarray(labels(3)))
    assert np.array_equal(data.images[number].permute(1, 2, 0).numpy(), np.asarray(photo(3)))
    other = Masks(str(folder), seed=1).load()
    assert torch.equal(other.test, data.test)
    assert not torch.equal(other.val, data.val)


def test_a_folder_of_files(folder):
    (folder / "train").mkdir(parents=True)
    lines = ["file_name,mask_file_name"]
    for i in range(6):
        photo(i).save(folder / "train" / f"{i}.png")
        labels(i).save(folder / "train" / f"{i}_mask.png")
        lines.append(f"{i}.png,{i}_mask.png")
    (folder / "train" / "metadata.csv").write_text("\n".join(lines))
    data = Masks(str(folder), val=0.3, test=0.3).load()
    stored = {np.asarray(labels(i)).tobytes() for i in range(6)}
    assert {mask.numpy().tobytes() for mask in data.masks} == stored


@pytest.mark.parametrize("mode", ["P", "1", "LA", "RGB", "RGBA", "I;16"])
def test_modes_of_masks(folder, mode):
    values = (0, 1) if mode == "1" else (0, 1, 2)
    plain = [labels(i, values=values) for i in range(10)]

    def stored(mask):
        if mode == "P":
            mask = mask.copy()
            mask.putpalette([9, 9, 9, 200, 0, 0, 0, 0, 200])
            return mask
        if mode == "1":
            return mask.point(lambda value: 255 * value).convert("1")
        if mode == "I;16":
            return Image.fromarray(np.asarray(mask).astype(np.uint16))
        return mask.convert(mode)

    write_masks(folder, masks=[stored(mask) for mask in plain])
    write_masks(folder.parent / "plain", masks=plain)
    assert Masks(str(folder)).load().digest() == Masks(str(folder.parent / "plain")).load().digest()


def test_values_stand_for_classes_and_some_for_none(folder):
    write_masks(folder, values=(0, 7, 255))
    with pytest.raises(DataError, match=r"hold 0, 7, 255, not.*data.values=\[0,7,255\]"):
        Masks(str(folder)).load()
    data = Masks(str(folder), values=[7, 0], classes=["x", "y"], ignore=[255]).load()
    stored = np.asarray(labels(0, values=(0, 7, 255)))
    meant = np.select([stored == 7, stored == 0], [0, 1], UNLABELLED)
    assert any(np.array_equal(mask.numpy(), meant) for mask in data.masks)
    assert data.classes == ("x", "y")
    with pytest.raises(DataError, match=r"image 0 of split train \(0.png\) .* \[255\], no class"):
        Masks(str(folder), values=[7, 0]).load()


def test_sizes(folder):
    """Masks take the nearest pixel: no value appears that was not there."""
    shapes = [(12, 8), (8, 12), (30, 20), (9, 9)] * 3
    write_masks(folder, masks=[labels(i, size, (0, 5)) for i, size in enumerate(shapes)])
    with pytest.raises(DataError, match=r"image 1 .* is 12x8, .* 8x12 .* data.size"):
        Masks(str(folder), values=[0, 5]).load()
    data = Masks(str(folder), values=[0, 5], size=[6, 7]).load()
    assert data.images.shape[2:] == data.masks.shape[1:] == (6, 7)
    assert data.masks.unique().tolist() == [0, 1]
    assert data.shorter == 6


def test_image_and_mask_keep_their_places_when_scaled(folder):
    rng = np.random.default_rng(0)
    masks = [Image.fromarray(rng.integers(0, 2, (4, 6), np.uint8)).resize((60, 40), 0)] * 5
    cells = [cell(mask.point(lambda value: 255 * value), i) for i, mask in enumerate(masks)]
    write_parquet(folder, features=BOTH, image=cells, mask=[cell(mask) for mask in masks])
    data = Masks(str(folder), size=[24, 36], mode="grey").load()
    assert ((data.images[:, 0] > 127) == (data.masks == 1)).float().mean() > 0.97


@pytest.mark.fault(13)
def test_broken_pairs(folder):
    masks = [labels(i) for i in range(8)]
    images = [cell(photo(i), i) for i in range(8)]
    cells = [cell(mask) for mask in masks]
    images[1] = cell(photo(1, (5, 4)), 1)
    cells[2] = {"bytes": b"", "path": "2.png"}
    cells[3] = cell(photo(3), 3)
    images[4] = {"bytes": b"junk", "path": "4.png"}
    write_parquet(folder, features=BOTH, image=images, mask=cells)
    for first, words in {
        1: "is 4x5, its mask 4x6",
        2: "its mask: it is empty",
        3: "it is in colours",
        4: "it is empty, cut off",
    }.items():
        part = {
            key: [column[first], *column[5:]]
            for key, column in {"image": images, "mask": cells}.items()
        }
        write_parquet(folder.parent / str(first), features=BOTH, **part)
        with pytest.raises(DataError, match=words) as caught:
            Masks(str(folder.parent / str(first))).load()
        assert "image 0 of split train" in str(caught.value)
    data = Masks(str(folder), on_bad="skip", val=0.3, test=0.3).load()
    assert (len(data.images), data.skipped) == (4, 4)


@pytest.mark.parametrize(
    ("columns", "options", "error", "words"),
    [
        (("image", "mask", "depth"), {}, None, ""),
        (("image", "label"), {}, None, ""),
        (("photo", "annotation"), {}, None, ""),
        (("one", "two"), {}, DataError, "no column is the mask; there are one, two"),
        (("one", "two"), {"mask": "two"}, None, ""),
        (("image", "mask", "label"), {}, ConfigError, "could be the mask: mask, label"),
        (("image", "mask"), {"mask": "msak"}, ConfigError, "no mask column.*did you mean mask"),
        (("image", "mask"), {"mask": "number"}, ConfigError, "'number' holds no images"),
        (("a", "b", "mask"), {}, ConfigError, "could be the image: a, b"),
    ],
)
def test_columns(folder, columns, options, error, words):
    pictures = {name: [cell(photo(i)) for i in range(5)] for name in columns}
    target = options.get("mask", columns[1])
    target = next((c for c in columns if c in ("mask", "label", "annotation")), target)
    if target in pictures:
        pictures[target] = [cell(labels(i)) for i in range(5)]
    features = dict.fromkeys(columns, IMAGE) | {"number": {"_type": "Value", "dtype": "int64"}}
    write_parquet(folder, features=features, **pictures, number=[0] * 5)
    if error is None:
        assert Masks(str(folder), **options).load().classes == ("0", "1", "2")
        return
    with pytest.raises(error, match=words):
        Masks(str(folder), **options).load()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("masks", {}, "needs data.path"),
        ("masks", {"path": "x", "classes": ["a", "b"], "values": [1, 2, 3]}, "2 classes have 3"),
        ("masks", {"path": "x", "values": [1, 1]}, "name a value twice"),
        ("masks", {"path": "x", "values": [0, 255], "ignore": [255]}, "name a value twice"),
        ("masks", {"path": "x", "classes": ["a", "b"], "ignore": [1]}, "name a value twice"),
        ("masks", {"path": "x", "mean": [0.5]}, "has 1 numbers, mode=rgb 3"),
        ("masks", {"path": "x", "values": [0, 256]}, "data.values"),
        ("masks", {"path": "x", "size": [0, 4]}, "data.size"),
        ("masks", {"path": "x", "size": [4]}, "data.size"),
        ("camvid", {}, "needs data.path"),
        ("pet", {}, "robots.ox.ac.uk"),
        ("cells", {"size": 8}, "data.size"),
    ],
)
def test_wrong_options(name, options, words):
    with pytest.raises(ConfigError, match=words):
        build("data", name, **options)


def test_camvid():
    folder = DATA / "camvid-240x180"
    if not folder.is_dir():
        pytest.skip(f"no CamVid files in {folder}; set ZOO_DATA")
    data = CamVid(str(folder), size=[45, 60]).load()
    assert data.images.shape == (701, 3, 45, 60)
    assert [len(part) for part in (data.train, data.val, data.test)] == [367, 101, 233]
    assert len(data.classes) == 11
    assert data.masks.unique().tolist() == [*range(11), UNLABELLED]
    height = {name: [] for name in data.classes}
    rows = torch.arange(45.0)[:, None].expand(45, 60)
    for number, name in enumerate(data.classes):
        height[name] = rows.expand(701, 45, 60)[data.masks == number].mean().item()
    assert height["sky"] < height["building"] < height["car"] < height["road"]


@pytest.mark.parametrize("border", ["class", "ignore"])
def test_pets(folder, border):
    """The authors' two archives: images, trimaps and lists of names."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations" / "trimaps").mkdir(parents=True)
    for name, count in {"trainval": 10, "test": 3}.items():
        names = [f"{name}_{i}" for i in range(count)]
        lines = "".join(f"{each} 1 1 1\n" for each in names)
        (folder / "annotations" / f"{name}.txt").write_text(lines)
        for i, each in enumerate(names):
            mask = labels(i, (20, 16), (1, 2, 3))
            photo(i, (20, 16)).save(folder / "images" / f"{each}.jpg")
            mask.save(folder / "annotations" / "trimaps" / f"{each}.png")
    data = Pet(str(folder), border, size=[16, 20]).load()
    assert [len(part) for part in (data.train, data.val, data.test)] == [9, 1, 3]
    classes = {1: 1, 2: 0, 3: 2 if border == "class" else UNLABELLED}
    stored = np.asarray(labels(2, (20, 16), (1, 2, 3)))
    meant = np.vectorize(classes.get)(stored)
    assert np.array_equal(data.masks[data.test[2]].numpy(), meant)
    (folder / "images" / "test_1.jpg").unlink()
    with pytest.raises(DataError, match=r"image 1 of split test .*test_1.jpg"):
        Pet(str(folder), border).load()
    (folder / "annotations" / "test.txt").unlink()
    with pytest.raises(DataError, match="unpack both archives"):
        Pet(str(folder), border).load()
