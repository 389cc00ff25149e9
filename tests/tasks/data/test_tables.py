"""Folders of Parquet files and texts: which file is of which split, and caches by content."""

import os

import pytest
from image_files import cells, pets

from tasks.data.images.sources import Images
from tasks.data.text.sources import TextFile
from zoo.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "set"


def write(folder, **names):
    """Parquet files of as many rows as are given; `__` in a name stands for `/`."""
    for name, count in names.items():
        pets(folder / "made", count)
        path = folder / f"{name.replace('__', '/')}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        (folder / "made" / "data" / "train-00000-of-00001.parquet").rename(path)
        (folder / "made" / "data").rmdir()
        (folder / "made").rmdir()
    return str(folder)


def sizes(path, **options):
    data = Images(str(path), **options).load()
    return [len(part) for part in (data.train, data.val, data.test)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"train": 20, "Dev": 4, "TESTING": 6}, [20, 4, 6]),
        ({"data__train-00000-of-00002": 10, "data__train-00001-of-00002": 10}, [14, 2, 4]),
        ({"data__Training-00000-of-00001": 20, "data__valid-00000-of-00001": 4}, [16, 4, 4]),
        ({"train__a": 12, "train__deep__b": 8, "Test__0000": 6}, [18, 2, 6]),
        ({"data__train__a": 20, "data__test__a": 6}, [18, 2, 6]),
        (
            {"plain__train-00000-of-00001": 20, "plain__test-00000-of-00001": 6},
            [18, 2, 6],
        ),
        ({"default__train__0000": 20, "default__test__0000": 6}, [18, 2, 6]),
        ({"train_0": 12, "train_1": 8, "test-0": 6}, [18, 2, 6]),
        ({"january": 12, "latest": 8}, [14, 2, 4]),
    ],
)
def test_files_tell_their_splits(folder, names, expected):
    assert sizes(write(folder, **names)) == expected


@pytest.mark.parametrize(
    ("places", "error", "words"),
    [
        ({"train": 20, "holdout": 6}, DataError, "no split is told by holdout.parquet"),
        ({"train": 20, "a__b__c": 6, "a__d": 1}, ConfigError, "tables in the folder itself, a/"),
        ({"my_train": 20, "my_test": 6}, DataError, "no split is told by my_test.parquet, my_tr"),
        ({"january": 20, "lab-test": 6}, DataError, "no split is told by lab-test.parquet"),
        ({"train": 20, "val": 4, "dev": 4}, DataError, "dev, val are both the val split"),
        ({"Train": 20, "train": 4}, DataError, "Train, train are both the train split"),
        ({"test": 20}, ConfigError, "no split train, only test"),
        ({"big__train": 20, "small__train": 6}, ConfigError, r"data\.name=big\|small"),
    ],
)
def test_files_that_tell_no_split(folder, places, error, words):
    with pytest.raises(error, match=words) as caught:
        Images(write(folder, **places)).load()
    assert str(caught.value).count(" -- ") == 2


def test_names_that_the_user_gives(folder):
    write(folder, fold1=20, fold2=6)
    assert sizes(folder, train_split="fold1", test_split="fold2") == [18, 2, 6]
    write(folder / "two", big__train=20, small__train=8)
    data = Images(str(folder / "two"), name="small").load()
    assert len(data.images) == 8
    assert "1 other file is not read: big/train.parquet" in data.notes
    with pytest.raises(ConfigError, match=r"no configuration 'smal' .* did you mean small"):
        Images(str(folder / "two"), name="smal").load()


def test_splits_that_are_not_used_are_named(folder):
    names = ("train", "test", "extra", "unsupervised")
    write(folder, **{f"data__{name}-00000-of-00001": 8 for name in names})
    notes = Images(str(folder)).load().notes
    assert notes[:2] == [
        "the split extra is not used (8 rows)",
        "the split unsupervised is not used (8 rows)",
    ]


