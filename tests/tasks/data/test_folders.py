"""Folders of images are read as they lie: splits, classes, links, and what is refused."""

import os
import shutil

import numpy as np
import pytest
from image_files import encoded, photo, write_tree
from PIL import Image

from tasks.data.images.sources import Images
from zoo.errors import ConfigError, DataError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set"


def write(folder, splits, classes=("a", "b")):
    """As many images in each class of each split as the split says; all of them differ."""
    write_tree(folder, {(split, name): n for split, n in splits.items() for name in classes})


def sizes(path, **options):
    data = Images(str(path), **options).load()
    return [len(part) for part in (data.train, data.val, data.test)]


def pixels(data, part):
    return {data.images[i].numpy().tobytes() for i in data.parts[part].tolist()}


def stored(folder):
    """The pixels of all files of a folder as they are read."""
    files = [np.asarray(Image.open(path)) for path in folder.rglob("*.png")]
    return {file.transpose(2, 0, 1).tobytes() for file in files}


def refused(path, words, error=DataError, **options):
    with pytest.raises(error, match=words) as caught:
        Images(str(path), **options).load()
    assert str(caught.value).count(" -- ") == 2
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["train", "Train", "val", "validation", "dev", "test", "Test", "lab-test", "training data"],
)
def test_a_class_may_bear_any_name(folder, name):
    write(folder, {"train": 8, "test": 4}, ["a", "b", name])
    data = Images(str(folder)).load()
    assert data.classes == tuple(sorted(["a", "b", name]))
    assert [len(part) for part in (data.train, data.val, data.test)] == [22, 2, 12]
    assert pixels(data, "test") == stored(folder / "test")
    assert pixels(data, "train") | pixels(data, "val") == stored(folder / "train")


@pytest.mark.parametrize("train", ["train", "Training", "TRAIN"])
@pytest.mark.parametrize("val", [None, "val", "Valid", "validation", "DEV"])
@pytest.mark.parametrize("test", [None, "test", "Testing"])
def test_words_for_splits_in_any_case(folder, train, val, test):
    write(folder, {train: 10} | ({val: 3} if val else {}) | ({test: 4} if test else {}))
    counts = sizes(folder, val=0.25, test=0.2)
    own_test = 8 if test else 4
    own_val = 6 if val else (20 - (0 if test else 4)) // 4
    assert counts[1:] == [own_val, own_test]
    assert sum(counts) == 20 + 6 * bool(val) + 8 * bool(test)


def test_words_inside_names_of_files_mean_nothing(folder):
    write(folder, {".": 1})
    words = ["train", "test", "val", "img_test_5", "validation", "dev", "a-test-b"]
    for number, word in enumerate(words):
        for name in "ab":
            image = photo(1000 + 10 * number + ord(name))
            (folder / name / f"{word}.png").write_bytes(encoded(image))
    assert sum(sizes(folder)) == 16


def test_a_class_tree_without_splits_says_which_names_are_no_splits(folder):
    write(folder, {".": 8}, ["lab-test", "latest", "training data"])
    data = Images(str(folder)).load()
    assert data.classes == ("lab-test", "latest", "training data")
    assert len(data.images) == 24
    assert any("lab-test, training data are classes, not a split" in note for note in data.notes)


def test_images_deeper_inside_belong_to_their_class(folder):
    write(folder, {"train": 4, "test": 2})
    write(folder / "train" / "a" / "deep", {"test": 3})
    data = Images(str(folder)).load()
    assert data.classes == ("a", "b")
    assert len(data.test) == 4
    assert len(data.images) == 18


@pytest.mark.parametrize("beside", ["holdout", "extra_test", "images"])
def test_what_lies_beside_split_folders_is_named(folder, beside):
    write(folder, {"train": 8, "test": 4, beside: 3})
    message = refused(folder, f"{beside}/ beside the split folders test, train")
    assert "data.test_split" in message
    assert sizes(folder, test_split=beside) == [14, 2, 6]
    assert sizes(folder, test_split=beside.upper()) == [14, 2, 6]
    assert sizes(folder, val_split=beside) == [16, 6, 8]
    notes = Images(str(folder), test_split=beside).load().notes
    assert "the split test is not used (8 images)" in notes
    shutil.rmtree(folder / beside)
    photo().save(folder / "sample.png")
    refused(folder, "sample.png beside the split folders")


