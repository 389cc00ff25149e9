"""A disk without room: one line, the files of before whole, the result somewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import speak, start
from tiny_runs import words

from tasks.tensor_files import digest, read_sums


@pytest.fixture
def disk(tmp_path):
    """Makes small disks; only the system's administrator may."""
    made = []

    def make(size):
        place = tmp_path / f"disk{size}"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(place)]
        if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("small disks cannot be made here")
        made.append(place)
        return place

    yield make
    for place in made:
        subprocess.run(["umount", str(place)], check=True)


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
    assert " MB are free, " in line
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