def test_a_readme_says_which_files_are_of_which_split(folder):
    write(folder, x__one=20, x__two=6)
    lines = ["- split: train", "  path: x/one.parquet", "- split: test", "  path: x/two.parquet"]
    head = ["---", "configs:", "- config_name: default", "  data_files:"]
    (folder / "README.md").write_text("\n".join([*head, *(f"  {line}" for line in lines), "---"]))
    write(folder, x__three=4)
    data = Images(str(folder)).load()
    assert [len(part) for part in (data.train, data.val, data.test)] == [18, 2, 6]
    assert "1 other file is not read: x/three.parquet" in data.notes
    (folder / "README.md").write_text("---\nconfigs: [\n---\n")
    with pytest.raises(DataError, match=r"README.md cannot be read"):
        Images(str(folder)).load()


def test_a_file_of_two_splits(folder):
    write(folder, train=20)
    (folder / "test.parquet").symlink_to("train.parquet")
    with pytest.raises(DataError, match=r"by two splits: test.parquet and train.parquet"):
        Images(str(folder)).load()


def test_a_replaced_file_is_read_anew(folder):
    """Also where size and time are those of before; and the same one is not prepared again."""
    import pyarrow.parquet as pq

    path = folder / "train.parquet"
    write(folder, train=20)
    before, status = Images(str(folder)).load(), path.stat()
    table = pq.read_table(path)
    shuffled = [cell["bytes"] for cell in cells(20)][::-1]
    column = [{"bytes": b, "path": f"{i}.png"} for i, b in enumerate(shuffled)]
    changed = table.set_column(0, table.schema.field(0), [column])
    pq.write_table(changed, path)
    content = path.read_bytes()
    assert len(content) <= status.st_size + 64
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = Images(str(folder)).load()
    assert after.digest() != before.digest()
    assert (after.images.flip(0) == before.images).all()


def test_equal_content_is_kept_once_wherever_it_lies(folder, cache):
    write(folder, train=20)
    before = Images(str(folder)).load()
    arrows = sorted(cache.rglob("*.arrow"))
    folder.rename(folder.with_name("other"))
    assert Images(str(folder.with_name("other"))).load().digest() == before.digest()
    assert sorted(cache.rglob("*.arrow")) == arrows


def text(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, count in files.items():
        lines = "".join(f"{name} {i}\n" for i in range(count))
        (folder / name.replace("__", ".")).write_text(lines)
    return str(folder)


def test_texts(folder, tmp_path):
    data = TextFile(text(folder, train__txt=50, Valid__txt=9, test__txt=8)).load()
    letters = sum(len(f"train__txt {i}\n") for i in range(50))
    assert data.sizes[0] == letters
    assert data.notes == []
    assert f"train {letters:,}, val" in data.summary()
    (folder / "notes.md").write_text("x")
    assert TextFile(str(folder)).load().notes == ["1 other file is not read: notes.md"]
    status = (folder / "train.txt").stat()
    changed = (folder / "train.txt").read_text().replace("train", "brain")
    (folder / "train.txt").write_text(changed)
    os.utime(folder / "train.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert TextFile(str(folder)).load().digest() != data.digest()
    with pytest.raises(DataError, match=r"told by my_test.txt, my_train.txt .* train\.txt"):
        TextFile(text(tmp_path / "b", my_train__txt=50, my_test__txt=9)).load()
    with pytest.raises(DataError, match=r"several kinds of tables: test.csv, train.txt"):
        TextFile(text(tmp_path / "c", train__txt=50, test__csv=9)).load()


def test_a_cache_that_cannot_be_made_is_said_to_be_it(folder, monkeypatch):
    from zoo.errors import ResourceError

    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    with pytest.raises(ResourceError, match=r"cache folder cannot be made .* XDG_CACHE_HOME"):
        Images(write(folder, train=20)).load()


def overwrite_a_page(path):
    """Only the middle of the file is damaged."""
    content = path.read_bytes()
    path.write_bytes(content[:99] + bytes(len(content) // 2) + content[99 + len(content) // 2 :])


BROKEN = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "a page": overwrite_a_page,
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_shard_is_named(how, folder):
    write(folder, **{f"data__train-0000{number}-of-00004": 10 for number in range(4)})
    BROKEN[how](folder / "data" / "train-00002-of-00004.parquet")
    with pytest.raises(DataError, match=r"data/train-00002-of-00004\.parquet cannot be read \("):
        sizes(folder)


def test_a_shard_without_rows_is_passed_over(folder):
    write(
        folder, **{f"data__train-0000{number}-of-00003": 10 * (number != 1) for number in range(3)}
    )
    assert sizes(folder) == [14, 2, 4]
