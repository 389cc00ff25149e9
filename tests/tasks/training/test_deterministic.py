"""Runs that repeat bit for bit, and what PyTorch says does not."""

import contextlib
import os
import warnings

import pytest
import torch
from small_runs import SMALL, weights

from tasks.gnn.task import NodeClassification
from tasks.training.deterministic import deterministic
from zoo.cli.main import main
from zoo.run_folder import RunFolder


def settings():
    cudnn = torch.backends.cudnn
    mode, workspace = (
        torch.get_deterministic_debug_mode(),
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )
    return mode, workspace, cudnn.deterministic, cudnn.benchmark


@pytest.mark.parametrize("workspace", [None, ":16:8"])
def test_settings_hold_inside_and_return(workspace, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if workspace:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", workspace)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before, show = settings(), warnings.showwarning
    with contextlib.suppress(KeyError), deterministic(True):
        assert settings() == (1, workspace or ":4096:8", True, False)
        raise KeyError
    assert (settings(), warnings.showwarning) == (before, show)
    with deterministic(False):
        assert settings() == before


def not_repeating():
    torch.zeros(2).put_(torch.tensor([0, 0]), torch.ones(2))


def test_every_kernel_that_does_not_repeat_is_named_in_every_run():
    """PyTorch's words for three of a GPU's, and a kernel of the CPU."""
    said = (
        "scatter_add_cuda_kernel does not have a deterministic implementation, but you set 'torch",
        "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms(True)` "
        "or `at::Context`, but this operation is not deterministic because it uses CuBLAS and you",
        "Memory Efficient attention defaults to a non-deterministic algorithm. To explicitly",
    )
    for _ in range(2):
        with deterministic(True) as found:
            not_repeating()
            for words in said:
                warnings.warn(words, stacklevel=1)
        assert found == {"put_", "scatter_add_cuda_kernel", "cuBLAS", "Memory Efficient attention"}


def test_other_warnings_are_shown_as_ever(recwarn):
    with deterministic(True) as found:
        warnings.warn("something else", stacklevel=1)
    assert not found
    assert [str(warning.message) for warning in recwarn] == ["something else"]


@pytest.mark.parametrize("repeats", [True, False])
def test_a_run_names_them_in_its_log_and_result(repeats, tmp_path, capsys, monkeypatch):
    loss = NodeClassification.loss

    def doubtful(self, batch, shard):
        not_repeating()
        return loss(self, batch, shard)

    if not repeats:
        monkeypatch.setattr(NodeClassification, "loss", doubtful)
    before = settings()
    for name in ("one", "two"):
        words = [*SMALL, "trainer.deterministic=true", "logger=none", f"run.dir={tmp_path / name}"]
        assert main(["fit", *words, "trainer.max_steps=3"]) == 0
    named = [] if repeats else ["put_"]
    assert RunFolder(tmp_path / "two").result()["unrepeatable"] == named
    line = f"kernels that do not repeat: {'none' if repeats else 'put_'}"
    assert line in capsys.readouterr().err
    assert line in RunFolder(tmp_path / "two").log.read_text()
    assert settings() == before
    ours, theirs = weights(tmp_path / "one"), weights(tmp_path / "two")
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
