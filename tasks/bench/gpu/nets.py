"""The nets of `bench of=gpu`: a transformer under every rule, and nets beside their peers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.bench.gpu.clock import Net
from tasks.bench.gpu.sizes import VARIANTS, Sizes
from tasks.bench.reference_nets import GPT, WIDTHS, ResNet
from tasks.training.compiling import compile_model
from tasks.training.layout import LAST, channels_last
from zoo.config import registry
from zoo.connection import Connect
from zoo.connections.additive import Residual
from zoo.connections.projected import Concat
from zoo.models.cnn import CNN
from zoo.models.diffusion import Diffusion
from zoo.models.transformer import Transformer
from zoo.norm import Post, Pre

Make = Callable[[], Net]


def rule(name: str) -> Connect:
    """The rule of a registered name or of a variant, at its defaults."""
    kind, options = VARIANTS.get(name, (name, {}))
    made: Connect = functools.partial(
        registry.resolve("connection", kind), **{**registry.options("connection", kind), **options}
    )
    return made


def compiled_by_write(model: nn.Module) -> None:
    """Compiles as `trainer.compile=true` does."""
    compile_model(model, True)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    """The fused optimiser that all nets here have."""
    return torch.optim.AdamW(model.parameters(), 1e-4, fused=True)


def on_tokens(sizes: dict[str, int], batch: int, device: torch.device) -> dict[str, Any]:
    """Loss and examples of a transformer on random tokens."""
    tokens = torch.randint(sizes["vocabulary"], (batch, sizes["context"] + 1), device=device)
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].flatten()

    def loss(model: nn.Module) -> Tensor:
        found = model(x)
        logits = getattr(found, "logits", found)
        return F.cross_entropy(logits.float().flatten(0, 1), y)

    return {"loss": loss, "examples": y.numel(), "unit": "tokens"}


def gpt(sizes: dict[str, int], batch: int, device: torch.device, name: str, compiled: bool) -> Net:
    """Our transformer under a rule."""
    model = Transformer(connect=rule(name), norm_placement=Pre(), **sizes).to(device)  # type: ignore[arg-type]
    prepare: Any = {"prepare": compiled_by_write} if compiled else {}
    return Net(model, adamw(model), **on_tokens(sizes, batch, device), **prepare)


def transformers(sizes: Sizes, device: torch.device) -> dict[str, Make]:
    """GPT-2: ours, the plainest one, and that of Hugging Face."""
    of, batch = sizes.gpt2, sizes.gpt2_batch

    def plain(compiled: bool = False) -> Net:
        model = GPT(**of).to(device)
        prepare: Any = {"prepare": lambda net: net.compile()} if compiled else {}
        return Net(model, adamw(model), **on_tokens(of, batch, device), **prepare)

    def hugging_face() -> Net:
        from transformers import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            vocab_size=of["vocabulary"],
            n_positions=of["context"],
            n_embd=of["width"],
            n_layer=of["depth"],
            n_head=of["heads"],
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
        model: Any = GPT2LMHeadModel(config)
        model = model.to(device).train()
        return Net(model, adamw(model), **on_tokens(of, batch, device))

    made: dict[str, Make] = {"plain PyTorch": plain}
    if find_spec("transformers"):
        made["transformers"] = hugging_face
    made["this project"] = functools.partial(gpt, of, batch, device, "residual", False)
    made["plain PyTorch, compiled whole"] = functools.partial(plain, True)
    made["this project, compiled"] = functools.partial(gpt, of, batch, device, "residual", True)
    return made


def on_images(model: nn.Module, batch: int, side: int, device: torch.device) -> Net:
    """A net that classifies random images, channels last, in ten classes."""
    model = model.to(device)
    channels_last(model)
    x = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=LAST)
    y = torch.arange(batch, device=device) % 10
    return Net(model, adamw(model), lambda net: F.cross_entropy(net(x).float(), y), batch, "images")


def small_images(sizes: Sizes, device: torch.device) -> dict[str, Make]:
    """The ResNet for CIFAR's shape: the plainest one and ours."""
    depth, batch = sizes.resnet, 128

    def ours() -> nn.Module:
        return CNN(3, 10, Residual, Post(), depth=depth, width=list(WIDTHS))

    return {
        "plain PyTorch": lambda: on_images(ResNet(depth), batch, 32, device),
        "this project": lambda: on_images(ours(), batch, 32, device),
    }


def large_images(sizes: Sizes, device: torch.device) -> dict[str, Make]:
    """ResNet-50: timm's and ours."""
    batch, side = sizes.large_images
    form: dict[str, Any] = {"form": "imagenet", "block": "bottleneck", "shortcut": "B"}
    made: dict[str, Make] = {}
    if find_spec("timm"):
        import timm

        made["timm"] = lambda: on_images(
            timm.create_model("resnet50", num_classes=10), batch, side, device
        )
    made["this project"] = lambda: on_images(
        CNN(3, 10, Residual, Post(), depth=50, width=[64, 128, 256, 512], **form),
        batch,
        side,
        device,
    )
    return made


def diffusions(sizes: Sizes, device: torch.device) -> dict[str, Make]:
    """DDPM's U-Net: that of diffusers and ours."""
    of, batch = sizes.ddpm
    x, t = torch.randn(batch, 3, 32, 32, device=device), torch.arange(batch, device=device)

    def net(model: nn.Module) -> Net:
        model = model.to(device)

        def loss(model: nn.Module) -> Tensor:
            found = model(x, t)
            return F.mse_loss(getattr(found, "sample", found).float(), x)

        return Net(model, adamw(model), loss, batch, "images")

    def theirs() -> nn.Module:
        from diffusers import UNet2DModel

        down = ["DownBlock2D"] * of["depth"]
        up = ["UpBlock2D"] * of["depth"]
        down[1], up[-2] = "AttnDownBlock2D", "AttnUpBlock2D"
        made: Any = UNet2DModel(
            sample_size=32,
            block_out_channels=tuple(of["width"]),
            layers_per_block=of["blocks"],
            down_block_types=tuple(down),
            up_block_types=tuple(up),
            norm_num_groups=of["groups"],
            attention_head_dim=None,
        )
        return cast(nn.Module, made)

    made: dict[str, Make] = {}
    if find_spec("diffusers"):
        made["diffusers"] = lambda: net(theirs())
    made["this project"] = lambda: net(
        Diffusion(3, None, Residual, Concat, Pre(), attention_at=[1], **of)
    )
    return made


PEERS = {
    "GPT-2": transformers,
    "ResNet for small images": small_images,
    "ResNet-50": large_images,
    "DDPM": diffusions,
}
