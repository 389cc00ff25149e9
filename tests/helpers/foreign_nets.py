"""Nets that are not of this project: written by hand, and of other libraries."""

import torch
from torch import nn
from torch.nn import functional as F


class PostActivation(nn.Module):
    """The block of He et al. 2015: a sum, then a ReLU; a projection where the width changes."""

    def __init__(self, width, out, stride=1):
        super().__init__()
        self.one = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.two = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.down = None
        if stride > 1 or out != width:
            self.down = nn.Sequential(
                nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        skip = x if self.down is None else self.down(x)
        y = self.norm2(self.two(F.relu(self.norm1(self.one(x)))))
        y += skip
        return F.relu(y)


class SmallResNet(nn.Module):
    """A stem, blocks of two widths, and a head on images `[B, 1, 8, 8]`."""

    def __init__(self, blocks=3, classes=3):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        first = [PostActivation(8, 8) for _ in range(blocks)]
        self.blocks = nn.Sequential(*first, PostActivation(8, 16, 2), PostActivation(16, 16))
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class TanhGelu(nn.Module):
    """The GELU by hand, in whose sum both terms come from one value, but not by a branch."""

    def forward(self, x):
        return 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))


class SkipMLP(nn.Module):
    """Embedding with positions, and blocks x + W2 gelu(W1 norm(x)) on tokens `[B, T, C]`."""

    def __init__(self, width=8, blocks=4, tokens=5):
        super().__init__()
        self.embed = nn.Linear(width, width)
        self.position = nn.Parameter(torch.randn(1, tokens, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 2 * width),
                TanhGelu(),
                nn.Linear(2 * width, width),
            )
            for _ in range(blocks)
        )

    def forward(self, x):
        x = self.embed(x)
        x = x + self.position.expand_as(x)
        for block in self.blocks:
            x = x + block(x)
        return x


class DeepGCN(nn.Module):
    """Layers of PyG with `res+` on a graph."""

    def __init__(self, width=8, layers=3):
        from torch_geometric.nn import DeepGCNLayer, GCNConv, LayerNorm

        super().__init__()
        self.layers = nn.ModuleList(
            DeepGCNLayer(GCNConv(width, width), LayerNorm(width), nn.ReLU(), "res+", 0.1)
            for _ in range(layers)
        )

    def forward(self, x, edge_index):
        for layer in self.layers:
            x = layer(x, edge_index)
        return x


def encoder(layers=2, norm_first=True):
    """PyTorch's transformer on tokens `[B, T, 8]`."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def diffusion_unet():
    """The U-Net of diffusers on images `[B, 1, 8, 8]` and times `[B]`."""
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )


RING = torch.stack([torch.arange(16), (torch.arange(16) + 1) % 16])
FOREIGN = {  # for each name the net, a batch, and where it writes, in order
    "resnet": (
        SmallResNet,
        lambda: (torch.randn(4, 1, 8, 8),),
        [f"blocks.{i}" for i in range(5)],
    ),
    "mlp": (SkipMLP, lambda: (torch.randn(2, 5, 8),), [""] * 4),
    "encoder": (
        encoder,
        lambda: (torch.randn(2, 5, 8),),
        ["layers.0", "layers.0", "layers.1", "layers.1"],
    ),
    "post_norm": (
        lambda: encoder(1, norm_first=False),
        lambda: (torch.randn(2, 5, 8),),
        ["layers.0", "layers.0"],
    ),
    "deepgcn": (
        DeepGCN,
        lambda: (torch.randn(16, 8), RING),
        ["layers.0", "layers.1", "layers.2"],
    ),
    "diffusers": (
        diffusion_unet,
        lambda: (torch.randn(2, 1, 8, 8), torch.tensor([3, 4])),
        [
            "down_blocks.0.resnets.0",
            "down_blocks.1.resnets.0",
            "down_blocks.1.attentions.0",
            "mid_block.resnets.0",
            "mid_block.attentions.0",
            "mid_block.resnets.1",
            "up_blocks.0.resnets.0",
            "up_blocks.0.attentions.0",
            "up_blocks.0.resnets.1",
            "up_blocks.0.attentions.1",
            "up_blocks.1.resnets.0",
            "up_blocks.1.resnets.1",
        ],
    ),
}


def mean_size(net, batch):
    """The mean size of what a net makes of a batch: a loss for any of them."""
    out = net(*batch)
    return (out if isinstance(out, torch.Tensor) else out.sample).abs().mean()
