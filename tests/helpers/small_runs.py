"""Small runs of a graph network as a user starts them, and what their folders hold."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from zoo.cli.main import main
from zoo.run_folder import RunFolder

ROOT = Path(__file__).parents[2]

SMALL = ["task=gnn", "model.depth=4", "model.width=16", "trainer.max_steps=20"]


def fit(folder, *words, code=0):
    assert main(["fit", *SMALL, "logger=none", f"run.dir={folder}", *words]) == code
    return RunFolder(Path(folder)).result()


def rows(folder):
    """The rows of the log without what the clock says."""
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "train/steps_per_second"} for row in found]


def weights(folder):
    file = folder / "checkpoints" / "last.ckpt"
    return torch.load(file, weights_only=True)["state_dict"]


def command(*words):
    """The command line as a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        [sys.executable, "-m", "zoo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def content(folder):
    """Every file of a folder with its digest and time."""
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def flipped(path):
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.unlink()  # another name of the same file stays good
    path.write_bytes(content)
