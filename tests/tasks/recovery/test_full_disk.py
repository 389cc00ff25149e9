"""A disk without room: one line, the files of before whole, the result somewhere."""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import speak, start
from PIL import Image
from tiny_runs import shrink, words

from tasks.recovery.checksums import digest, read_sums
from tasks.recovery.tensor_files import save_checkpoint
from zoo.cli.main import main
from zoo.errors import ResourceError
from zoo.system.atomic import in_words


@pytest.fixture
def disk(tmp_path):
    """Makes small disks; only the system's administrator may."""
    made = []

    def make(size, files=0):
        place = tmp_path / f"disk{size}"
        place.mkdir()
        options = f"size={size}k,nr_inodes={files}"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("small disks cannot be made here")
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.fault(27)
@pytest.mark.parametrize("kilobytes", [12, 60, 110])
def test_a_full_disk_is_one_line_and_what_was_written_stays_whole(kilobytes, disk, tmp_path):
    place = disk(kilobytes)
    run = place / "run"
    given = [*words("gnn", "trainer.max_steps=20"), "trainer.save_minutes=0", f"run.dir={run}"]
    process = start(speak, ["fit", *given], tmp_path / "told.txt")
    process.join()
    told = (tmp_path / "told.txt").read_text()
    (line,) = [line for line in told.splitlines() if "rror" in line]
    assert process.exitcode == 6
    assert line.startswith("zoo: error: the disk is full: ")
    assert "B are free, " in line
    assert str(run) in line
    assert "Traceback" not in told
    result = run / "result.json"
    if not result.is_file():
        result = Path(line.partition("the result lies in ")[2])
    assert json.loads(result.read_text())["status"] == "failed"
    if result.parent != run:
        result.unlink()
    known = {name: found for found, name in read_sums(run / "checkpoints")}
    for path in (run / "checkpoints").glob("*.ckpt"):
        assert digest(path) in known.values()
        torch.load(path, weights_only=True)
    assert not list(place.rglob(".*.tmp*"))


SMALL = {f"weight {number}": torch.ones(4) for number in range(100)}  # 1.6 kB in all


@pytest.mark.parametrize("kilobytes", [4, 12, 20, 36, 44])
def test_what_is_needed_are_the_bytes_of_the_file_and_more_than_is_free(kilobytes, disk, tmp_path):
    save_checkpoint(SMALL, tmp_path / "last.ckpt")
    size = (tmp_path / "last.ckpt").stat().st_size
    place = disk(kilobytes)
    save = functools.partial(save_checkpoint, SMALL, place / "last.ckpt", place / "previous.ckpt")
    if kilobytes * 1024 > size:
        save()
    with pytest.raises(ResourceError) as told:
        save()
    free = re.search(r"full: (\S+) kB are free", told.value.what)[1]
    assert told.value.what.endswith(f"{in_words(size)} are needed")
    assert float(free) < size / 1e3


def test_a_disk_that_takes_no_more_files_says_why_it_is_full(disk):
    place = disk(400, files=4)
    save_checkpoint(SMALL, place / "last.ckpt")
    with pytest.raises(ResourceError, match="but a quota or the number of files is used up"):
        save_checkpoint(SMALL, place / "last.ckpt", place / "previous.ckpt")
    assert {path.name for path in place.iterdir()} == {"last.ckpt", "SHA256SUMS"}
    assert digest(place / "last.ckpt") in dict(read_sums(place))


@pytest.mark.parametrize(
    ("task", "room", "verb"),
    [
        ("cnn", 0, "predict path={pictures} out={disk}/labels.csv"),
        ("diffusion", 0, "sample count=64 steps=4 dir={disk}/samples"),
        ("diffusion", 8, "export dir={disk}/pipeline"),
        ("diffusion", 20, "export dir={disk}/pipeline"),
    ],
)
def test_a_verb_that_finds_no_room_leaves_nothing_half_written(
    task, room, verb, disk, tmp_path, capsys, monkeypatch
):
    shrink(monkeypatch)
    place, run = disk(room + 12), tmp_path / "run"
    assert main(["fit", *words(task, "trainer.max_steps=2"), f"run.dir={run}"]) == 0
    (tmp_path / "pictures").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "pictures" / "one.png")
    (place / "mine").write_bytes(bytes(12 * 1024))
    capsys.readouterr()
    name, *given = verb.format(disk=place, pictures=tmp_path / "pictures").split()
    assert main([name, f"from={run}", *given]) == 6
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "rror" in line]
    assert line.startswith("zoo: error: the disk is full: ")
    assert str(place) in line
    assert [path.name for path in place.rglob("*") if path.is_file()] == ["mine"]


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [20, 100, 400])
def test_a_comparison_goes_on_when_room_returns(kilobytes, disk, tmp_path, capsys):
    place = disk(kilobytes)
    given = [
        "task=gnn",
        "connection=plain,residual",
        "pairs=1",
        "logger=none",
        "trainer.max_steps=5",
    ]
    command = ["compare", *given, "model.depth=2", "workers=1", f"compare.dir={place / 'here'}"]
    assert main(command) == 6
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "rror" in line]
    assert line.startswith("zoo: error: the disk is full: ")
    subprocess.run(["mount", "-o", "remount,size=40m", str(place)], check=True)
    assert main(command) == 0
    cells = json.loads((place / "here" / "compare.json").read_text())["cells"]
    assert [cell["status"] for cell in cells] == ["done", "done"]
