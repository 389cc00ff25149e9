"""Nets as they are written every day: masks, gates, answers in [0, 1], heads beside the main one.

Each function gives a net, a batch that it can learn by heart, and its loss.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

USUAL = {}


def usual(name, **options):
    """Registers a function under a name, with options."""

    def register(function):
        USUAL[name] = lambda: function(**options)
        return function

    return register


def classified(net, batch):
    x, labels = batch
    return F.cross_entropy(net(x).float().flatten(0, -2), labels.flatten())


def rows(width=16, classes=3, count=64):
    return torch.randn(count, width), torch.randint(classes, (count,))


def words(count=8, length=20, vocabulary=50):
    return torch.randint(vocabulary, (2, count, length)).unbind()


class Masked(nn.Module):
    """Causal attention by hand, whose mask fills a value into the scores, or adds it."""

    def __init__(self, value, added=False, width=32):
        super().__init__()
        self.words, self.norm = nn.Embedding(50, width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.head, self.value, self.added = nn.Linear(width, 50), value, added

    def forward(self, x):
        x = self.words(x)
        y = self.norm(x)
        scores = self.q(y) @ self.k(y).mT / math.sqrt(x.shape[-1])
        later = torch.ones(scores.shape[-2:]).triu(1).bool()
        if self.added:
            scores = scores + torch.where(later, self.value, 0.0)
        else:
            scores = scores.masked_fill(later, self.value)
        return self.head(x + self.out(scores.softmax(-1) @ self.v(y)))


@usual("mask of -1e9", value=-1e9)
@usual("mask of the least number", value=torch.finfo(torch.float32).min)
@usual("mask that is added", value=-1e9, added=True)
def masked(**options):
    return Masked(**options), words(), classified


@usual("infinite mask in half precision")
def infinite_mask():
    def half(net, batch):
        with torch.autocast("cpu", torch.float16):
            return classified(net, batch)

    return Masked(-math.inf), words(), half


@usual("attention of transformers by hand")
def eager():
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 50, "n_positions": 32}
    net = GPT2LMHeadModel(GPT2Config(attn_implementation="eager", use_cache=False, **sizes))
    return net, words(), lambda net, batch: classified(lambda x: net(x).logits, batch)


class Overwritten(nn.Linear):
    """A layer that writes over a tensor of large numbers."""

    def forward(self, x):
        out = torch.full((len(x), self.out_features), 1e9)
        out[:] = super().forward(x)
        return out


@usual("large constant that is overwritten")
def overwritten():
    return Overwritten(16, 3), rows(), classified


@usual("raw inputs before a norm")
def raw():
    x, labels = rows()
    return nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 3)), (1e6 * x, labels), classified


@usual("answers in [0, 1]")
def many_labels():
    net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 10), nn.Sigmoid())
    labels = F.one_hot(torch.randint(10, (64,)), 10).float()
    return net, (torch.randn(64, 16), labels), bounded


def bounded(net, batch):
    return F.binary_cross_entropy(net(batch[0]), batch[1])


@usual("masks of images")
def segmented():
    width = 8
    net = nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.Sigmoid(),
    )  # fmt: skip
    x = (F.interpolate(torch.rand(16, 1, 4, 4), scale_factor=4.0) > 0.8).float()

    def dice(net, batch):
        p, y = net(batch[0]), batch[1].expand(-1, width, -1, -1)
        return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)

    return net, (x + 0.1 * torch.randn_like(x), x), dice


class TwoHeads(nn.Module):
    """A perceptron whose last function is a head that counts little."""

    def __init__(self, width=32, norm=nn.Identity):
        super().__init__()
        layers = [part for _ in range(4) for part in (nn.Linear(width, width), norm(), nn.ReLU())]
        self.body = nn.Sequential(*layers)
        self.main, self.beside = nn.Linear(width, 3), nn.Linear(width, width)

    def forward(self, x):
        x = self.body(x)
        return self.main(x), self.beside(x)


@usual("head of little weight", weight=1e-4)
@usual("head of next to no weight", weight=1e-6)
def two_heads(weight):
    def loss(net, batch):
        main, beside = net(batch[0])
        return F.cross_entropy(main, batch[1]) + weight * F.mse_loss(beside, batch[0])

    return TwoHeads(norm=lambda: nn.LayerNorm(32)), rows(32), loss


@usual("penalty on a gradient")
def penalised():
    net = nn.Sequential(
        nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2),
        nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1),
    )  # fmt: skip

    def loss(net, batch):
        x = batch[0].clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
        return (
            net(x.detach()).mean()
            - net(batch[1]).mean()
            + 10 * (slope.norm(2, 1) - 1).square().mean()
        )

    return net, (torch.rand(64, 16), 1 + torch.rand(64, 16)), loss


class Scaled(nn.Module):
    """A regression of one number, with a learned scale and shift."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
        )
        self.scale, self.shift = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.net(x) * self.scale + self.shift


@usual("regression of one number")
def regression():
    x = torch.randn(64, 16)
    return Scaled(), (x, x[:, :1]), lambda net, batch: F.mse_loss(net(batch[0]), batch[1])