def test_a_class_called_as_a_split_cannot_lie_at_the_top(folder):
    write(folder, {".": 6}, ["bus", "car", "train"])
    assert "below one folder train" in refused(folder, "bus/, car/ beside the split folder train")


@pytest.mark.parametrize(
    ("splits", "part"), [(["val", "dev", "train"], "val"), (["Train", "train"], "train")]
)
def test_two_folders_for_one_part(folder, splits, part):
    write(folder, dict.fromkeys(splits, 6))
    first, second = sorted(split for split in splits if split == "dev" or part in split.lower())
    words = rf"{first}, {second} are both the {part} split .* data.{part}_split="
    refused(folder, words)
    data = Images(str(folder), **{f"{part}_split": second}).load()
    assert f"the split {first} is not used (12 images)" in data.notes


def test_no_split_for_training(folder):
    write(folder, {"test": 10})
    refused(folder, r"no split train, only test .* data\.train_split=test", ConfigError)
    assert sizes(folder, train_split="test") == [14, 2, 4]
    write(folder, {"val": 5})
    refused(folder, "no split train, only test, val", ConfigError)


@pytest.mark.parametrize(("top", "fix"), [(["data"], "data.path="), (["a", "b"], "SPLIT/CLASS")])
def test_split_folders_below_the_top(folder, top, fix):
    for name in top:
        write(folder / name, {"train": 4, "test": 3})
    assert fix in refused(folder, f"not at the top: {top[0]}/test, {top[0]}/train")


def test_images_without_a_class(folder):
    write(folder, {"train": 8})
    (folder / "test").mkdir()
    for i in range(5):
        photo(i).save(folder / "test" / f"{i}.png")
    message = refused(folder, "5 images without a class: test/0.png, test/1.png, test/2.png and 2")
    assert "metadata.csv" in message
    assert "data.test_split=train" in message
    data = Images(str(folder), test_split="train").load()
    assert "the split test is not used (5 images)" in data.notes
    shutil.rmtree(folder / "test")
    photo().save(folder / "train" / "x.png")
    refused(folder, "1 image without a class beside class folders: train/x.png")


def test_linked_folders_and_files_are_followed(folder, tmp_path):
    write(folder, {"train": 8, "test": 4}, ["a"])
    write(tmp_path / "elsewhere", {".": 6}, ["b"])
    (folder / "train" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    photo(999).save(tmp_path / "one.png")
    (folder / "train" / "a" / "link.png").symlink_to(tmp_path / "one.png")
    data = Images(str(folder)).load()
    assert data.classes == ("a", "b")
    assert len(data.images) == 8 + 1 + 6 + 4
    (tmp_path / "linked").symlink_to(folder)
    assert Images(str(tmp_path / "linked")).load().digest() == data.digest()


@pytest.mark.parametrize(
    ("link", "target", "words"),
    [
        ("train/a/again", "..", "leads back to"),
        ("train/again", "../train", "leads back to"),
        ("train/a/x.png", "gone.png", "leads nowhere: to gone.png"),
        ("train/self", "self", "cannot be read"),
        ("train/a/x.png", "../../test/a/0.png", "by two splits: test/a/0.png|by two splits: train"),
        ("train/b/x.png", "../a/1.png", "read twice: train/a/1.png and train/b/x.png"),
        ("train/a/x.png", "1.png", "read twice: train/a/1.png and train/a/x.png"),
        ("val", "test", "by two splits: val/a/0.png and test/a/0.png"),
    ],
)
def test_links_that_are_refused(folder, link, target, words):
    write(folder, {"train": 8, "test": 4})
    (folder / link).symlink_to(target)
    refused(folder, words)


@pytest.mark.fault(9)
@pytest.mark.parametrize("inside", ["", "train", "train/a"])
def test_a_folder_that_cannot_be_read(folder, inside, monkeypatch):
    write(folder, {"train": 8, "test": 4})
    scan = os.scandir

    def denied(path):
        if os.fspath(path) == str(folder / inside):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", denied)
    refused(folder, rf"cannot be read \(Permission denied\) -- {folder / inside} -- ")


def test_what_is_not_read_is_named(folder):
    write(folder, {"train": 8, "test": 4})
    before = Images(str(folder)).load()
    assert before.notes == []
    for path in ("README.md", "train/.DS_Store", "train/a/._1.png", "test/b/x.txt", "test/y.heic"):
        (folder / path).write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / "__MACOSX").mkdir()
    (folder / "train" / "empty").mkdir()
    after = Images(str(folder)).load()
    assert after.digest() == before.digest()
    assert after.notes == [
        "no images in train/empty/",
        "7 other files are not read: .git/, README.md, __MACOSX/ and 4 more",
    ]


