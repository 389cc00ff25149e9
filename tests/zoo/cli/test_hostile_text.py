"""Text that would steer a terminal, a spreadsheet, a page or a figure is only text, everywhere."""

import csv
import json
import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from image_files import write_tree
from made_comparison import made
from read_wandb import records

from tasks.data.graphs.npz import Npz
from tasks.training.image_plots import confusion_figure, image_figure
from tasks.training.process import logged
from tasks.unet.plots import batch_figure
from zoo.cli.main import main
from zoo.errors import DataError, quoted
from zoo.probes.plots import curves_figure, depth_figure, save
from zoo.run_folder import RunFolder
from zoo.system.console import EscapedStream
from zoo.system.spreadsheet import FORMULAS, spreadsheet

FORGED = "zoo: error: forged"
HOSTILE = [
    "\x1b[31mred\x1b]0;title\x07",
    "=1+1",
    "@SUM(A1)",
    f"line\n{FORGED}",
    f"\r{FORGED}\tx",
    "\u202egnp.exe",
    "\u2066apart",
    "\x9b31m",
    "a\u2028b",
    "<script>alert(1)<b>",
    "$x^$ $$",
    "|`![i](http:x.png)",
    "%s{0}\\",
    "日本 🙂",
    "x" * 240,
]
RUNS = """
import json, sys
from zoo.cli.main import main
from zoo.system.console import open_standard_streams
open_standard_streams()
for words in json.loads(sys.argv[1]):
    print("code", main(words))
"""
SHORT = ["data.size=8", "model.depth=4", "model.width=4", "trainer.max_steps=3"]


def assert_steady(text):
    """No letter steers a terminal, and no line pretends to be one of the project's."""
    assert {letter for letter in text if not letter.isprintable()} <= {"\n"}
    assert not [line for line in text.splitlines() if line.startswith(FORGED)]


