"""Levels of noise against diffusers' schedulers, the Fréchet distance, averages and guidance."""

import copy
import itertools

import numpy as np
import pytest
import torch
from noise_levels import levels
from scipy import linalg
from torch import nn

from tasks.data.images.digits import Digits
from tasks.diffusion.frechet import frechet, train_classifier
from tasks.diffusion.noise_schedule import BANDS, EvalBatches, in_band
from tasks.diffusion.sampling import guided

SCHEDULES = ["linear", "cosine"]
KINDS = ["epsilon", "v", "sample"]
CPU = torch.device("cpu")


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_noised_images_and_targets_are_those_of_diffusers(schedule):
    noise = levels(schedule=schedule, prediction="v")
    theirs = noise.sampler("ddpm")
    x, e, t = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3), torch.tensor([0, 49, 500, 999])
    torch.testing.assert_close(noise.noised(x, e, t), theirs.add_noise(x, e, t))
    torch.testing.assert_close(noise.target(x, e, t), theirs.get_velocity(x, e, t))


def test_linear_betas_of_ho_2020():
    betas = np.linspace(1e-4, 0.02, 1000)
    a, s = levels().factors.flatten(1)
    np.testing.assert_allclose(a.square(), np.cumprod(1 - betas), rtol=1e-4)
    np.testing.assert_allclose(a.square() + s.square(), 1, rtol=1e-6)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_answer_leads_back_to_the_image(sampler, kind):
    """A network that knows the one image of its data gives it from any noise."""
    noise = levels(prediction=kind)
    image = torch.rand(1, 1, 4, 4) * 1.6 - 0.8

    def predict(x, t):
        a, s = noise.factors[:, t]
        e = (x - a * image) / s
        return noise.target(image.expand(len(x), -1, -1, -1), e, t)

    draws = torch.Generator().manual_seed(0)
    made = noise.sample(predict, (3, 1, 4, 4), draws, sampler, 20)
    expected = ((image + 1) * 127.5).round()
    assert made.dtype == torch.uint8
    assert (made.float() - expected).abs().max() <= 2


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_single_step_goes_from_noise_alone(sampler, kind, schedule):
    """To what is expected of noise: the mean image of the data, of which there are two here."""
    noise, asked = levels(prediction=kind, schedule=schedule), []
    images = torch.stack([torch.full((1, 4, 4), 0.5), torch.full((1, 4, 4), -0.1)])

    def predict(x, t):
        asked.extend(t.tolist())
        a, s = noise.factors[:, t]
        away = (x[:, None] - a[:, None] * images).square().sum((2, 3, 4), keepdim=True)
        shares = (-away / (2 * s[:, None].square())).softmax(1)
        image = (shares * images).sum(1)
        return noise.target(image, (x - a * image) / s, t)

    made = noise.sample(predict, (8, 1, 4, 4), torch.Generator().manual_seed(0), sampler, 1)
    assert asked == [999] * 8
    expected = ((torch.tensor(0.2) + 1) * 127.5).round()
    assert (made.float() - expected).abs().max() <= 8


def test_a_clipped_image_keeps_its_noise_consistent():
    """Where the answer is beyond white, a step of DDIM goes on from white and what it leaves."""
    noise, seen = levels(), []

    def predict(x, t):
        seen.append((x.clone(), int(t[0])))
        a, s = noise.factors[:, t]
        return (x - a * 1.6) / s

    noise.sample(predict, (2, 1, 2, 2), torch.Generator().manual_seed(0), "ddim", 10)
    for (x, t), (after, next_t) in itertools.pairwise(seen):
        a, s = noise.factors[:, t]
        b, r = noise.factors[:, next_t]
        torch.testing.assert_close(after, b + r * (x - a) / s)


