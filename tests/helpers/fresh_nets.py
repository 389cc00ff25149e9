"""Nets, written by hand and of other libraries, on which no limit of a diagnosis was set.

Each comes with a batch that it can learn and its loss.
"""

import math
from pydoc_data.topics import topics

import torch
from torch import nn
from torch.nn import functional as F

from tasks.data.images.digits import digits_rows


def images(count=96):
    """Digits `[B, 1, 8, 8]` and their labels."""
    rows = digits_rows()[torch.randperm(1797)[:count]].float()
    return (rows[:, :64] / 8 - 1).view(-1, 1, 8, 8), rows[:, 64].long()


def tokens(count=96):
    """Digits as eight tokens of eight features `[B, 8, 8]`, and their labels."""
    x, labels = images(count)
    return x.squeeze(1), labels


def graph(count=120):
    """Nodes of three communities with noisy features, edges mostly within, and their labels."""
    labels = torch.arange(count) % 3
    pairs = torch.randint(count, (2, 12 * count))
    kept = (labels[pairs[0]] == labels[pairs[1]]) | (torch.rand(pairs.shape[1]) < 0.1)
    edges = pairs[:, kept & (pairs[0] != pairs[1])]
    x = F.one_hot(labels, 8) + torch.randn(count, 8)
    return x, torch.cat([edges, edges.flip(0)], 1), labels


def text(count=16, length=24):
    """Pieces of English with what follows each character, `[B, T]` both."""
    codes = torch.tensor([min(ord(c), 127) for c in topics["class"] + topics["import"]])
    starts = torch.randint(len(codes) - length - 1, (count, 1))
    pieces = codes[starts + torch.arange(length + 1)]
    return pieces[:, :-1], pieces[:, 1:]


def noise(count=24):
    """Noisy digits with their level, and the noise."""
    x, _ = images(count)
    level, drawn = torch.randint(100, (count,)), torch.randn_like(x)
    share = (level / 100).view(-1, 1, 1, 1)
    return (1 - share).sqrt() * x + share.sqrt() * drawn, level, drawn


def cross_entropy(net, batch):
    *inputs, labels = batch
    out = net(*inputs)
    return F.cross_entropy(getattr(out, "logits", out).flatten(0, -2), labels.flatten())


def squared_error(net, batch):
    *inputs, target = batch
    out = net(*inputs)
    return F.mse_loss(getattr(out, "sample", out), target)


class Residual(nn.Module):
    """x + branch(x)."""

    def __init__(self, *parts):
        super().__init__()
        self.branch = nn.Sequential(*parts)

    def forward(self, x):
        return x + self.branch(x)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class RootMeanSquare(nn.Module):
    """A norm by hand."""

    def __init__(self, width):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.scale * x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


class SelfAttention(nn.Module):
    """Attention of all heads by hand; `mask` is added to its scores."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.mask = heads, 0.0
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).mT.transpose(1, 3).mT
                   for f in (self.q, self.k, self.v))  # fmt: skip
        weights = (q @ k.mT / math.sqrt(q.shape[-1]) + self.mask).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))


class GatedUnits(nn.Module):
    """SwiGLU."""

    def __init__(self, width, hidden):
        super().__init__()
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class SqueezeExcite(nn.Module):
    """Channels weighted by what all of them say."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = nn.Conv2d(width, 8, 1), nn.Conv2d(8, width, 1)

    def forward(self, x):
        return x * self.two(F.silu(self.one(x.mean((2, 3), keepdim=True)))).sigmoid()


class ChannelsLast(nn.Module):
    """A function of the last axis on the channels of images."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.Sequential(*parts)

    def forward(self, x):
        return self.parts(x.movedim(1, -1)).movedim(-1, 1)


class Scale(nn.Module):
    """The learned small factors of ConvNeXt's branches."""

    def __init__(self, width, value):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width, 1, 1), value))

    def forward(self, x):
        return self.gamma * x


class Recurrent(nn.Module):
    """A cell over the tokens, whose last state is read."""

    def __init__(self, cell, width=24):
        super().__init__()
        self.cell, self.head = cell(8, width), nn.Linear(width, 10)

    def forward(self, x):
        state = None
        for token in x.unbind(1):
            state = self.cell(token, state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class Dense(nn.Module):
    """Layers that append to what they read."""

    def __init__(self, width=8, layers=4):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width + 6 * i), nn.ReLU(),
                          nn.Conv2d(width + 6 * i, 6, 3, padding=1, bias=False))
            for i in range(layers)
        )  # fmt: skip
        self.head = nn.Linear(width + 6 * layers, 10)

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.head(x.mean((2, 3)))