def test_endings_in_any_case(folder):
    write(folder, {"train": 8, "test": 4})
    before = Images(str(folder)).load()
    for path in folder.rglob("*.png"):
        path.rename(path.with_suffix(".PNG" if "train" in str(path) else ".Png"))
    assert Images(str(folder)).load().digest() == before.digest()


@pytest.mark.parametrize(
    "name", ["a [v2]", "b*?", "~x", "x::y", "é", os.fsdecode(b"n\xff"), "#h %20", "{a},b"]
)
def test_odd_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "plain", {"train": 8, "test": 4})
    shutil.copytree(tmp_path / "plain", tmp_path / name)
    assert Images(name).load().digest() == Images("plain").load().digest()
    write(tmp_path / "odd", {"train": 8, "test": 4}, ["a", name])
    data = Images("odd").load()
    assert len(data.classes) == 2
    assert data.summary().encode()
    (tmp_path / "odd" / "train" / name / "0.png").write_bytes(b"")
    refused("odd", "cannot be read").encode()


def test_a_replaced_file_is_read_anew(folder):
    """Also where size and time are those of before."""
    write(folder, {"train": 8, "test": 4})
    before, path = Images(str(folder)).load(), folder / "train" / "a" / "1.png"
    status = path.stat()
    path.write_bytes(encoded(photo(4321)).ljust(status.st_size, b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert Images(str(folder)).load().digest() != before.digest()


def test_parquet_beside_images_and_nothing_at_all(folder):
    write(folder, {"train": 4})
    (folder / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    refused(folder, "both Parquet files and images: train-00000-of-00001.parquet and train/a/0.png")
    shutil.rmtree(folder / "train")
    (folder / "train-00000-of-00001.parquet").rename(folder / "train.zip")
    refused(folder, "no images and no Parquet files, but train.zip")


def test_skipped_images_are_counted_and_named(folder):
    write(folder, {"train": 8, "test": 4})
    (folder / "train" / "a" / "1.png").write_bytes(b"junk")
    (folder / "test" / "b" / "2.png").write_bytes(b"")
    data = Images(str(folder), on_bad="skip").load()
    assert data.skipped == 2
    (note,) = data.notes
    assert note.startswith("2 images cannot be read and are skipped: train/a/1.png (it is empty")
    assert "test/b/2.png" in note
    assert data.summary().endswith("2 classes (a, b), 2 skipped")


def test_equal_images_of_two_parts_are_counted(folder):
    write(folder, {"train": 10, "val": 3, "test": 4})
    for i in range(3):
        shutil.copy(folder / "train" / "a" / f"{i}.png", folder / "test" / "b" / f"x{i}.png")
    shutil.copy(folder / "val" / "a" / "0.png", folder / "train" / "a" / "v.png")
    notes = Images(str(folder)).load().notes
    assert notes == [
        "1 image of the val part is also in train (val/a/0.png = train/a/v.png)",
        "3 images of the test part are also in train (test/b/x0.png = train/a/0.png, "
        "test/b/x1.png = train/a/1.png, test/b/x2.png = train/a/2.png)",
    ]


def test_classes_that_are_not_trained(folder):
    places = {("train", "Cat"): 8, ("test", "cat"): 4, ("val", "fox"): 2}
    write_tree(folder, places | {(split, "dog"): 3 for split in ("train", "val", "test")})
    (note,) = Images(str(folder)).load().notes
    assert note == "the training part has nothing of 2 classes: cat, fox (2 in val and 4 in test)"