@usual("large vocabulary", size=20_000)
@usual("larger vocabulary", size=128_000)
def vocabulary(size):
    return nn.Linear(16, size), rows(16, size, 32), classified


@usual("head of zeros", layers=2)
@usual("deep net with a head of zeros", layers=6)
def zero_head(layers):
    parts = [part for _ in range(layers) for part in (nn.Linear(16, 16), nn.LeakyReLU())]
    net = nn.Sequential(*parts, nn.Linear(16, 3))
    nn.init.zeros_(net[-1].weight)
    return net, rows(), classified


class Skipped(nn.Module):
    """x + branch(x), or in some passes x alone."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        if self.training and torch.rand(()) < 0.3:
            return x
        return x + self.two(F.relu(self.one(x)))


@usual("blocks left out at random")
def stochastic():
    return nn.Sequential(*[Skipped(16) for _ in range(8)], nn.Linear(16, 3)), rows(), classified


class Experts(nn.Module):
    """x + the expert that a router chooses for each row."""

    def __init__(self, width, experts=8):
        super().__init__()
        self.router, self.norm = nn.Linear(width, experts), nn.LayerNorm(width)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            for _ in range(experts)
        )

    def forward(self, x):
        y = self.norm(x)
        share, chosen = self.router(y).softmax(-1).max(-1)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            if (rows := chosen == number).any():
                out[rows] = expert(y[rows]) * share[rows, None]
        return x + out


@usual("experts that are chosen")
def experts():
    return (
        nn.Sequential(nn.Linear(16, 32), *[Experts(32) for _ in range(4)], nn.Linear(32, 3)),
        rows(),
        classified,
    )


class Gated(nn.Module):
    """x + gate(x) branch(x)."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.one, self.two, self.gate = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x):
        y = self.norm(x)
        return x + torch.sigmoid(self.gate(y)) * self.two(F.relu(self.one(y)))


class Highway(nn.Module):
    """t branch(x) + (1 - t) x."""

    def __init__(self, width):
        super().__init__()
        self.one, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, -2)

    def forward(self, x):
        share = torch.sigmoid(self.gate(x))
        return share * F.relu(self.one(x)) + (1 - share) * x


class Modulated(nn.Module):
    """A layer whose units are scaled and shifted by others."""

    def __init__(self, width):
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)
        self.change = nn.Linear(width, 2 * width)

    def forward(self, x):
        scale, shift = self.change(x).chunk(2, -1)
        return self.two(F.relu(self.one(x) * (1 + scale) + shift))


class Parallel(nn.Module):
    """x + attention(norm(x)) + units(norm(x))."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.units = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        y = self.norm(x)
        scores = self.q(y) @ self.k(y).mT / math.sqrt(x.shape[-1])
        return x + self.head(scores.softmax(-1) @ self.v(y)) + self.units(y)


@usual("gates", block=Gated)
@usual("highways", block=Highway)
@usual("modulated layers", block=Modulated)
def blocks(block):
    count = 4 if block is Modulated else 6
    return nn.Sequential(*[block(16) for _ in range(count)], nn.Linear(16, 3)), rows(), classified


@usual("parallel branches")
def parallel():
    body = [Parallel(32) for _ in range(4)]
    net = nn.Sequential(nn.Embedding(50, 32), *body, nn.LayerNorm(32), nn.Linear(32, 50))
    return net, words(), classified


class Shared(nn.Module):
    """One block, several times."""

    def __init__(self, width=16, times=8):
        super().__init__()
        self.block, self.head, self.times = Gated(width), nn.Linear(width, 3), times

    def forward(self, x):
        for _ in range(self.times):
            x = self.block(x)
        return self.head(x)


@usual("one block eight times")
def shared():
    return Shared(), rows(), classified


class Pairs(nn.Module):
    """Two towers whose vectors are compared."""

    def __init__(self):
        super().__init__()
        self.one, self.two = (
            nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8)) for _ in range(2)
        )
        self.scale = nn.Parameter(torch.tensor([2.65]))

    def forward(self, x, y):
        x, y = F.normalize(self.one(x), dim=-1), F.normalize(self.two(y), dim=-1)
        return x @ y.T * self.scale.exp()


@usual("two towers")
def towers():
    x = torch.randn(64, 16)
    return Pairs(), (x, x.flip(1)), lambda net, b: F.cross_entropy(net(*b), torch.arange(len(x)))


@usual("large images, mean", pool=nn.AdaptiveAvgPool2d)
@usual("large images, maximum", pool=nn.AdaptiveMaxPool2d)
def large_images(pool):
    parts, channels = [], 3
    for width in (8, 8, 16, 16):
        parts += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        parts += [nn.ReLU()] + ([nn.MaxPool2d(2)] if width == channels else [])
        channels = width
    net = nn.Sequential(*parts, pool(1), nn.Flatten(), nn.Linear(channels, 2))
    return net, (torch.randn(4, 3, 96, 96), torch.arange(4) % 2), classified
