"""Every task on a real GPU: `python -m pytest -m gpu`. Elsewhere these tests are skipped."""

import pytest
import torch
from conftest import CONNECTIONS, make_input, make_stack
from small_runs import rows, weights
from tiny_runs import (
    DROPOUT,
    MIXED,
    OPTIONS,
    TINY,
    fit,
    goes_on_and_is_used,
    shrink,
    stopped,
    words,
)

from tasks.worker.jobs import measure, run_cell
from zoo.cli.main import main
from zoo.config.compose import load

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
REPEATS = "trainer.deterministic=true"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    shrink(monkeypatch)


@pytest.mark.parametrize("more", ["trainer.ema=0.9", MIXED, f"{MIXED} trainer.precision=16-mixed"])
@pytest.mark.parametrize("task", TINY)
def test_a_run_goes_on_as_if_it_had_not_stopped_and_is_used(task, more, tmp_path, capsys):
    """In float32, bfloat16 and float16; the result names GPUs and kernels that do not repeat."""
    result = goes_on_and_is_used(task, tmp_path, capsys, more, REPEATS)
    assert result["machine"]["gpus"]
    assert result["peak_memory_bytes"] > 0


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("task", TINY)
def test_a_run_repeats_or_names_what_does_not(task, precision, tmp_path):
    given = words(task, REPEATS, "trainer.max_steps=6", f"trainer.precision={precision}")
    named = [fit(tmp_path / name, *given)["unrepeatable"] for name in ("one", "two")]
    assert named[0] == named[1]
    if not named[0]:
        ours, theirs = weights(tmp_path / "one"), weights(tmp_path / "two")
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


GRAPHS = [
    "trainer.clip=1.0 trainer.ema=0.9",
    "optimizer=sgd trainer.log_every=1 trainer.on_nonfinite=skip",
    "optimizer=adamw optimizer.schedule=cosine optimizer.warmup=2 trainer.precision=bf16-mixed",
    "trainer.precision=16-mixed trainer.clip=1.0",
    "trainer.compile=true",
    "trainer.compile=whole",
]
NO_GRAPHS = ("drop_edge", "checkpoint", "reversible")  # refused


@pytest.mark.parametrize("more", GRAPHS)
@pytest.mark.parametrize("task", TINY)
def test_repeated_steps_are_ordinary_ones(task, more, tmp_path, capsys):
    """Log and weights, also of a run in two parts; close where kernels do not repeat."""
    drop = f"model.dropout={DROPOUT[task]}" if task in DROPOUT else ""
    given = words(task, drop, more, REPEATS, "trainer.max_steps=9")
    named = fit(tmp_path / "whole", *given)["unrepeatable"]
    fit(tmp_path / "graphs", *given, "trainer.graphs=true")
    assert "6 of 9 steps repeated as CUDA graphs" in capsys.readouterr().err
    stopped(tmp_path / "parts", 5, *given, "trainer.graphs=true")
    assert main(["fit", f"from={tmp_path / 'parts'}"]) == 0
    close = {"rtol": 0.02, "atol": 0.02} if named else {"rtol": 0, "atol": 0}
    for name in ("graphs", "parts"):
        torch.testing.assert_close(weights(tmp_path / name), weights(tmp_path / "whole"), **close)
        assert named or rows(tmp_path / name) == rows(tmp_path / "whole")


@pytest.mark.parametrize("options", [o for o in OPTIONS if not any(map(o.count, NO_GRAPHS))])
def test_options_are_repeated(options, tmp_path):
    """Each reaches other kernels, which must be such that a graph can hold them."""
    task, *rest = options.split()
    given = words(task, *rest, REPEATS, "trainer.max_steps=6")
    named = fit(tmp_path / "whole", *given)["unrepeatable"]
    fit(tmp_path / "graphs", *given, "trainer.graphs=true")
    assert named or rows(tmp_path / "graphs") == rows(tmp_path / "whole")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("options", OPTIONS)
def test_options_train_and_evaluate(options, precision, tmp_path):
    task, *rest = options.split()
    given = words(task, *rest, "trainer.max_steps=2", f"trainer.precision={precision}")
    assert run_cell(load(given)[0].plain(), str(tmp_path / "run")) == {"status": "done"}


@pytest.mark.parametrize("task", TINY)
def test_a_comparison_measures_a_kind_of_run(task):
    assert measure(load(words(task, "trainer.max_steps=1"))[0].plain())["flops"] > 0


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("kind", ["mlp", "stages", "graph"])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_every_rule_gives_what_it_gives_on_the_cpu(name, kind, mixed):
    """Up to what 19-bit products of convolutions and autocast's lists round."""
    found = []
    for where in ("cpu", "cuda"):
        stack = make_stack(name, kind).to(where)
        x, *side = (tensor.to(where) for tensor in make_input(kind))
        with torch.autocast(where, torch.bfloat16, enabled=mixed):
            out = stack(x, *side)
        out.float().square().mean().backward()
        grads = [p.grad for p in stack.parameters() if p.grad is not None]
        found.append([tensor.detach().float().cpu() for tensor in (out, *grads)])
    close = {"rtol": 0.2, "atol": 0.05} if mixed else {"rtol": 1e-2, "atol": 1e-3}
    torch.testing.assert_close(*found, **close)
