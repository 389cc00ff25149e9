"""Runs of diffusion through the command line: fit, continuation, samples, export."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from quick import drawn
from small_runs import rows, weights

from tasks.diffusion import export as export_diffusers
from tasks.diffusion import task as diffusion
from tasks.diffusion.noise_schedule import NoiseSchedule
from tasks.recovery import checkpoints
from tasks.recovery.tensor_files import save_checkpoint
from tasks.training.build import build_task
from zoo.cli.main import main
from zoo.config.compose import load
from zoo.run_folder import RunFolder

SMALL = ["task=diffusion", "model.depth=2", "model.width=8", "model.blocks=1", "logger=none"]
SMALL += ["trainer.accelerator=cpu", "trainer.max_steps=6", "trainer.log_every=2"]
SMALL += ["trainer.validate_every=3", "task.frechet_samples=0", "task.timesteps=100"]
SMALL += ["data.batch_size=16", "optimizer.warmup=0", "optimizer.schedule=constant"]


def fit(folder, *words, code=0):
    assert main(["fit", *SMALL, f"run.dir={folder}", *words]) == code
    return RunFolder(folder).result()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diffusion") / "run"
    with drawn():
        return folder, fit(folder, "task.frechet_samples=20", "task.sample_every=3")


def test_a_run_and_its_figures(run):
    folder, result = run
    names = {"curves", "mixing", "samples", "data", "samples_000003", "samples_000006"}
    assert {path.stem for path in (folder / "figures").iterdir()} == names
    metrics = result["metrics"]
    bands = [metrics[f"val/mse/{name}"] for name in ("low", "middle", "high")]
    assert min(bands) <= metrics["val/loss"] <= max(bands)
    real, samples, noise = (
        metrics[f"samples/frechet{name}"] for name in ("_train_against_test", "", "_noise")
    )
    assert 0 < real < min(samples, noise)
    assert result["primary"]["name"] == "test/loss"
    assert result["primary"]["higher_is_better"] is False


def test_samples_follow_from_their_seed(run, capsys):
    folder, _ = run
    contents = []
    for seed in (0, 0, 1):
        capsys.readouterr()
        words = [f"from={folder}", "count=5", "steps=3", f"seed={seed}"]
        assert main(["--json", "sample", *words]) == 0
        out = Path(json.loads(capsys.readouterr().out)["samples"])
        assert out.name == f"images-{seed}" + ("-2" if len(contents) == 1 else "")
        contents.append([(out / f"{i:05d}.png").read_bytes() for i in range(5)])
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]
    sheet = np.asarray(Image.open(out / "grid.png"))
    image = np.asarray(Image.open(out / "00004.png"))
    assert image.shape == (8, 8)
    seen = sheet[66:130, 66:130]  # each pixel is a square of eight
    assert np.array_equal(seen, image.repeat(8, 0).repeat(8, 1))


def test_the_export_is_a_pipeline_of_diffusers(run, capsys, monkeypatch):
    from diffusers import DDIMPipeline, DDPMPipeline

    folder, _ = run
    capsys.readouterr()
    assert main(["--json", "export", f"from={folder}", "format=diffusers"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["difference"] < 1e-5
    pipeline = DDPMPipeline.from_pretrained(record["export"], low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    draws = torch.Generator().manual_seed(0)
    images = pipeline(2, generator=draws, num_inference_steps=4, output_type="np").images
    assert images.shape == (2, 8, 8, 1)
    assert math.isfinite(images.sum())
    pipeline = DDIMPipeline.from_pretrained(record["export"], low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 10, "output_type": "np"}
    name, _, value = record["ddim"].partition("=")
    draws = torch.Generator().manual_seed(0)
    made = pipeline(3, generator=draws, **options, **{name: value == "True"}).images
    ours = NoiseSchedule(100, "linear", "epsilon", "fixed_small").sample(
        lambda x, t: pipeline.unet(x, t).sample.detach(),
        (3, 1, 8, 8),
        torch.Generator().manual_seed(0),
        steps=10,
    )
    np.testing.assert_allclose(255 * made.transpose(0, 3, 1, 2), ours, atol=0.51)
    draws = torch.Generator().manual_seed(0)
    other = pipeline(3, generator=draws, **options).images
    assert np.abs(other - made).max() > 0.1  # without it
    assert list((folder / "export" / "diffusers" / "unet").glob("*.safetensors"))
    monkeypatch.setattr(export_diffusers, "TOLERANCE", -1.0)
    assert main(["export", f"from={folder}"]) == 2  # and what was written before stays
    assert [path.name for path in (folder / "export").iterdir()] == ["diffusers"]


@pytest.mark.usefixtures("shrunk")
def test_continuation_sees_the_same_noise_and_averages(tmp_path, capsys):
    words = ["model.dropout=0.2", "model.conditional=true", "trainer.ema=0.9", "task.flip=true"]
    fit(tmp_path / "whole", *words)
    fit(tmp_path / "resumed", *words, "trainer.max_steps=3")
    assert main(["fit", f"from={tmp_path / 'resumed'}", "trainer.max_steps=6"]) == 0
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert rows(tmp_path / "whole")[-1] == rows(tmp_path / "resumed")[-1]


@pytest.mark.usefixtures("shrunk")
@pytest.mark.parametrize("step", [3, 6])
def test_continuation_after_a_kill_has_every_average(step, tmp_path, monkeypatch, capsys):
    """From a checkpoint that was written on the way or after all steps, as after SIGKILL."""
    resumed = tmp_path / "resumed"

    def save(content, path, kept):
        save_checkpoint(content, path, kept)
        if content.get("global_step") == step:
            shutil.copytree(tmp_path / "whole", resumed, dirs_exist_ok=True)

    monkeypatch.setattr(checkpoints, "save_checkpoint", save)
    words = ["trainer.ema=0.9", "trainer.save_minutes=1e-9", "trainer.log_every=1"]
    fit(tmp_path / "whole", *words)
    assert main(["fit", f"from={resumed}"]) == 0
    whole, again = weights(tmp_path / "whole"), weights(resumed)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    results = [RunFolder(folder).result()["metrics"] for folder in (tmp_path / "whole", resumed)]
    assert results[0] == results[1]


@pytest.mark.usefixtures("shrunk")
def test_samples_on_the_way_come_at_the_next_validation(tmp_path, capsys):
    fit(tmp_path / "run", "task.sample_every=4", "trainer.validate_every=3", "trainer.max_steps=9")
    names = {path.stem for path in (tmp_path / "run" / "figures").glob("samples_*")}
    assert names == {"samples_000006", "samples_000009"}


@pytest.mark.usefixtures("shrunk")
@pytest.mark.parametrize(
    "words",
    [
        ["trainer.precision=bf16-mixed", "task.schedule=cosine", "task.prediction=v"],
        ["long=residual", "connection=rezero", "task.prediction=sample", "model.embedding=film"],
    ],
)
def test_options_train(words, tmp_path, capsys):
    result = fit(tmp_path / "run", *words)
    assert all(math.isfinite(value) for value in result["metrics"].values())


@pytest.mark.usefixtures("shrunk")
def test_a_conditional_model_draws_a_class(tmp_path, capsys):
    folder = tmp_path / "run"
    fit(folder, "model.conditional=true", "trainer.max_steps=1")
    words = ["sample", f"from={folder}", "count=2", "steps=2"]
    for more in ([], ["label=7"], ["label=7", "guidance=3"]):
        assert main([*words, *more]) == 0
    contents = [out.read_bytes() for out in (folder / "samples").glob("*/00000.png")]
    assert len(set(contents)) == 3
    capsys.readouterr()
    assert main([*words, "label=ten"]) == 2
    assert "choose from 0, 1" in capsys.readouterr().err
    assert main(["export", f"from={folder}"]) == 2
    assert "model.conditional" in capsys.readouterr().err


@pytest.mark.usefixtures("shrunk")
@pytest.mark.parametrize(
    ("drop", "words", "said"),
    [(0, ["guidance=3"], "leave guidance out"), (1, ["label=7"], "never trained with labels")],
)
def test_what_a_conditional_model_never_saw_is_refused(drop, words, said, tmp_path, capsys):
    more = ["model.conditional=true", f"task.drop_label={drop}", "trainer.max_steps=1"]
    fit(tmp_path / "run", *more)
    capsys.readouterr()
    assert main(["sample", f"from={tmp_path / 'run'}", "count=1", "steps=2", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_large_training_part_is_evaluated_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion, "SEEN", 300)
    task = build_task(load([*SMALL, "trainer.accelerator=cpu"])[0])
    seen = torch.cat([piece.examples for piece in task.loader("train")]).unique()
    assert len(seen) == 300
    assert set(seen.tolist()) <= set(task.data.train.tolist())
    held = torch.cat([piece.examples for piece in task.loader("test")]).unique()
    assert len(held) == len(task.data.test) > 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample", "label=7"], "knows no classes"),
        (["sample", "steps=101"], "more than the 100 levels"),
        (["sample", "count=0"], "count=0 is refused"),
        (["sample", "count=1", "steps=100", "scheduler=dpm"], "give fewer steps"),
        (["sample", "scheduler=none"], "scheduler='none' is refused"),
        (["export", "format=tflite"], "format='tflite' is refused"),
        (["predict"], "task=diffusion knows no predict"),
    ],
)
def test_wrong_words_are_one_line(words, said, run, capsys):
    verb, *rest = words
    capsys.readouterr()
    assert main([verb, f"from={run[0]}", *rest]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.attention_at=[5]"], "attention_at=[5]"),
        (["task.prediction=noise"], "task.prediction"),
    ],
)
def test_wrong_options_are_one_line(words, said, tmp_path, capsys):
    assert main(["fit", *SMALL, f"run.dir={tmp_path / 'run'}", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_skips_matter_on_digits(seed, tmp_path, capsys):
    losses = {}
    for short, long in (("residual", "concat"), ("plain", "plain")):
        folder = tmp_path / short
        words = ["task=diffusion", f"connection={short}", f"long={long}", f"seed={seed}"]
        words += ["logger=none", "task.frechet_samples=0", f"run.dir={folder}"]
        assert main(["fit", *words]) == 0
        losses[short] = RunFolder(folder).result()["metrics"]["val/loss"]
    assert losses["residual"] <= 0.12
    assert losses["plain"] >= 1.3 * losses["residual"]