class HandUNet(nn.Module):
    """Two levels with one long skip, and the level of noise as a channel."""

    def __init__(self, width=12):
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(2, width, 3, padding=1), nn.GroupNorm(3, width))
        self.inner = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.GroupNorm(3, 2 * width), nn.SiLU(),
            nn.ConvTranspose2d(2 * width, width, 2, 2),
        )  # fmt: skip
        self.leave = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, 1, 3, padding=1)
        )

    def forward(self, x, level):
        level = (level / 50 - 1).view(-1, 1, 1, 1).expand_as(x)
        x = self.enter(torch.cat([x, level], 1))
        return self.leave(torch.cat([x, self.inner(F.silu(x))], 1))


class GraphStack(nn.Module):
    """Convolutions of PyG, added to a stream or one after the other.

    Args:
        convs: each takes nodes `[N, C]` and edges.
        way: what is made of the old value and the new one.
    """

    def __init__(self, width, convs, way):
        super().__init__()
        self.stem, self.head = nn.Linear(8, width), nn.Linear(width, 3)
        self.convs, self.way = nn.ModuleList(convs), way

    def forward(self, x, edges):
        x = self.stem(x)
        for conv in self.convs:
            x = self.way(x, conv(x, edges))
        return self.head(x)


class DeepLayers(GraphStack):
    """PyG's `DeepGCNLayer`."""

    def __init__(self, width=12, layers=5, block="res+", act=nn.ReLU):
        from torch_geometric.nn import DeepGCNLayer, GENConv, LayerNorm

        convs = [
            DeepGCNLayer(GENConv(width, width, num_layers=1), LayerNorm(width), act(), block)
            for _ in range(layers)
        ]
        super().__init__(width, convs, lambda _, y: y)


def preact(width=12, blocks=5, act=nn.SiLU, norm=lambda c: nn.GroupNorm(4, c)):
    def conv():
        return nn.Conv2d(width, width, 3, padding=1, bias=False)

    body = [Residual(norm(width), act(), conv(), norm(width), act(), conv()) for _ in range(blocks)]
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), *body, norm(width), act(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(width, 10),
    )  # fmt: skip


def vgg(width=16, layers=5, act=nn.ReLU, norm=nn.BatchNorm2d, bias=False):
    parts = [nn.Conv2d(1, width, 3, padding=1, bias=bias), norm(width), act()]
    for _ in range(layers - 1):
        parts += [nn.Conv2d(width, width, 3, padding=1, bias=bias), norm(width), act()]
    return nn.Sequential(*parts, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(width, 10))


def mixer(width=16, blocks=4, act=nn.GELU, norm=nn.LayerNorm):
    class Transposed(nn.Sequential):
        def forward(self, x):
            return super().forward(x.mT).mT

    body = []
    for _ in range(blocks):
        across = Transposed(nn.Linear(8, 24), act(), nn.Linear(24, 8))
        body.append(Residual(norm(width), across))
        body.append(
            Residual(norm(width), nn.Linear(width, 2 * width), act(), nn.Linear(2 * width, width))
        )
    return pooled(nn.Linear(8, width), *body, norm(width), width=width)


def pooled(*parts, width):
    return nn.Sequential(*parts, Apply(lambda x: x.mean(1)), nn.Linear(width, 10))


class Positions(nn.Module):
    """A learned vector for every token."""

    def __init__(self, width):
        super().__init__()
        self.table = nn.Parameter(0.1 * torch.randn(8, width))

    def forward(self, x):
        return x + self.table


def vit(width=16, blocks=3):
    body = []
    for _ in range(blocks):
        body += [
            Residual(RootMeanSquare(width), SelfAttention(width, 4)),
            Residual(RootMeanSquare(width), GatedUnits(width, 40)),
        ]
    return pooled(nn.Linear(8, width), Positions(width), *body, RootMeanSquare(width), width=width)


def convnext(width=12, blocks=4, gamma=1e-6):
    body = [
        Residual(
            nn.Conv2d(width, width, 5, padding=2, groups=width),
            ChannelsLast(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(),
                         nn.Linear(4 * width, width)),
            Scale(width, gamma),
        )
        for _ in range(blocks)
    ]  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(1, width, 2, 2), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.LayerNorm(width), nn.Linear(width, 10),
    )  # fmt: skip


