"""Images with a table of metadata: what its columns mean, and rows and files that do not fit."""

import json

import pytest
from image_files import photo

from tasks.data.images.sources import Images
from zoo.errors import ConfigError, DataError

NAMES = [f"{i}.png" for i in range(12)]
LABELS = ["cat", "dog"] * 6


def write(folder, rows=(), files=NAMES, head="file_name,label", name="metadata.csv"):
    """Images, all of them different, and a table."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        photo(number + 50 * len(str(folder)) + len(folder.name)).save(folder / file)
    rows = rows or [f"{file},{label}" for file, label in zip(files, LABELS, strict=False)]
    (folder / name).write_text("\n".join([head, *rows] if head else rows), encoding="utf-8")
    return str(folder)


def test_the_example_of_the_documentation(tmp_path):
    lines = [line.strip() for line in Images.__doc__.splitlines()]
    first = lines.index("file_name,label")
    rows = lines[first + 1 : lines.index("", first + 1)]
    files = [row.split(",")[0] for row in rows]
    write(tmp_path / "set", [*rows, *(f"{i}.png,{'cat' if i < 6 else 'dog'}" for i in range(12))])
    write(tmp_path / "set", files=files, name="other.csv")
    data = Images(str(tmp_path / "set")).load()
    assert data.classes == ("cat", "dog")
    assert len(data.images) == 14


@pytest.mark.parametrize("extra", ["train.png", "test.png", "val_1.png", "deep/test/1.png"])
def test_names_of_files_mean_nothing(tmp_path, extra):
    rows = [f"{file},{label}" for file, label in zip(NAMES, LABELS, strict=True)]
    path = write(tmp_path / "set", [*rows, f"{extra},cat"], [*NAMES, extra])
    data = Images(path).load()
    assert len(data.images) == 13
    assert data.notes == []


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("level", ["top", "splits"])
def test_a_table_at_the_top_or_in_every_split(tmp_path, kind, level):
    import pyarrow
    import pyarrow.parquet

    splits, tables = ["Train", "test"], {}
    for split in splits:
        write(tmp_path / split, name="other.csv")
        for file, label in zip(NAMES, LABELS, strict=True):
            inside = f"{split}/{file}" if level == "top" else file
            row = {"file_name": inside, "label": label}
            tables.setdefault("" if level == "top" else split, []).append(row)
    for home, rows in tables.items():
        path = tmp_path / home / f"metadata.{kind}"
        if kind == "parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        elif kind == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            lines = [",".join(row.values()) for row in rows]
            path.write_text("\n".join(["\ufefffile_name,label", *lines, ""]), encoding="utf-8")
    data = Images(str(tmp_path)).load()
    assert [len(part) for part in (data.train, data.val, data.test)] == [11, 1, 12]
    assert data.labels.bincount().tolist() == [12, 12]
    assert data.notes == ["2 other files are not read: Train/other.csv, test/other.csv"]


def test_a_column_is_chosen(tmp_path):
    rows = [f"{file},{i % 2},{i % 3}" for i, file in enumerate(NAMES)]
    path = write(tmp_path / "set", rows, head="file_name,kind,colour")
    with pytest.raises(DataError, match="no column is the label; there are image, kind, colour"):
        Images(path).load()
    assert Images(path, label="colour").load().classes == ("0", "1", "2")
    with pytest.raises(ConfigError, match="did you mean colour"):
        Images(path, label="color").load()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["NA", "None"], ("NA", "None")),
        (["01", "1"], ("01", "1")),
        (["10", "9"], ("9", "10")),
        (["true", "2"], ("2", "true")),
        (["a,b", "c"], ("a,b", "c")),
    ],
)
def test_labels_are_what_is_written(tmp_path, labels, classes):
    rows = [f'{file},"{labels[i % 2]}"' for i, file in enumerate(NAMES)]
    assert Images(write(tmp_path / "set", rows)).load().classes == classes


@pytest.mark.parametrize(
    ("changed", "files", "head", "words"),
    [
        ("gone.png,cat", NAMES, None, "row 1 names a file that is not there: gone.png"),
        ("0.png,cat", [*NAMES, "more.png"], None, "1 image without a row .*: more.png"),
        ("../set/0.png,cat", NAMES, None, "row 1 leaves the folder: ../set/0.png"),
        ("/etc/hostname,cat", NAMES, None, "row 1 leaves the folder"),
        ("a/../../x.png,cat", NAMES, None, "row 1 leaves the folder"),
        (",cat", NAMES, None, "row 1 names no file"),
        ("1.png,cat", NAMES[1:], None, "read twice: 1.png and 1.png"),
        ("0.png", NAMES, None, "line 2 has 1 fields, the first one 2"),
        ("0.png,cat,x", NAMES, None, "line 2 has 3 fields, the first one 2"),
        ('0.png,"cat', NAMES, None, "cannot be read"),
        ("0.png,", NAMES, None, "1 of 12 images of split train have no label"),
        ("0.png,cat", NAMES, "file,label", "no column file_name"),
        ("0.png,cat", NAMES, "file_name,file_name", "two columns have one name"),
        ("0.png,cat", NAMES, "file_name,image", "two columns are image"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, changed, files, head, words):
    rows = [changed, *(f"{file},{LABELS[i]}" for i, file in enumerate(NAMES[1:]))]
    path = write(tmp_path / "set", rows, files, head or "file_name,label")
    with pytest.raises(DataError, match=words) as caught:
        Images(path).load()
    assert str(caught.value).count(" -- ") == 2


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (["Train/metadata.csv"], "1 for Train, 0 for test"),
        (["metadata.csv", "Train/metadata.csv"], "2 for Train, 1 for test"),
        (["Train/deep/metadata.csv"], "others deeper inside: Train/deep/metadata.csv"),
        (["metadata.csv", "metadata.jsonl"], "2 for Train, 2 for test"),
    ],
)
def test_tables_at_other_places(tmp_path, tables, words):
    for split in ("Train", "test"):
        write(tmp_path / split, name="other.csv")
    for table in tables:
        (tmp_path / table).parent.mkdir(exist_ok=True)
        (tmp_path / table).write_text("file_name,label\n")
    with pytest.raises(DataError, match=f"tables of metadata: .*{words}"):
        Images(str(tmp_path)).load()
