"""Levels of noise as a diffusion run has them."""

import torch

from tasks.diffusion.noise_schedule import NoiseSchedule


def levels(**given):
    options = {"schedule": "linear", "prediction": "epsilon", "variance": "fixed_small", **given}
    noise = NoiseSchedule(timesteps=1000, **options)
    noise.to(torch.device("cpu"))
    return noise