def test_evaluation_sees_all_levels_in_every_run():
    first, again = (EvalBatches("val", torch.arange(100, 244), 1000) for _ in range(2))
    pieces = list(first)
    examples = torch.cat([piece.examples for piece in pieces])
    t = torch.cat([piece.t for piece in pieces])
    assert examples.unique(return_counts=True)[1].tolist() == [4] * 144
    assert torch.equal(t.sort().values, ((torch.arange(576) + 0.5) * 1000 / 576).long())
    assert torch.equal(t, again.t)
    assert not torch.equal(t, EvalBatches("test", torch.arange(100, 244), 1000).t)
    shape = torch.Size([2, 1, 2, 2])
    assert torch.equal(pieces[0].noise(shape), next(iter(again)).noise(shape))
    assert not torch.equal(pieces[0].noise(shape), pieces[1].noise(shape))
    for name, share in first.shares.items():
        assert share == pytest.approx(in_band(t, name, 1000).mean().item())
    assert sum(first.shares.values()) == pytest.approx(1)
    assert list(first.shares) == list(BANDS)


def test_frechet_is_that_of_the_matrix_square_root():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5))
    b = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 5)) + 1
    covariances = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    means = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected = means + np.trace(covariances[0] + covariances[1] - 2 * root)
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    assert frechet(a, b) == pytest.approx(expected)
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)


def test_the_classifier_knows_the_digits():
    data = Digits().load()
    net = train_classifier(data.images, data.labels, data.train, 10, CPU)
    with torch.no_grad():
        guess = net.head(net(data.images[data.test])).argmax(1)
    assert (guess == data.labels[data.test]).float().mean() > 0.95


def test_the_classifier_is_the_same_every_time(monkeypatch):
    monkeypatch.setattr("tasks.diffusion.frechet.STEPS", 3)
    images = torch.randint(256, (50, 3, 20, 12), dtype=torch.uint8)
    every, state = torch.arange(50), torch.get_rng_state()
    first, again = (
        train_classifier(images, torch.arange(50) % 3, every, 3, CPU).features_of(images, every)
        for _ in range(2)
    )
    assert torch.equal(first, again)
    assert torch.equal(state, torch.get_rng_state())
    assert first.shape == (50, 32)


class ImageDataset(nn.Module):
    """Predicts the number of the class."""

    def forward(self, x, t, labels):
        return x + labels[:, None, None, None]


def test_guidance_goes_from_none_through_the_class():
    x, labels = torch.zeros(2, 1, 1, 1), torch.tensor([1, 4])
    for guidance in (0.0, 1.0, 3.0):
        guess = guided(ImageDataset(), x, torch.zeros(2), labels, 10, guidance)
        expected = [10 + guidance * (label - 10) for label in (1, 4)]
        assert guess.flatten().tolist() == pytest.approx(expected)


def test_averages_are_those_of_diffusers():
    from diffusers.training_utils import EMAModel

    from tasks.training.ema import EMA

    class Fake:
        global_step = 0
        device = torch.device("cpu")
        model = nn.Linear(3, 2)

    fake, average = Fake(), EMA(0.8)
    average.on_fit_start(fake, fake)
    average.on_train_start(fake, fake)
    theirs = EMAModel(copy.deepcopy(fake.model).parameters(), decay=0.8)
    for step in range(40):
        for parameter in fake.model.parameters():
            parameter.data += torch.randn_like(parameter)
        fake.global_step = step + 1
        average.on_train_batch_end(fake, fake)
        average.on_train_batch_end(fake, fake)  # as between two batches of one step
        theirs.step(fake.model.parameters())
    for ours, shadow in zip(average.averages, theirs.shadow_params, strict=True):
        torch.testing.assert_close(ours, shadow)
    before = [parameter.clone() for parameter in fake.model.parameters()]
    average.on_validation_epoch_start(fake, fake)
    for parameter, shadow in zip(fake.model.parameters(), theirs.shadow_params, strict=True):
        torch.testing.assert_close(parameter.data, shadow)
    content = {"state_dict": {f"model.{n}": v for n, v in fake.model.state_dict().items()}}
    average.on_save_checkpoint(fake, fake, content)
    assert all(map(torch.equal, content["weights"].values(), before))
    assert all(map(torch.equal, content["state_dict"].values(), average.averages))
    average.on_validation_end(fake, fake)
    for parameter, old in zip(fake.model.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
