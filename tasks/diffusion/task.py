"""Denoising diffusion of images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from tasks.data.images.augment import Augment
from tasks.data.images.dataset import ImageSet
from tasks.diffusion.noise_schedule import (
    BANDS,
    BetaSchedule,
    EvalBatch,
    EvalBatches,
    NoiseSchedule,
    Prediction,
    Variance,
    in_band,
)
from tasks.diffusion.sampling import figure, quality
from tasks.training.image_module import ImageTask
from tasks.training.module import MakeModel, Totals
from tasks.training.optim import Optimizer
from tasks.training.outcomes import Outcomes
from tasks.training.two_parts import Input
from zoo.seeding import generator, keyed_seed
from zoo.shard import WHOLE, Shard, set_shard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DROP_LABEL = 0.1  # of Ho and Salimans 2022
SHOWN = 36  # images in a figure
SEEN = 10_000  # images of the training part that are evaluated, at most


class Denoising(ImageTask):
    """A network learns to tell noise from image at every level of noise, and then makes images.

    The loss is the mean square of the error of what is predicted, all timesteps alike: no weights
    are added. As an error of the image that weighs a timestep by its ratio of signal to noise
    r = a^2 / s^2 for epsilon, by r + 1 for v and by 1 for sample (Salimans and Ho 2022,
    arXiv:2202.00512, section 4). Batches, timesteps and noise follow from the seed and the number
    of the batch.

    Args:
        make_model: the model's class with its options.
        data: the images.
        optimizer: options of the optimiser.
        seed: of order, timesteps and noise.
        timesteps: levels of noise.
        schedule: of their betas, `linear` or `cosine`.
        prediction: what the network predicts: `epsilon` (the noise), `v` or `sample` (the image).
        variance: of the steps of the sampler `ddpm`.
        flip: whether images are flipped left to right, each with a chance of one half.
        drop_label: share of labels that a conditional model does not see in training (Ho and
            Salimans 2022, arXiv:2207.12598).
        sample_every: steps between two figures of samples on the way, each at the first validation
            from there on; 0: none.
        frechet_samples: images for the Fréchet distance at the end, at most one a test image.

    Errors:
        ValueError: a single sample for the distance; a drop_label where no labels are seen.
    """

    data_type = ImageSet
    primary = ("loss", False)
    asks = ("conditional",)
    trained = "tasks.diffusion.trained.TrainedImages"
    verbs: ClassVar[dict[str, str]] = {"sample": "tasks.diffusion.sample.SampleImages"}

    def __init__(
        self,
        make_model: MakeModel,
        data: ImageSet,
        optimizer: Optimizer,
        seed: int,
        timesteps: Annotated[int, Ge(20), Le(100_000)] = 1000,
        schedule: BetaSchedule = "linear",
        prediction: Prediction = "epsilon",
        variance: Variance = "fixed_small",
        flip: bool = False,
        drop_label: Annotated[float, Ge(0), Le(1)] = DROP_LABEL,
        sample_every: Annotated[int, Ge(0)] = 200,
        frechet_samples: Annotated[int, Ge(0), Le(1_000_000)] = 500,
    ):
        super().__init__(make_model, data, optimizer, seed)
        self.noise = NoiseSchedule(timesteps, schedule, prediction, variance)
        self.augment = Augment(flip=flip)
        if drop_label != DROP_LABEL and not self.model.conditional:
            raise ValueError(f"drop_label={drop_label:g} is an option of model.conditional=true")
        self.drop_label = drop_label
        if frechet_samples == 1:
            raise ValueError("frechet_samples=1: one image has no covariance; give 0 or more")
        self.sample_every, self.frechet_samples = sample_every, frechet_samples

    def setup(self, stage: str) -> None:
        """Brings the images and the schedule to the device."""
        super().setup(stage)
        self.noise.to(self.device)

    def loader(self, part: str) -> Iterable[EvalBatch]:
        """Gives examples `[B]` long with the timesteps and the noise of each."""
        examples = self.data.parts[part]
        if len(examples) > SEEN and part == "train":
            chosen = torch.randperm(len(examples), generator=generator(0, "evaluated"))[:SEEN]
            examples = examples[chosen]
        return EvalBatches(part, examples, self.noise.timesteps)

    def errors(self, images: Tensor, labels: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Computes the mean squared error `[B]` of what is predicted of each image.

        Args:
            images: `[B, C, H, W]` uint8.
            labels: `[B]` long.
            t: `[B]` long, the timesteps.
            noise: `[B, C, H, W]`.
        """
        x = images / 127.5 - 1
        known = labels if self.model.conditional else None
        guess = self.model(self.noise.noised(x, noise, t), t, known).float()
        return (guess - self.noise.target(x, noise, t)).square().mean((1, 2, 3))

    def prepared(self, batch: tuple[int, Tensor], shard: Shard = WHOLE) -> tuple[Input, ...]:
        """Gives images, labels, timesteps and noise as `errors` takes them, and a weight.

        Args:
            batch: its number and its examples, `[B]` long.
            shard: which of them are this process's.
        """
        number, examples = batch
        count, device = len(examples), self.device
        rows = shard.of(count)
        set_shard(rows)
        mine = slice(rows.rank, None, rows.world)
        images = self.taken(self.images, examples[mine])
        labels = self.taken(self.targets, examples[mine])
        if self.augment.flip:
            flips = self.augment.draw(self.seed, number, count, *images.shape[2:])
            images = self.augment.crop_and_flip(images, flips, rows.index())
        draws = torch.Generator(device)
        draws.manual_seed(keyed_seed(self.seed, "noise", str(number)))
        t = torch.randint(self.noise.timesteps, (count,), generator=draws, device=device)
        noise = torch.randn(count, *images.shape[1:], generator=draws, device=device)
        if self.model.conditional:
            unseen = torch.rand(count, generator=draws, device=device) < self.drop_label
            labels = labels.masked_fill(unseen[mine], len(self.data.classes))
        return images, labels, t[mine], noise[mine], shard.world / count

    def loss_of(self, *prepared: Any) -> Tensor:
        """Computes the mean error `[]` of what `prepared` gives."""
        *given, weight = prepared
        return self.errors(*given).sum() * weight

    def outcomes(self, batch: EvalBatch) -> Outcomes:
        """Gives images, `[B]` long, and the mean squared error `[B]` of each at its timestep."""
        return Outcomes(batch.examples, self.errors(*self.eval_inputs(batch)))

    def eval_inputs(self, batch: EvalBatch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gives images, labels, timesteps and noise of a batch, as `errors` takes them."""
        images, labels = (self.taken(rows, batch.examples) for rows in (self.images, self.targets))
        return images, labels, self.sent(batch.t), self.sent(batch.noise(images.shape))

    def eval_prepared(self, batch: EvalBatch) -> tuple[Input, ...]:
        """Gives the inputs of `errors`, and the share of examples in each band of timesteps."""
        return *self.eval_inputs(batch), *(batch.shares[name] for name in BANDS)

    def sums_of(
        self, images: Tensor, labels: Tensor, t: Tensor, noise: Tensor, *shares: float
    ) -> Totals:
        """Sums the loss, the errors by band of timesteps and the count, `[]` each."""
        errors = self.errors(images, labels, t, noise)
        sums = {"loss": errors.sum()}
        for name, share in zip(BANDS, shares, strict=True):
            inside = in_band(t, name, self.noise.timesteps)
            sums[f"mse/{name}"] = (errors * inside).sum() / share
        return sums | {"count": torch.full((), len(t), device=self.device)}

    def chance_metrics(self) -> dict[str, float]:
        """Gives the loss of predicting zero, which is about the mean of noise and of images."""
        self.noise.to(torch.device("cpu"))  # where the data is loaded
        chance: dict[str, float] = {}
        for part in ("val", "test"):
            squares, count = 0.0, 0
            for batch in self.loader(part):
                x = self.data.images[batch.examples] / 127.5 - 1
                noise = batch.noise(x.shape)
                squares += self.noise.target(x, noise, batch.t).double().square().sum().item()
                count += x.numel()
            chance[f"{part}/loss"] = squares / count
        return chance

    def final_metrics(self) -> dict[str, float]:
        """Gives the Fréchet distance of samples, beside those of test images and of noise."""
        if not self.frechet_samples:
            return {}
        return quality(self, self.frechet_samples)

    def draws_progress(self, step: int) -> bool:
        """Says whether a validation is the first one after another `sample_every` steps."""
        trainer, every = self.trainer, self.sample_every
        before = step - trainer.val_check_interval // trainer.accumulate_grad_batches
        return bool(every) and step // every != before // every

    def progress_figures(self, step: int) -> dict[str, Figure]:
        """Draws samples."""
        return {f"samples_{step:06d}": figure(self, SHOWN, f"samples at step {step}")}

    def figures(self, title: str) -> dict[str, Figure]:
        """Draws samples of the trained model, and training images."""
        from tasks.training.image_plots import sheet_figure

        made = figure(self, SHOWN, f"samples: {title}")
        real = self.data.images[self.data.train[:SHOWN]]
        return {"samples": made, "data": sheet_figure(real, "training images")}
