"""Levels of noise as a diffusion run has them."""

import torch

from tasks.diffusion.noise_schedule import Noise


def levels(**given):
    options = {"schedule": "linear", "prediction": "epsilon", "variance": "fixed_small", **given}
    noise = Noise(timesteps=1000, **options)
    noise.to(torch.device("cpu"))
    return noise