def mobile(width=12, blocks=3):
    def norm(c):
        return nn.BatchNorm2d(c)

    hidden = 3 * width
    body = [
        Residual(
            nn.Conv2d(width, hidden, 1, bias=False), norm(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False), norm(hidden),
            nn.ReLU6(), SqueezeExcite(hidden),
            nn.Conv2d(hidden, width, 1, bias=False), norm(width),
        )
        for _ in range(blocks)
    ]  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False), norm(width), nn.ReLU6(), *body,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10),
    )  # fmt: skip


def perceptron(width=32, layers=4, act=nn.Tanh):
    parts = [nn.Flatten(), nn.Linear(64, width), act()]
    for _ in range(layers - 1):
        parts += [nn.Linear(width, width), act()]
    return nn.Sequential(*parts, nn.Linear(width, 10))


def torch_encoder(width=16, layers=3, norm_first=True, activation="gelu"):
    layer = nn.TransformerEncoderLayer(
        width, 4, 2 * width, 0.1, activation, batch_first=True, norm_first=norm_first
    )
    body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    for part in body.modules():  # the layers are copies of one
        if isinstance(part, nn.Linear):
            part.reset_parameters()
    return pooled(nn.Linear(8, width), Positions(width), body, width=width)


def gpt2(**options):
    from transformers import GPT2Config, GPT2LMHeadModel

    options = {"n_embd": 24, "n_layer": 3, "n_head": 3, **options}
    return GPT2LMHeadModel(GPT2Config(vocab_size=128, n_positions=32, use_cache=False, **options))


def llama(**options):
    from transformers import LlamaConfig, LlamaForCausalLM

    options = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, **options}
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=128, intermediate_size=48, use_cache=False, **options)
    )


def gat(width=16, layers=3):
    from torch_geometric.nn import GATConv

    convs = [GATConv(width, width // 4, 4) for _ in range(layers)]
    return GraphStack(width, convs, lambda x, y: x + F.elu(y))


def sage(width=16, layers=2, act=torch.relu):
    from torch_geometric.nn import SAGEConv

    return GraphStack(width, [SAGEConv(width, width) for _ in range(layers)], lambda _, y: act(y))


def gin(width=16, layers=2, bias=False):
    from torch_geometric.nn import GINConv

    def inner():
        return nn.Sequential(
            nn.Linear(width, width, bias=bias), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Linear(width, width),
        )  # fmt: skip

    return GraphStack(width, [GINConv(inner()) for _ in range(layers)], lambda x, y: x + y)


def unet2d(**options):
    from diffusers import UNet2DModel

    options = {"layers_per_block": 2, "block_out_channels": (8, 16), "act_fn": "silu", **options}
    return UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, norm_num_groups=2, attention_head_dim=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), **options,
    )  # fmt: skip


FRESH = {  # for each name the net, its data, its loss, and the library it is of
    "preact": (preact, images, cross_entropy, ""),
    "vgg": (vgg, images, cross_entropy, ""),
    "mixer": (mixer, tokens, cross_entropy, ""),
    "vit": (vit, tokens, cross_entropy, ""),
    "convnext": (convnext, images, cross_entropy, ""),
    "mobile": (mobile, images, cross_entropy, ""),
    "gru": (lambda **k: Recurrent(nn.GRUCell, **k), tokens, cross_entropy, ""),
    "lstm": (lambda **k: Recurrent(nn.LSTMCell, **k), tokens, cross_entropy, ""),
    "dense": (Dense, images, cross_entropy, ""),
    "perceptron": (perceptron, images, cross_entropy, ""),
    "hand_unet": (HandUNet, noise, squared_error, ""),
    "torch_encoder": (torch_encoder, tokens, cross_entropy, "torch"),
    "gpt2": (gpt2, text, cross_entropy, "transformers"),
    "llama": (llama, text, cross_entropy, "transformers"),
    "gat": (gat, graph, cross_entropy, "torch_geometric"),
    "sage": (sage, graph, cross_entropy, "torch_geometric"),
    "gin": (gin, graph, cross_entropy, "torch_geometric"),
    "deep_layers": (DeepLayers, graph, cross_entropy, "torch_geometric"),
    "unet2d": (unet2d, noise, squared_error, "diffusers"),
}


def fresh(name, **options):
    """A net with a batch and its loss."""
    make, data, loss, _ = FRESH[name]
    return make(**options), data(), loss
