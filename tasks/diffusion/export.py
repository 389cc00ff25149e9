"""The export of diffusion runs to diffusers: a pipeline folder."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch

from tasks.data.phrases import shown
from tasks.diffusion.task import Denoising
from tasks.diffusion.unet2d import unet_of
from tasks.inference.files import new_files, output_folder, writing
from zoo.errors import ConfigError
from zoo.report import Report
from zoo.run_folder import RunFolder
from zoo.system.atomic import room_for

TOLERANCE = 1e-5
DEFAULT_STEPS = 1000  # that the pipelines of diffusers take
CLIPPED = "use_clipped_model_output=True"  # what `NoiseSchedule.sample` gives the scheduler


class ExportDiffusers:
    """Writes a folder that `DDPMPipeline.from_pretrained` loads.

    The written pipeline is loaded again and compared with the trained model before it counts. A
    `DDIMPipeline` of it samples as the verb `sample` does when it is called with
    `use_clipped_model_output=True`.

    Args:
        dir: a new folder for it; None: `export/diffusers` in the run folder, written again, in
            which other files stay as they are.
    """

    def __init__(self, dir: str | None = None):
        self.dir = dir

    def __call__(self, task: Denoising, folder: RunFolder) -> Report:
        target = output_folder(self.dir, folder.path / "export" / "diffusers", "dir")
        if self.dir is not None and target.exists():
            raise ConfigError("something lies there", f"dir={shown(target)}", "name a new folder")
        with new_files(target) as fresh:
            return self.export(task, target, fresh)

    def export(self, task: Denoising, target: Path, fresh: Path) -> Report:
        """Writes the pipeline into a fresh folder, and checks it there."""
        from diffusers import DDPMPipeline
        from diffusers.utils.logging import disable_progress_bar

        disable_progress_bar()
        task.cpu()  # where float32 is exact
        unet: Any = unet_of(task.model, task.images.shape[1:])
        size = sum(weight.nbytes for weight in unet.state_dict().values())
        with warnings.catch_warnings(), writing(target, "dir"), room_for(target, lambda: size):
            warnings.simplefilter("ignore")
            pipeline: Any = DDPMPipeline(unet, task.noise.sampler("ddpm"))
            save(pipeline, fresh)
            loaded = DDPMPipeline.from_pretrained(fresh, low_cpu_mem_usage=False).unet
        shape = (4, *task.images.shape[1:])
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(task.device)
        t = torch.linspace(0, task.noise.timesteps - 1, 4).long().to(task.device)
        ours, theirs = task.model(x, t), loaded.to(task.device)(x, t).sample
        difference = float((ours - theirs).abs().max() / ours.abs().max())
        if not difference <= TOLERANCE:
            what = f"the written pipeline differs by {difference:.1g}"
            raise ConfigError(what, str(target), "report this, with the run's config.yaml")
        record = {"export": shown(target), "difference": difference, "ddim": CLIPPED}
        text = f"{shown(target)}: equal to the trained model to {difference:.1g}"
        text += f"; a DDIMPipeline of it samples as scheduler=ddim does with {CLIPPED}"
        levels = task.noise.timesteps
        if levels < DEFAULT_STEPS:
            text += f"; call a pipeline with num_inference_steps={levels} or less"
        return Report(record, text)


def save(pipeline: Any, folder: Path) -> None:
    """Writes a pipeline; an error of the disk is raised as OSError, not as that of safetensors."""
    from safetensors import SafetensorError

    try:
        pipeline.save_pretrained(folder)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]), str(error)) if number else error from None
