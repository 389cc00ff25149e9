"""Levels of noise: how images are noised, what a network predicts of them, and sampling.

The numbers and the samplers are those of diffusers' schedulers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from zoo.errors import ConfigError
from zoo.seeding import generator

BetaSchedule = Literal["linear", "cosine"]
Prediction = Literal["epsilon", "v", "sample"]
Variance = Literal["fixed_small", "fixed_large"]
Sampler = Literal["ddim", "ddpm", "dpm"]
Predict = Callable[[Tensor, Tensor], Tensor]  # noisy images and timesteps to predictions
SAMPLERS = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "dpm": "DPMSolverMultistepScheduler",
}
BANDS = {"low": (0.0, 0.05), "middle": (0.05, 0.3), "high": (0.3, 1.0)}  # shares of the timesteps
LEAST = 512  # images of an evaluation at least, some of them seen at several timesteps
AT_ONCE = 256  # images of an evaluation batch


@dataclass
class NoiseSchedule:
    """A schedule of noise levels.

    Equations: x_t = a_t x + s_t e with a_t^2 + s_t^2 = 1 (Ho et al. 2020, arXiv:2006.11239, eq. 4);
    v = a_t e - s_t x (Salimans and Ho 2022, arXiv:2202.00512, appendix D).

    Args:
        timesteps: T.
        schedule: `linear` betas from 1e-4 to 0.02 times 1000 / T, so that the last level is noise
            alone for every T, or `cosine` (Nichol and Dhariwal 2021, arXiv:2102.09672, eq. 17).
        prediction: what the network gives: the noise e, v or the image x. Its squared error is
            the loss, without weights.
        variance: of the steps of the sampler `ddpm` (Ho et al. 2020, section 3.2).
    """

    timesteps: int
    schedule: BetaSchedule
    prediction: Prediction
    variance: Variance

    def sampler(self, name: Sampler, steps: int | None = None) -> Any:
        """The scheduler of diffusers that samples with this schedule.

        Args:
            name: of the sampler.
            steps: that it takes, if they are known. A single step goes from the last level of
                noise; `ddim` and `ddpm` of diffusers would go from the first, and return noise.
        """
        import diffusers

        options: dict[str, Any] = {
            "num_train_timesteps": self.timesteps,
            "beta_start": 1e-4 * 1000 / self.timesteps,
            "beta_end": min(0.02 * 1000 / self.timesteps, 0.999),
            "beta_schedule": {"cosine": "squaredcos_cap_v2"}.get(self.schedule, self.schedule),
            "prediction_type": {"v": "v_prediction"}.get(self.prediction, self.prediction),
        }
        if name == "ddpm":
            options["variance_type"] = self.variance
        if steps == 1:
            options["timestep_spacing"] = "trailing"
        return getattr(diffusers, SAMPLERS[name])(**options)

    def to(self, device: torch.device) -> None:
        """Puts the factors a_t and s_t of all timesteps on a device."""
        squares = self.sampler("ddpm").alphas_cumprod.to(device)
        self.factors = torch.stack([squares.sqrt(), (1 - squares).sqrt()])[..., None, None, None]

    def noised(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Images with noise, x_t `[B, C, H, W]`.

        Args:
            x: images `[B, C, H, W]`, between -1 and 1.
            noise: e `[B, C, H, W]`.
            t: timesteps `[B]` long.
        """
        a, s = self.factors[:, t]
        return torch.addcmul(a * x, s, noise)

    def target(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network is to predict, `[B, C, H, W]`; arguments are those of `noised`."""
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "sample":
            return x
        a, s = self.factors[:, t]
        return a * noise - s * x

    def sample(
        self,
        predict: Predict,
        shape: tuple[int, ...],
        draws: torch.Generator,
        name: Sampler = "ddim",
        steps: int = 50,
    ) -> Tensor:
        """Makes images `[B, C, H, W]` uint8 of noise alone.

        Args:
            predict: the network: what it predicts, `[B, C, H, W]`, of noisy images `[B, C, H, W]`
                at timesteps `[B]`.
            shape: B, C, H, W.
            draws: a generator on the network's device.
            name: of the sampler.
            steps: that it takes.
        """
        scheduler = self.sampler(name, steps)
        with warnings.catch_warnings():  # of numpy, about diffusers' use of it
            warnings.simplefilter("ignore", DeprecationWarning)
            scheduler.set_timesteps(steps, device=draws.device)
        if len(scheduler.timesteps.unique()) < len(scheduler.timesteps):
            what = f"{name} would take {steps} steps at fewer levels of noise"
            raise ConfigError(what, f"steps={steps}", "give fewer steps, or scheduler=ddim")
        x = torch.randn(shape, generator=draws, device=draws.device)
        whole = {"use_clipped_model_output": True} if name == "ddim" else {}  # noise of the clipped
        for t in scheduler.timesteps:
            guess = predict(x, t.expand(len(x)))
            x = scheduler.step(guess, t, x, generator=draws, **whole).prev_sample
        return ((x.clamp(-1, 1) + 1) * 127.5).round().byte()


@dataclass
class EvalBatch:
    """A batch of an evaluation, with the same timesteps and the same noise in every run.

    Args:
        key: of the noise: the part of the data and the number of the batch.
        examples: `[B]` long, the numbers of the images.
        t: `[B]` long, their timesteps.
        shares: the share of all timesteps of the part that lies in each band.
    """

    key: tuple[str, str]
    examples: Tensor
    t: Tensor
    shares: dict[str, float]

    def noise(self, shape: torch.Size) -> Tensor:
        """The noise of the images, `[B, C, H, W]` as their shape says."""
        return torch.randn(shape, generator=generator(0, "evaluate", *self.key))


class EvalBatches:
    """One pass over a part of the data at timesteps that are spread evenly.

    Args:
        part: its name, which is in the key of timesteps and noise.
        examples: `[n]` long, the numbers of its images.
        timesteps: T.
    """

    def __init__(self, part: str, examples: Tensor, timesteps: int):
        self.part, self.timesteps = part, timesteps
        self.examples = examples.repeat(-(-LEAST // len(examples)))
        count = len(self.examples)
        order = torch.randperm(count, generator=generator(0, "timesteps", part))
        self.t = (order * 2 + 1) * timesteps // (2 * count)
        self.shares = {name: in_band(self.t, name, timesteps).mean().item() for name in BANDS}

    def __len__(self) -> int:
        return -(-len(self.examples) // AT_ONCE)

    def __iter__(self) -> Iterator[EvalBatch]:
        batches = zip(self.examples.split(AT_ONCE), self.t.split(AT_ONCE), strict=True)
        for number, (examples, t) in enumerate(batches):
            yield EvalBatch((self.part, str(number)), examples, t, self.shares)


def in_band(t: Tensor, band: str, timesteps: int) -> Tensor:
    """Which timesteps lie in a band: `[B]` float, 1 for those that do and 0 for others.

    Args:
        t: `[B]` long.
        band: `low`, `middle` or `high`.
        timesteps: T.

    >>> in_band(torch.tensor([49, 50, 299, 300]), "middle", 1000)
    tensor([0., 1., 1., 0.])
    """
    low, high = (round(share * timesteps) for share in BANDS[band])
    return ((t >= low) & (t < high)).float()
