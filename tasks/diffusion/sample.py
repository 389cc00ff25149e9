"""The verb `sample` of diffusion runs: images from noise."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le
from torch import Tensor

from tasks.data.phrases import shown
from tasks.diffusion.noise_schedule import Sampler
from tasks.diffusion.sampling import sampled
from tasks.diffusion.task import Denoising
from tasks.inference.files import output_folder, unused_path, writing
from tasks.training.image_plots import enlarged, sheet
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.atomic import atomic_write


class SampleImages:
    """Writes images of a trained network and a grid of them into a new folder of `samples/`.

    Args:
        count: of images.
        steps: that the sampler takes.
        scheduler: the sampler.
        seed: of the noise that the images begin with.
        label: name of the class of all images, for conditional models; null: each in turn.
        guidance: towards the class, for conditional models; 1: none beyond the model itself.
        dir: where the new folder is made; null: `samples` in the run folder.
    """

    def __init__(
        self,
        count: Annotated[int, Ge(1), Le(1_000_000)] = 64,
        steps: Annotated[int, Ge(1), Le(100_000)] = 50,
        scheduler: Sampler = "ddim",
        seed: Annotated[int, Ge(0)] = 0,
        label: str | int | None = None,
        guidance: Annotated[float, Ge(0)] = 1.0,
        dir: str | None = None,
    ):
        self.count, self.steps, self.scheduler, self.seed = count, steps, scheduler, seed
        self.label, self.guidance, self.dir = label, guidance, dir

    def __call__(self, task: Denoising, folder: RunFolder) -> Report:
        samples = output_folder(self.dir, folder.path / "samples", "dir")
        with writing(samples, "dir"):
            out = unused_path(samples, f"images-{self.seed}")
            out.mkdir(parents=True)
        try:
            images = self.images(task)
            with writing(out, "dir"):
                for number, image in enumerate(images):
                    save_image(image, out / f"{number:05d}.png")
                save_image(sheet(enlarged(images)), out / "grid.png")
        except BaseException:
            shutil.rmtree(out)
            raise
        record: dict[str, Any] = {"samples": str(out), "count": self.count, "seed": self.seed}
        return Report(record, f"{self.count} images: {shown(out / 'grid.png')}")

    def images(self, task: Denoising) -> Tensor:
        """Samples images `[count, C, H, W]` uint8; ConfigError for options that the run refuses."""
        label = self.class_number(task)
        if self.steps > task.noise.timesteps:
            what = f"steps={self.steps} are more than the {task.noise.timesteps} levels of noise"
            raise ConfigError(what, "sample", "give fewer")
        return sampled(
            task, self.count, self.seed, self.scheduler, self.steps, label, self.guidance
        )

    def class_number(self, task: Denoising) -> int | None:
        """The number of the class, None for all classes; ConfigError for one that is not known."""
        if self.label is None and self.guidance == 1:
            return None
        if not task.model.conditional:
            what = "the model knows no classes"
            raise ConfigError(what, "sample", "leave out label and guidance")
        if self.guidance != 1 and not task.drop_label:
            what = "the model was never trained without labels (task.drop_label=0)"
            raise ConfigError(what, f"guidance={self.guidance:g}", "leave guidance out")
        if task.drop_label == 1:
            what = "the model was never trained with labels (task.drop_label=1)"
            raise ConfigError(what, "sample", "leave out label and guidance")
        names = task.data.classes
        if self.label is not None and str(self.label) not in names:
            what = f"there is no class {self.label!r}"
            raise ConfigError(what, f"label={self.label}", f"choose from {', '.join(names)[:200]}")
        return None if self.label is None else names.index(str(self.label))


def save_image(image: Tensor, path: Path) -> None:
    """Writes an image `[C, H, W]` uint8 as a PNG, in grey or in colours."""
    from PIL import Image

    array = image.movedim(0, -1).numpy()
    file = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(file, "PNG")
    atomic_write(path, file.getvalue())
