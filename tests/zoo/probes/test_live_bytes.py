"""Runs that need more memory than there is, and batches that norms find too small."""

import json
import sys
from pathlib import Path

import pytest
import torch
from forked import speak, start
from tiny_runs import words

from tasks.training.advice import remedies
from zoo.cli.main import main
from zoo.config.compose import load


def limited(words, err):
    """A command that may take one gigabyte more."""
    import resource

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, -1))
    speak(words, err)


@pytest.mark.fault(26)
@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")
def test_a_run_out_of_memory_says_how_much_it_took_and_what_to_lower(tmp_path):
    base = ["fit", "task=transformer", "logger=none", "trainer.max_steps=2", "model.context=512"]
    base += ["data.batch_size=400", "trainer.accelerator=cpu", f"run.dir={tmp_path / 'run'}"]
    process = start(limited, base, tmp_path / "stderr.txt")
    process.join()
    printed = (tmp_path / "stderr.txt").read_text()
    (line,) = [line for line in printed.splitlines() if "error" in line]
    assert process.exitcode == 6
    assert "out of memory with a batch of 400: the peak was" in line
    for remedy in ("trainer.precision=bf16-mixed", "model.checkpoint=true", "data.batch_size=200"):
        assert remedy in line
    assert "Traceback" not in printed
    assert json.loads((tmp_path / "run/result.json").read_text())["status"] == "failed"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_run_out_of_memory_on_a_gpu_names_it(tmp_path, capsys):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        base = words("transformer", "trainer.max_steps=2 model.width=512 model.context=128")
        large = [*base, "data.batch_size=3000", f"run.dir={tmp_path / 'large'}"]
        assert main(["fit", *large]) == 6
        said = capsys.readouterr().err
        assert torch.cuda.get_device_name() in said
        assert "out of memory with a batch of 3000" in said
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize(
    ("task", "named"), [("cnn", True), ("unet", True), ("transformer", True), ("gnn", False)]
)
def test_what_is_used_already_is_not_advised(task, named):
    free = remedies(load([f"task={task}"])[0])
    used = remedies(
        load([f"task={task}", "model.checkpoint=true", "trainer.precision=bf16-mixed"])[0]
    )
    assert "model.checkpoint=true" in free
    assert "trainer.precision=bf16-mixed" in free
    assert "model.checkpoint" not in used
    assert "precision" not in used
    assert ("data.batch_size" in free) is named


@pytest.mark.parametrize(
    ("task", "more", "advised"),
    [
        ("unet", "data.batch_size=4", True),
        ("unet", "data.batch_size=8", False),
        ("unet", "data.batch_size=4 model.norm=group", False),
        ("unet", "data.batch_size=4 norm=none", False),
        ("cnn", "data.batch_size=2", True),
        ("gnn", "norm=pre model.norm=batch", False),  # its batch is the whole graph
    ],
)
def test_few_images_with_batch_norm_are_advised_of_group_norm(
    task, more, advised, tmp_path, capsys
):
    data = ["data.train=12", "data.val=2", "data.test=2", "data.size=16"] if task == "unet" else []
    base = words(task, *data, *more.split(), "trainer.max_steps=1", f"run.dir={tmp_path / 'run'}")
    assert main(["fit", *base]) == 0
    assert ("model.norm=group" in capsys.readouterr().err) is advised
