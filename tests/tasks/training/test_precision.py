"""How exactly a run multiplies: float32 products on a GPU, and bfloat16 near float32."""

import contextlib
import json

import pytest
import torch
from second_device import second_device
from tiny_runs import OPTIONS, TINY, fit, shrink, words

from tasks.gnn.task import NodeClassification
from tasks.training.build import build_task
from tasks.training.layout import LAST
from tasks.training.precision import float32_products, operations, set_products
from zoo.cli.main import main
from zoo.config import registry
from zoo.config.compose import load
from zoo.seeding import redraw

LEVELS = {  # how a matrix product and a convolution on a GPU then round
    "highest": ("ieee", False),
    "high": ("tf32", True),
    "medium": ("tf32", True),
}
WIDE = "cnn model.form=imagenet"  # batch norms of 24 values in a row, which amplify rounding
FURTHER = [pytest.param(o, marks=pytest.mark.slow) for o in OPTIONS if not o.startswith(WIDE)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    shrink(monkeypatch)


def settings():
    older = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    return [*older, *(each.fp32_precision for each in operations())]


@pytest.mark.parametrize("matmul", sorted(LEVELS))
@pytest.mark.parametrize("before", sorted(LEVELS))
def test_products_are_as_asked_and_then_as_before(matmul, before):
    """What Lightning and Inductor read by PyTorch's older way agrees with its newer one."""
    with float32_products(before):
        was = settings()
        with contextlib.suppress(KeyError), float32_products(matmul):
            product, convolution = LEVELS[matmul]
            assert torch.get_float32_matmul_precision() == matmul
            assert torch.backends.cuda.matmul.fp32_precision == product
            assert torch.backends.cudnn.allow_tf32 is convolution
            assert (torch.backends.cudnn.conv.fp32_precision == "tf32") is convolution
            raise KeyError
        assert settings() == was


def test_settings_of_both_ways_come_back(monkeypatch):
    """A program that mixed them cannot read them by the older way, before and after a run."""
    precision, convolutions, *each_was = settings()
    try:
        torch.backends.cudnn.conv.fp32_precision = "ieee"
        before = [each.fp32_precision for each in operations()]
        with float32_products("high"):
            assert torch.backends.cudnn.allow_tf32 is True
        assert [each.fp32_precision for each in operations()] == before
    finally:
        set_products(precision, convolutions)
        for each, was in zip(operations(), each_was, strict=True):
            each.fp32_precision = was
    assert settings() == [precision, convolutions, *each_was]


@pytest.mark.parametrize(
    ("place", "given", "expected"),
    [("cpu", "", "highest"), ("gpu", "", "high"), ("gpu", "trainer.matmul=highest", "highest")],
)
def test_a_run_says_how_it_multiplies_and_its_evaluation_repeats_it(
    place, given, expected, tmp_path, capsys, monkeypatch
):
    seen = []

    def noting(method):
        def noted(*args):
            seen.append(torch.get_float32_matmul_precision())
            return method(*args)

        return noted

    for name in ("loss", "eval_sums"):
        monkeypatch.setattr(NodeClassification, name, noting(getattr(NodeClassification, name)))
    more = [f"trainer.accelerator={place}", "trainer.max_steps=2", *given.split()]
    before = settings()
    with second_device():
        result = fit(tmp_path / "run", *words("gnn", *more))
        assert (result["matmul"], set(seen)) == (expected, {expected})
        seen.clear()
        capsys.readouterr()
        assert main(["--json", "test", f"from={tmp_path / 'run'}"]) == 0
    assert json.loads(capsys.readouterr().out)["matmul"] == expected
    assert set(seen) == {expected}
    assert settings() == before
    said = (tmp_path / "run" / "log.txt").read_text()
    assert (f"matmul={expected}" in said) is (expected != "highest")


def held(trainer):
    """The optimiser's values that have the shape of a convolution's kernel, with their weights."""
    (optimizer,) = trainer.optimizers
    for weight, state in optimizer.state.items():
        for value in state.values():
            if isinstance(value, torch.Tensor) and value.ndim == 4:
                yield weight, value


@pytest.mark.parametrize(
    "task", ["cnn", *(pytest.param(task, marks=pytest.mark.slow) for task in ("diffusion", "unet"))]
)
def test_a_gpu_finds_kernels_and_their_momentum_with_channels_last(task, tmp_path, monkeypatch):
    """Also where a run of the CPU goes on, whose momentum lies otherwise."""
    seen = []
    kind = registry.resolve("task", task)
    step = kind.optimizer_step

    def noting(self, *args):
        seen.extend(held(self.trainer))
        assert all(weight.is_contiguous(memory_format=LAST) for weight, _ in seen)
        assert all(value.stride() == weight.stride() for weight, value in seen)
        return step(self, *args)

    fit(tmp_path, *words(task, "trainer.max_steps=2"))
    monkeypatch.setattr(kind, "optimizer_step", noting)
    with second_device():
        assert main(["fit", f"from={tmp_path}", "trainer.max_steps=3"]) == 0
    assert seen


def first_batch(given, kind, mixed):
    """Loss and gradients of a fresh net on its first batch, and its loss in evaluation."""
    task = build_task(load(given)[0])
    redraw(task.model, 0)
    task = task.to(kind)
    task.setup("fit")
    torch.manual_seed(0)
    with torch.autocast(kind, torch.bfloat16, enabled=mixed):
        loss = task.loss(next(iter(task.train_loader())))
        sums = task.eval_sums(next(iter(task.loader("val"))))
    loss.backward()
    gradients = [p.grad for p in task.model.parameters() if p.grad is not None]
    for value in (loss, *sums.values(), *gradients):
        assert value.dtype not in (torch.bfloat16, torch.float16)
    totals = {name: value.detach().double().cpu() for name, value in sums.items()}
    flat = torch.cat([grad.flatten().double().cpu() for grad in gradients])
    return loss.item(), task.metrics_from_sums(totals)["loss"], flat


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        (second_device, "cuda"),
        pytest.param(contextlib.nullcontext, "cpu", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("options", [*TINY, *FURTHER])
def test_bfloat16_is_near_float32_and_losses_are_float32(options, place, kind):
    """By autocast's lists of the CPU and of CUDA; what is summed up is not rounded to 8 bits."""
    with place():
        full, half = (first_batch(words(*options.split()), kind, mixed) for mixed in (False, True))
    assert half[:2] == pytest.approx(full[:2], rel=0.01)
    assert half[:2] != full[:2] or "diffusion" in options  # whose head of zeros predicts nothing
    assert 0 < (half[2] - full[2]).norm() <= 0.12 * full[2].norm()
