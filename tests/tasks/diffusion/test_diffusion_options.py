"""What the options of diffusion mean: variances, values of images, labels that are not seen."""

import itertools

import pytest
import torch
from noise_levels import levels

from tasks.data.images.digits import Digits
from tasks.diffusion.noise_schedule import NoiseSchedule
from tasks.diffusion.task import Denoising
from tasks.training.optimizers import AdamW
from zoo.connections.additive import Residual
from zoo.connections.projected import Concat
from zoo.models.diffusion import Diffusion
from zoo.norm import Pre
from zoo.seeding import redraw


@pytest.mark.parametrize("timesteps", [20, 100, 1000])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_last_level_is_noise_alone_for_every_number_of_levels(schedule, timesteps):
    noise = NoiseSchedule(timesteps, schedule, "epsilon", "fixed_small")
    noise.to(torch.device("cpu"))
    assert noise.factors[0, -1].item() < 0.02
    assert noise.factors[0, 0].item() > 0.9


@pytest.mark.parametrize("t", [2, 20])
@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_variances_of_ho_2020(variance, t):
    """Section 3.2: beta_t (1 - abar_{t-1}) / (1 - abar_t), or beta_t."""
    noise = levels(variance=variance)
    squares = noise.factors[0].flatten().square().double()
    large = 1 - squares[t] / squares[t - 1]
    small = large * (1 - squares[t - 1]) / (1 - squares[t])
    zeros, draws = torch.zeros(1, 1, 400, 400), torch.Generator().manual_seed(0)
    after = noise.sampler("ddpm").step(zeros, t, zeros, generator=draws).prev_sample
    expected = {"fixed_small": small, "fixed_large": large}[variance]
    assert after.var().item() == pytest.approx(expected.item(), rel=0.02)


def test_every_byte_comes_back():
    """A network that knows an image gives its bytes, neither cut off nor moved."""
    image = torch.arange(256.0).view(1, 1, 16, 16)
    made = levels(prediction="sample").sample(
        lambda x, t: (image / 127.5 - 1).expand(len(x), -1, -1, -1),
        (2, 1, 16, 16),
        torch.Generator().manual_seed(0),
        "ddim",
        10,
    )
    assert torch.equal(made.float(), image.expand(2, -1, -1, -1))


def make(**options):
    def make_model(channels, classes):
        rules = {"connect": Residual, "long": Concat, "norm_placement": Pre()}
        return Diffusion(channels, classes, **rules, depth=1, width=8, conditional=True)

    data = Digits(batch_size=64).load()
    task = Denoising(make_model, data, AdamW(), 0, frechet_samples=0, **options)
    redraw(task.model, 0)
    task.setup("fit")
    return task


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_labels_is_not_seen(share):
    """They become the label of no class; the others stay those of their images."""
    task, seen, true = make(drop_label=share), [], []
    task.model.register_forward_pre_hook(lambda model, inputs: seen.append(inputs[2]))
    for number, examples in itertools.islice(task.train_loader(), 12):
        task.loss((number, examples))
        true.append(task.targets[examples])
    seen, true = torch.cat(seen), torch.cat(true)
    unseen = seen == 10
    assert unseen.float().mean().item() == pytest.approx(share, abs=0.06)
    assert torch.equal(seen[~unseen], true[~unseen])


def test_images_are_trained_between_minus_one_and_one():
    """A fresh network predicts nothing, so that its error is the mean square of the image."""
    task = make(prediction="sample")
    images = torch.arange(256).view(4, 1, 8, 8).to(torch.uint8)
    labels, t = torch.zeros(4, dtype=torch.long), torch.tensor([0, 9, 99, 999])
    expected = (images / 127.5 - 1).square().mean((1, 2, 3))
    errors = task.errors(images, labels, t, torch.randn(4, 1, 8, 8))
    torch.testing.assert_close(errors.detach(), expected)


def test_no_label_is_the_one_after_the_last():
    model = make().model
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([5, 700])
    none = model(x, t)
    torch.testing.assert_close(none, model(x, t, torch.tensor([10, 10])))
    assert not torch.allclose(none, model(x, t, torch.tensor([0, 0])))
