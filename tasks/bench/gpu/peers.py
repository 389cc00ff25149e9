"""The nets of `bench of=gpu` that stand beside those of others."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.bench.gpu.clock import Net
from tasks.bench.gpu.nets import Make, adamw, gpt, on_tokens
from tasks.bench.gpu.sizes import Sizes
from tasks.bench.reference_graphs import Made, graph_models
from tasks.bench.reference_nets import GPT, WIDTHS, ResNet
from tasks.training.layout import LAST, channels_last
from zoo.connections.additive import Residual
from zoo.connections.projected import Concat
from zoo.models.cnn import CNN
from zoo.models.diffusion import Diffusion
from zoo.norm import Post, Pre


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


def graphs(sizes: Sizes, device: torch.device) -> dict[str, Make]:
    """GCNII on a graph of Cora's size, in float32: that of PyG and ours."""
    makes, y = graph_models(device, sizes.gcnii)

    def net(make: Callable[[], Made]) -> Net:
        model, x = make()

        def loss(model: nn.Module) -> Tensor:
            return F.cross_entropy(model(x), y)

        return Net(model, adamw(model), loss, len(y), "nodes", mixed=False)

    return {name: functools.partial(net, make) for name, make in makes.items()}


PEERS = {
    "GPT-2": transformers,
    "ResNet for small images": small_images,
    "ResNet-50": large_images,
    "DDPM": diffusions,
    "GCNII": graphs,
}