def assert_table(text):
    """No cell of a table is a formula, and each is one steady line."""
    for row in csv.reader(text.splitlines()):
        for cell in row:
            assert_steady(cell)
            assert not cell.startswith(FORMULAS) or cell.lstrip("-").replace(".", "").isdigit()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on images whose folders, classes and files are hostile, then used; what was said."""
    top = tmp_path_factory.mktemp("top")
    data, folder = top / "".join(HOSTILE[:6]), top / "".join(HOSTILE[5::-1])
    write_tree(data, {(split, name): 3 for split in ("train", "test") for name in HOSTILE})
    for name in HOSTILE:
        shutil.copy(data / "test" / "=1+1" / "0.png", data / "test" / "=1+1" / f"{name}.png")
    words = ["task=cnn", "data=images", f"data.path={data}", "data.mode=rgb", *SHORT]
    begin = ["fit", *words, f"run.dir={folder}", "logger=wandb"]
    begin += [f"logger.name={json.dumps('y' * 300)}", "logger.tags=[" + "z" * 100 + "]"]
    commands = [
        begin,
        begin,
        ["test", f"from={folder}"],
        ["predict", f"from={folder}", f"path={data / 'test'}"],
        ["fit", f"from={folder}", "trainer.max_steps=4", "logger=none"],
        ["fit", f"from={folder}", "model.depth=6"],
        ["test", f"from={folder}x"],
        ["predict", f"from={folder}", f"path={data}x"],
    ]
    process = subprocess.run(
        [sys.executable, "-c", RUNS, json.dumps(commands)],
        capture_output=True,
        env=os.environ | {"WANDB_MODE": "offline"},
        check=True,
    )
    return folder, process.stdout.decode(), process.stderr.decode()


@pytest.mark.fault(40)
def test_a_terminal_is_not_steered(run):
    folder, out, err = run
    codes = [int(line[5:]) for line in out.splitlines() if line.startswith("code ")]
    assert codes == [0, 2, 0, 0, 0, 2, 5, 3]
    assert_steady(out)
    assert_steady(err)
    assert len([line for line in err.splitlines() if line.startswith("zoo: error: ")]) == 4
    assert "W&B is off" not in err
    line = next(line for line in out.splitlines() if line.startswith("next: "))
    word = line.partition("predict ")[2].removesuffix(" path=FILES")
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert done.stdout.decode() == f"from={folder}"


@pytest.mark.fault(40)
def test_files_of_a_run_hold_no_steering_letters(run):
    folder, _, _ = run
    read = [folder / "log.txt", folder / "config.yaml", folder / "result.json"]
    for path in [*read, folder / "metrics.jsonl"]:
        assert_steady(path.read_text())
    table = (folder / "predictions" / "labels.csv").read_text()
    assert_table(table)
    assert "'=1+1" in table
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    runs = [record.run for record in records(file) if record.WhichOneof("record_type") == "run"]
    assert {len(one.display_name) for one in runs} == {128}
    for text in (runs[0].display_name, runs[0].run_group, *runs[0].tags):
        assert_steady(text)


@pytest.mark.fault(40)
@pytest.mark.usefixtures("drawn")
def test_figures_show_names_as_text(tmp_path):
    count, title = len(HOSTILE), "".join(HOSTILE)
    images = torch.zeros(count, 3, 8, 8, dtype=torch.uint8)
    y = torch.arange(count)
    captions = [f"{name}\ntaken for {name}" for name in HOSTILE]
    figures = [
        image_figure(images, captions, title),
        confusion_figure(y, y.flip(0), HOSTILE, title),
        batch_figure(images, y.byte()[:, None, None].expand(-1, 8, 8), HOSTILE, title),
        curves_figure([{"step": 1, "train/loss": 1.0}], title),
        depth_figure("stream_rms", {name: [1.0, 2.0] for name in HOSTILE[:3]}, title),
    ]
    for number, figure in enumerate(figures):
        save(figure, tmp_path / f"{number}.png")  # a warning of a collapsed figure is an error
        assert min(figure.axes[0].get_window_extent().size) > 40
    for text in figures[0].axes:
        assert text.title.get_window_extent().width < 1.6 * text.get_window_extent().width
    ticks = [tick.get_text() for tick in figures[1].axes[0].get_yticklabels()]
    assert ticks[:2] == [r"\x1b[31mred\x1b]0;title…", "=1+1"]
    assert ticks[-1] == "x" * 23 + "…"
    assert r"\$x^\$ \$\$" in ticks


@pytest.mark.fault(40)
def test_a_graphs_names_are_one_line(tmp_path):
    names = [*HOSTILE, "nul\x00in"]
    nodes = np.arange(3 * len(names))
    edges = np.stack([nodes, np.roll(nodes, 1)])
    arrays = {"x": np.eye(len(nodes)), "edge_index": edges, "y": np.repeat(names, 3)}
    parts = {part: nodes % 3 == i for i, part in enumerate(("train", "val", "test"))}
    np.savez(tmp_path / "graph.npz", **arrays, **parts)
    graph = Npz(str(tmp_path / "graph.npz")).load()
    for text in (graph.summary(), *graph.class_names):
        assert_steady(text)


@pytest.mark.fault(40)
@pytest.mark.filterwarnings("ignore:constrained_layout")
def test_a_report_holds_names_as_text(tmp_path, capsys):
    names = [*HOSTILE, "nul\x00in"]
    folder = made(
        tmp_path / "".join(HOSTILE[:6]),
        ["plain", *names],
        [("".join(names[:4]), None)],
        1,
        name="\n".join(names),
        command=quoted(["zoo", *names]),
    )
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr()
    assert_steady(printed.out)
    assert_steady(printed.err)
    assert max(map(len, printed.out.splitlines())) < 2000
    text, _, command = (folder / "report.md").read_text().rpartition("Made by")
    assert_steady(text + command)
    assert not any(sign in text for sign in ("<", "]("))
    with (folder / "cells.csv").open(newline="") as file:
        assert_table(file.read().replace("\r\n", "\n"))


def test_columns_have_names_of_users_too():
    assert_table(spreadsheet([{name: name for name in HOSTILE}]).replace("\r\n", "\n"))


def test_streams_and_logs_write_escapes(tmp_path):
    """Whatever a library says there: the return of a bar alone may be."""
    with EscapedStream(open(tmp_path / "said", "wb"), "utf-8", "backslashreplace") as stream:
        stream.write("\rbar \x1b[31m\x9b \u202e\tü \udcff\n")
    said = (tmp_path / "said").read_bytes().decode()
    assert said == "\rbar \\x1b[31m\\x9b \\u202e\tü \\udcff\n"
    folder = RunFolder(tmp_path)

    def fails():
        logging.getLogger("zoo").info("%s", HOSTILE[3])
        raise RuntimeError("\x1b[31m")

    with pytest.raises(RuntimeError), logged(folder):
        fails()
    written = folder.log.read_text()
    assert_steady(written)
    assert "RuntimeError: \\x1b[31m" in written


@pytest.mark.parametrize("name", HOSTILE)
def test_an_error_is_one_line(name):
    line = f"zoo: error: {DataError(name, name, name)}"
    assert_steady(line)
    assert len(line.splitlines()) == 1
