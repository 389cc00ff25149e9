"""Odd surroundings: closed streams, missing letters, homes and caches that are not there."""

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
import zipfile
from multiprocessing.connection import wait

import numpy as np
import pytest
from forked import speak, start
from made_comparison import made

from zoo.cli.main import main
from zoo.config.overrides import axes

SMALL = ["task=gnn", "model.depth=1", "model.width=4", "data.nodes=60", "data.train=20"]
SMALL += ["data.val=20", "data.features=4", "trainer.max_steps=2", "logger=none"]
SLOW = pytest.mark.slow


def shell(line, *words, **env):
    """A command in a shell, with redirections behind it."""
    command = shlex.join([sys.executable, "-m", "zoo", *words])
    full = {**os.environ, **env}
    return subprocess.run(f"{command} {line}", shell=True, capture_output=True, text=True, env=full)


@pytest.mark.parametrize(
    "line", ["<&- >&- 2>&-", *(pytest.param(x, marks=SLOW) for x in ("2>&-", ">&-"))]
)
def test_a_run_goes_on_without_a_stream(line, tmp_path):
    done = shell(line, "fit", *SMALL, f"run.dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "done"
    assert (tmp_path / "run" / "log.txt").read_text().count("Traceback") == 0


def test_an_error_has_its_code_without_a_stream():
    assert shell("2>&-", "fitt").returncode == 2
    assert "the disk is full" in shell(">/dev/full", "list").stderr


def test_a_full_stderr_and_a_name_with_brackets_that_stdout_cannot_spell(tmp_path):
    folder = tmp_path / "é [x] b"
    words = ["fit", *SMALL, f"run.dir={folder}"]
    done = shell("2>/dev/full", *words, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert (folder / "log.txt").read_text().count("Traceback") == 0
    assert "\\xe9 [x] b" in done.stdout
    assert main(["test", f"from={folder}"]) == 0


def test_a_home_that_is_not_there_is_told_once_and_no_library_speaks_of_it(tmp_path):
    words = [*SMALL[:-1], f"run.dir={tmp_path / 'run'}"]
    done = shell("", "fit", *words, HOME="/proc/none", WANDB_MODE="offline")
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "/proc/none" in line]
    assert line.startswith("zoo: cannot write /proc/none/.config/matplotlib")
    assert "W&B is off" not in done.stderr
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))


SIX = ctypes.c_uint32 * 6  # effective, permitted, inheritable; then those above 32
RIGHTS = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root's, to write everywhere


def bound():
    """Takes root's right to write everywhere from a command, so that a mode is one for it too."""
    if os.geteuid() == 0:
        for right in (1, 2):
            ctypes.CDLL(None, use_errno=True).prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP


@contextlib.contextmanager
def humble():
    """Takes that right from this thread for a while."""
    if os.geteuid() != 0:
        yield
        return
    libc, head, before = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522), SIX()
    assert libc.capget(head, before) == 0
    without = SIX(*before)
    without[0] &= ~RIGHTS  # of those that count now; it keeps the permitted ones
    assert libc.capset(head, without) == 0
    try:
        yield
    finally:
        assert libc.capset(head, before) == 0


def locked(*words, **env):
    """A command of a user who may not write where the mode forbids it, in its own process."""
    command, full = [sys.executable, "-m", "zoo", *words], {**os.environ, **env}
    return subprocess.run(
        command, capture_output=True, text=True, env=full, preexec_fn=bound, check=False
    )


@pytest.fixture
def shut(tmp_path):
    """A folder that cannot be written."""
    folder = tmp_path / "shut"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


HOMES = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "HOME"]


@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", *(pytest.param(x, marks=SLOW) for x in HOMES)])
def test_a_library_is_silent_where_its_folder_cannot_be_written(name, shut, tmp_path):
    words = [*SMALL[:-1], "logger=wandb", f"run.dir={tmp_path / 'run'}"]
    done = locked("fit", *words, **{name: str(shut), "WANDB_MODE": "offline"})
    assert done.returncode == 0, done.stderr
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"zoo: cannot write {shut}/")
    assert all(line.startswith("zoo: ") for line in rest), rest
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))


