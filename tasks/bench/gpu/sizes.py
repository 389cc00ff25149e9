"""How large the nets of `bench of=gpu` are, and the numbers of others that stand beside ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PEAKS = {  # TFLOP/s of dense products in bfloat16, by NVIDIA's data sheets; the first that fits
    "H200": 989.0,
    "H100 NVL": 835.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "RTX 4090": 165.0,
}
PUBLISHED = {  # throughput against pre-norm by hyper-connection-factory: 85M parameters, one H100
    "hyper": ("dynamic hyper-connections", 0.47),
    "hyper, static": ("static hyper-connections", 0.58),
    "mhc": ("mHC", 0.49),
    "attention": ("attention residuals", 0.66),
}
NOT_HERE = {"MUDD": 0.74, "Frac-connections": 0.78}  # likewise, of rules that this project lacks
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {"hyper, static": ("hyper", {"dynamic": False})}


@dataclass(frozen=True)
class Sizes:
    """The sizes of one sitting.

    Args:
        gpt: of the transformer whose rules are compared.
        gpt_batch: its texts in a batch.
        gpt2: of the transformer that stands beside other projects.
        gpt2_batch: its texts.
        resnet: layers of the ResNet for small images.
        large_images: batch and side of the images of ResNet-50.
        ddpm: of the diffusion net, and its batch of 32x32 images.
        gcnii: layers of the graph net, whose graph is of Cora's size.
        steps: that are timed of each net.
        warmup: that come before.
        words: what every `fit` is told.
        cycle: steps of `fit` and of the bare loop, in turn.
        blocks: of these.
        compiled: rules that are measured compiled as well; None: all.
    """

    gpt: dict[str, int]
    gpt_batch: int
    gpt2: dict[str, int]
    gpt2_batch: int
    resnet: int
    large_images: tuple[int, int]
    ddpm: tuple[dict[str, Any], int]
    gcnii: int
    steps: int
    warmup: int
    words: dict[str, list[str]] = field(default_factory=dict)
    cycle: int = 40
    blocks: int = 6
    compiled: tuple[str, ...] | None = None


GPT = {"depth": 12, "width": 768, "heads": 12, "context": 1024}
FULL = Sizes(
    gpt={**GPT, "vocabulary": 256},  # 85 million parameters in the blocks
    gpt_batch=16,
    gpt2={**GPT, "vocabulary": 50304},  # as nanoGPT rounds 50257 up
    gpt2_batch=32,
    resnet=20,
    large_images=(256, 224),
    ddpm=({"depth": 4, "width": [128, 256, 256, 256], "blocks": 2, "groups": 32}, 128),
    gcnii=64,
    steps=10,
    warmup=3,
)
SMALL_GPT = {"depth": 1, "width": 8, "heads": 2, "context": 8, "vocabulary": 16}
TINY = Sizes(
    gpt=SMALL_GPT,
    gpt_batch=2,
    gpt2=SMALL_GPT,
    gpt2_batch=2,
    resnet=8,
    large_images=(2, 32),
    ddpm=({"depth": 2, "width": [8, 8], "blocks": 1, "groups": 4}, 2),
    gcnii=2,
    steps=2,
    warmup=1,
    words={
        "cnn": ["model.depth=4", "model.width=4"],
        "unet": ["model.depth=1", "model.width=4", "data.train=6", "data.val=2", "data.test=2"],
        "transformer": ["model.depth=1", "model.width=8", "data.val=0.002", "data.test=0.002"],
        "gnn": ["model.depth=2", "model.width=8", "data.nodes=60", "data.train=20", "data.val=20"],
        "diffusion": ["model.depth=1", "model.width=4"],
    },
    cycle=2,
    blocks=2,
    compiled=("hyper",),
)
SIZES = {"full": FULL, "tiny": TINY}


def peak_of(device: str) -> float | None:
    """The peak of a GPU in TFLOP/s by its name, None where it is not in the table."""
    return next((peak for name, peak in PEAKS.items() if name in device), None)
