"""Images from a trained diffusion network, and how near they come to the data."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tasks.diffusion.noise_schedule import Sampler
from zoo.seeding import keyed_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tasks.diffusion.task import Denoising

AT_ONCE = 256  # images that are sampled together
STEPS = 50  # of sampling, where nothing else is said
log = logging.getLogger("zoo")


def guided(
    model: nn.Module, x: Tensor, t: Tensor, labels: Tensor | None, none: int, guidance: float
) -> Tensor:
    """What a network predicts of noisy images, guided towards their classes, `[B, C, H, W]`.

    Equation: f(x, none) + g (f(x, label) - f(x, none)), g = guidance
    Source: Ho and Salimans 2022, arXiv:2207.12598, eq. 6 with g = 1 + w.

    Args:
        model: the network.
        x: noisy images `[B, C, H, W]`.
        t: timesteps `[B]`.
        labels: `[B]` long; None: the model knows no classes.
        none: the label that stands for no class.
        guidance: g.
    """
    if labels is None or guidance == 1:
        return model(x, t, labels).float()
    named = torch.cat([labels, torch.full_like(labels, none)])
    both = model(x.repeat(2, 1, 1, 1), t.repeat(2), named).float()
    with_label, without = both.chunk(2)
    return without + guidance * (with_label - without)


@torch.no_grad()
def sampled(
    task: Denoising,
    count: int,
    seed: int,
    scheduler: Sampler = "ddim",
    steps: int = STEPS,
    label: int | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """Samples images `[count, C, H, W]` uint8 on the CPU; a conditional model draws all classes.

    Args:
        task: in evaluation.
        count: of images.
        seed: of the noise that they begin with.
        scheduler: the sampler.
        steps: that it takes; as many as there are levels of noise, if those are fewer.
        label: the class of all images; None: each class in turn.
        guidance: towards the class; 1: the conditional model as it is.
    """
    device, classes = task.device, len(task.data.classes)
    draws = torch.Generator(device).manual_seed(keyed_seed(seed, "sample"))
    labels = torch.arange(count) % classes if label is None else torch.full((count,), label)
    made = []
    for chunk in labels.to(device).split(AT_ONCE):
        known = chunk if task.model.conditional else None
        task.alive()

        def predict(x: Tensor, t: Tensor, known: Tensor | None = known) -> Tensor:
            return guided(task.model, x, t, known, classes, guidance)

        shape = (len(chunk), *task.images.shape[1:])
        steps = min(steps, task.noise.timesteps)
        made.append(task.noise.sample(predict, shape, draws, scheduler, steps).cpu())
    return torch.cat(made)


def quality(task: Denoising, count: int) -> dict[str, float]:
    """The Fréchet distances of samples, of test images and of noise to the training images.

    A perfect network would reach the distance of the test images; noise is where a network begins.
    Distances of few images are too large, so all three are of the same number.

    Args:
        task: in evaluation.
        count: of samples, at most as many as there are test images; two at least.
    """
    from tasks.diffusion.frechet import frechet, train_classifier

    data, images = task.data, task.images
    count = min(count, len(data.test))
    if count < 2:
        log.warning("no Fréchet distance: there is one test image")
        return {}
    net = train_classifier(images, task.targets, data.train, len(data.classes), task.device)
    train = net.features_of(images, data.train)
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(count, *images.shape[1:], generator=draws).clamp(-1, 1)
    others: dict[str, Any] = {
        "": sampled(task, count, 0),
        "_train_against_test": task.taken(images, data.test[:count]),
        "_noise": (noise + 1) * 127.5,
    }
    return {
        f"samples/frechet{name}": frechet(net.features_of(other, torch.arange(count)), train)
        for name, other in others.items()
    }


def figure(task: Denoising, count: int, title: str) -> Figure:
    """Draws samples side by side; those of a conditional model show the classes in turn."""
    from tasks.training.image_plots import sheet_figure

    steps = min(STEPS, task.noise.timesteps)
    return sheet_figure(sampled(task, count, 0), f"{title}, DDIM with {steps} steps")