def test_a_folder_to_work_in_that_cannot_be_written(shut, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(shut)
    with humble():
        assert main(["fit", *SMALL]) == 2
        said = capsys.readouterr().err
        assert f"{shut}/runs/gnn-residual-" in said
        assert "name one that can be written: run.dir=FOLDER" in said
        assert main(["fit", *SMALL, f"run.dir={tmp_path / 'run'}"]) == 0


def test_a_run_folder_that_cannot_be_written(tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", *SMALL, f"run.dir={run}"]) == 0
    run.chmod(0o555)
    capsys.readouterr()
    with humble():
        for words, fix in ((["fit", "trainer.max_steps=3"], "allow it"), (["predict"], "by out=")):
            assert main([*words, f"from={run}"]) == 2
            said = capsys.readouterr().err
            assert "ermission denied" in said
            assert fix in said
            assert said.count("zoo: error") == 1
        assert main(["test", f"from={run}"]) == 0
        assert main(["predict", f"from={run}", f"out={tmp_path / 'nodes.csv'}"]) == 0
    run.chmod(0o755)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", *SMALL, "run.dir="], "the path is empty -- run.dir= --"),
        (["fit", *SMALL, "run.dir=~nobody-of-this-name/run"], "~nobody-of-this-name is no known"),
        (["test", f"from={'x' * 300}"], "File name too long"),
        (["test", "from=\x1b[31m"], "there is no run -- \\x1b[31m"),
        (["report", "from=runs"], "write report runs without a key"),
        (["compare", *SMALL, "dir="], "the path is empty -- dir= --"),
    ],
)
def test_a_path_that_names_nothing_is_one_line(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) in (2, 5)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_data_with_any_letters_is_compared(tmp_path):
    folder = tmp_path / "a [1], {b}=c"
    (tmp_path / "other").mkdir()
    folder.mkdir()
    assert axes([f"data.path={folder}"]) == {"data.path": [str(folder)]}
    two = axes([f"data.path={tmp_path / 'other'},elsewhere"])
    assert two == {"data.path": [str(tmp_path / "other"), "elsewhere"]}


def test_a_place_that_cannot_be_written_is_named_whole(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *SMALL, "run.dir=file/run"]) == 2
    assert main(["compare", *SMALL, "dir=file/run"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert f"run.dir={tmp_path / 'file/run'} -- name one that can be written" in first
    assert f"dir={tmp_path / 'file/run'} -- name one that can be written" in second


def test_a_wave_stands_for_home_in_every_path(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["fit", *SMALL, "run.dir=~/run"]) == 0
    assert main(["test", "from=~/run"]) == 0
    assert main(["fit", "config=~/run/config.yaml", "run.dir=~/again"]) == 0
    made(tmp_path / "here", ["plain", "residual"], [("cnn", 2)], 2)
    assert main(["report", "~/here", "dir=~/there"]) == 0
    names = ["again", "here", "run", "there"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name in names) == names
    capsys.readouterr()


STRANGE = {
    "a path as a run": lambda record: record["cells"][0].update(id="../../elsewhere"),
    "a run without a place": lambda record: record["cells"][0].pop("place"),
    "runs that are no list": lambda record: record.update(cells=3),
    "a folder of something else": lambda record: record.update(homes=["../other"]),
    "folders that are no list": lambda record: record.update(homes=5),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_report_opens_no_path_of_a_strange_record(case, tmp_path, capsys):
    folder = made(tmp_path / "here", ["plain", "residual"], [("cnn", 2)], 2)
    (tmp_path / "other" / "cells").mkdir(parents=True)
    record = json.loads((folder / "compare.json").read_text())
    STRANGE[case](record)
    (folder / "compare.json").write_text(json.dumps(record))
    before = sorted(folder.rglob("*"))
    assert main(["report", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(folder / "compare.json") in line
    assert sorted(folder.rglob("*")) == before


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_from_its_header(tmp_path, capsys):
    nodes, file = np.arange(12), tmp_path / "graph.npz"
    whole = {"edge_index": np.stack([nodes, nodes]), "y": nodes % 2, "train": nodes < 4}
    np.savez(file, val=nodes[4:6], test=nodes > 8, **whole)
    with zipfile.ZipFile(file, "a") as graph, graph.open("x.npy", "w") as member:  # a header alone
        head = {"descr": "<f4", "fortran_order": False, "shape": (500_000, 1000)}
        np.lib.format.write_array_header_1_0(member, head)
    assert main(["fit", "task=gnn", "data=npz", f"data.path={file}", "logger=none"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "0.0 MB that unpack to 2.0 GB" in line
    assert str(file) in line


def test_the_end_of_a_run_names_two_commands_that_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *SMALL, "run.dir=my run"]) == 0
    lines = capsys.readouterr().out.partition("next: ")[2].splitlines()
    use, ask = (shlex.split(line)[3:] for line in lines)
    assert use[1] == "from=my run"
    assert main(use) == 0
    assert main([*ask, *SMALL[1:], "dry_run=true", "workers=1"]) == 0


@pytest.mark.parametrize("columns", [100, 0])
def test_a_terminal_shows_one_line_that_renews_itself_with_step_loss_and_time(columns, tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    words = [*SMALL, "trainer.max_steps=60", f"run.dir={tmp_path / 'run'}"]
    running = start(speak, ["fit", *words], os.ttyname(theirs))
    shown = b""
    while ours in wait([ours, running.sentinel]):
        shown += os.read(ours, 65536)
    os.close(theirs)
    os.close(ours)
    running.join()
    assert running.exitcode == 0
    (bar,) = [line for line in shown.decode().split("\n") if "step 60/60" in line]
    last = bar.rstrip("\r").split("\r")[-1]
    assert re.match(r"zoo: step 60/60 \|.{20}\| \d\d:\d\d left, train/loss=\d", last)
