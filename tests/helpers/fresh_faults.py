"""Faults of numbers, units and gradients in nets on which no limit was set."""

from functools import partial

import torch
from fresh_nets import Apply, GatedUnits, fresh, perceptron, text
from sick_nets import After, case, ours, spoilt
from torch import nn
from torch.nn import functional as F

FRESH_CASES = []
fresh_case = partial(case, cases=FRESH_CASES)


def made(name, *words, **options):
    """A net of this project under some words, or another with some options."""
    tasks = ("cnn", "unet", "transformer", "gnn", "diffusion")
    return ours(name, *words) if name in tasks else fresh(name, **options)


def scaled(net, factor, *kinds):
    """The net with all its matrices, or those of some kinds of layers, multiplied."""
    with torch.no_grad():
        for module in net.modules():
            for p in module.parameters(recurse=False):
                if p.ndim > 1 and (not kinds or isinstance(module, kinds)):
                    p *= factor
    return net


def without_norms(net, *kinds):
    """The net with the identity in the place of its norms."""
    for module in net.modules():
        for name, part in module.named_children():
            if isinstance(part, kinds):
                setattr(module, name, nn.Identity())
    return net


@fresh_case("non_finite", "vgg", "perceptron", "cnn")
def blank_pixels(name):
    """Every pixel over its deviation in the batch, and some are always blank."""
    net, batch, loss = made(name)
    path = {"cnn": "model.stem"}.get(name, "0")
    standard = Apply(lambda x: (x - x.mean(0)) / x.std(0))
    return spoilt(net, path, lambda m: nn.Sequential(standard, m)), batch, loss, None, path


@fresh_case("non_finite", "vit")
def all_masked(name):
    net, batch, loss = made(name)
    net[2].branch[1].mask = torch.full((8, 8), -torch.inf)
    return net, batch, loss, None, "2.branch.1"


INFINITE = {
    "gpt2": "transformer.h.1.ln_1.weight",
    "sage": "convs.1.lin_l.weight",
    "convnext": "3.branch.1.parts.1.weight",
    "unet": "model.head.weight",
}


@fresh_case("non_finite", *INFINITE)
def infinite_weight(name):
    net, batch, loss = made(name)
    net.get_parameter(INFINITE[name]).data.view(-1)[-1] = torch.inf
    return net, batch, loss, None, INFINITE[name]


@fresh_case("non_finite", "gru", "gat", "transformer")
def logarithm_of_zero(name):
    net, batch, loss = made(name)

    def lost(net, batch):
        value = loss(net, batch)
        return value + 0.1 * (value - value).log()

    return net, batch, lost, None, None


@fresh_case("non_finite", "mixer", "gin", "preact")
def root_of_a_distance(name):
    net, batch, _ = made(name)

    def distant(net, batch):
        out = net(*batch[:-1])
        return F.cross_entropy(out, batch[-1]) + (out - out).square().sum(-1).sqrt().mean()

    return net, batch, distant, None, None


@fresh_case("exploding_activations", "preact", "unet2d", "gat")
def raw_inputs(name):
    net, (x, *rest), loss = made(name)
    return net, (1e7 * x, *rest), loss, None, None


@fresh_case("exploding_activations", "perceptron", "sage", "torch_encoder", "cnn")
def large_start(name):
    if name == "cnn":
        net, batch, loss = ours("cnn", "norm=none", "model.depth=44", "model.width=8")
        scaled(net, 3, nn.Conv2d)
    elif name == "perceptron":
        net, batch, loss = fresh(name, width=48, layers=20, act=nn.ReLU)
        scaled(net, 6, nn.Linear)
    elif name == "sage":
        net, batch, loss = fresh(name, layers=10)
        scaled(net, 8)
    else:
        net, batch, loss = fresh(name, layers=6)
        scaled(without_norms(net, nn.LayerNorm), 3.5)
    return net, batch, loss, None, None


@fresh_case("fp16_overflow", "vit")
def squares_in_half(name):
    """A norm by hand squares what lies in range; nothing but a zero comes of it."""
    net, (x, labels), loss = made(name)
    net[0].weight.data *= 900
    return net.half(), (x.half(), labels), loss, None, "2.branch.0"


@fresh_case("fp16_overflow", "gpt2")
def large_embedding(name):
    net, batch, loss = made(name)
    weight = net.transformer.wte.weight
    weight.data *= 4.5e4 / weight.data[text()[0].unique()].abs().max()
    net.lm_head.weight = nn.Parameter(0.02 * torch.randn(weight.shape))
    return net.half(), batch, loss, None, "transformer.wte"


@fresh_case("fp16_overflow", "transformer", "cnn", "mixer", "torch_encoder")
def loud_branch_under_autocast(name):
    net, batch, loss = made(name)
    path = {"mixer": "3.branch.1", "torch_encoder": "2.layers.1.linear2"}.get(
        name, "model.body.branches.0"
    )
    spoilt(net, path, lambda m: After(m, lambda y: y * (5e4 / y.abs().max().float()).to(y.dtype)))

    def half(net, batch):
        with torch.autocast("cpu", torch.float16):
            return loss(net, batch)

    return net, batch, half, None, path


@fresh_case("dead_units", "perceptron", "sage", "vgg")
def one_giant_step(name):
    options = {"layers": 3, "act": nn.ReLU} if name != "sage" else {"layers": 3}
    if name == "vgg":
        options |= {"norm": lambda c: nn.Identity(), "bias": True}
    net, batch, loss = fresh(name, **options)
    loss(net, batch).backward()
    with torch.no_grad():
        for p in net.parameters():
            p -= 300 * p.grad if p.ndim > 1 else 300 * p.grad.abs() / p.grad.abs().max()
            p.grad = None
    return net, batch, loss, None, None


SHIFTED = {
    "mobile": "4.branch.1",
    "deep_layers": "convs.2.norm",
    "unet": "model.body.inner.net.enter.branches.0.norm0",
    "gpt2": "transformer.h.1.mlp.c_fc",
}


@fresh_case("dead_units", *SHIFTED)
def far_below_zero(name):
    net, batch, loss = made(name, **({"activation_function": "relu"} if name == "gpt2" else {}))
    bias = net.get_submodule(SHIFTED[name]).bias
    bias.data[: len(bias) * 3 // 4] = -40.0
    return net, batch, loss, None, SHIFTED[name].rpartition(".")[0]


@fresh_case("saturated_units", "perceptron", "deep_layers", "torch_encoder")
def loud_tanh(name):
    if name == "perceptron":
        net, (x, labels), loss = fresh(name)
        return net, (255 * x, labels), loss, None, None
    if name == "torch_encoder":
        net, batch, loss = fresh(name, activation=torch.tanh)
        net[2].layers[1].linear1.weight.data *= 300
        return net, batch, loss, None, "2.layers.1"
    net, batch, loss = fresh(name, act=nn.Tanh)
    net.convs[2].norm.weight.data *= 1000
    return net, batch, loss, None, "convs.2"


@fresh_case("saturated_units", "mobile", "cnn", "gnn")
def gates_of_one(name):
    net, batch, loss = made(name, "connection=highway", "model.width=8")
    if name == "mobile":
        net[4].branch[6].two.bias.data.fill_(40.0)
        return net, batch, loss, None, "4.branch.6"
    for key, p in net.named_parameters():
        if "sites" in key and key.endswith("bias"):
            p.data.fill_(40.0)
    return net, batch, loss, None, "model.body.sites"


@fresh_case("vanishing_gradients", "vgg", "gru", "sage", "gat", "cnn", "transformer", "gnn")
def lost_on_the_way(name):
    if name == "vgg":  # the start of PyTorch's convolutions
        net, batch, loss = fresh(name, layers=22, norm=lambda c: nn.Identity())
    elif name == "gru":
        net, (x, labels), loss = fresh(name)
        net.cell.weight_hh.data *= 0.1
        return net, (x.repeat(1, 6, 1), labels), loss, None, "cell"
    elif name == "sage":
        net, batch, loss = fresh(name, layers=14, act=torch.sigmoid)
    elif name == "gat":
        net, batch, loss = fresh(name, layers=14)
        net.way = lambda x, y: torch.tanh(y)
        scaled(net, 0.3)
    elif name == "cnn":
        net, batch, loss = ours(name, "connection=plain", "norm=none", "model.depth=44")
        scaled(net, 0.5, nn.Conv2d)
    elif name == "gnn":
        net, batch, loss = ours(name, "connection=plain", "norm=none", "model.depth=24")
        scaled(net.model.body, 0.5)
    else:
        words = ("connection=scaled", "connection.state=0.5", "connection.exponent=0")
        net, batch, loss = ours(name, *words, "model.depth=20", "norm=none")
    return net, batch, loss, None, None


@fresh_case("exploding_gradients", "vgg", "sage", "gat", "gnn", "transformer")
def grown_on_the_way(name):
    if name == "vgg":
        net, batch, loss = fresh(name, layers=16, norm=lambda c: nn.Identity(), act=nn.GELU)
        scaled(net, 6, nn.Conv2d)
    elif name in ("sage", "gat"):
        net, batch, loss = fresh(name, layers=12)
        net.way = lambda x, y: torch.relu(y)
        scaled(net, 4)
    elif name == "gnn":
        net, batch, loss = ours(name, "connection=plain", "norm=none", "model.depth=20")
        scaled(net.model.body, 4)
    else:
        net, batch, loss = ours(name, "connection=plain", "norm=none", "model.depth=6")
        scaled(net.model.body, 22, nn.Linear)
    return net, batch, loss, None, None


@fresh_case("equal_units", "perceptron", "sage", "vit")
def all_zero(name):
    net, batch, loss = made(name)
    unit = next((m for m in net.modules() if isinstance(m, GatedUnits)), net)
    for p in unit.parameters():
        p.data.zero_()
    return net, batch, loss, None, "3.branch.1" if name == "vit" else None


@fresh_case("equal_units", "gpt2", "gnn", "transformer", "lstm")
def all_alike(name):
    net, batch, loss = made(name, "model.dropout=0")
    for key, p in net.named_parameters():
        if (p.ndim > 1 or name == "lstm") and not any(x in key for x in ("stem", "wte", "wpe")):
            p.data.fill_(0.02)
    return net.eval(), batch, loss, None, None


@fresh_case("equal_units", "wide", "encoder")
def copied_units(name):
    """A net made twice as wide by a copy of every unit, so that the two never part."""
    net, batch, loss = fresh("torch_encoder") if name == "encoder" else (
        perceptron(act=nn.ReLU), *fresh("perceptron")[1:]
    )  # fmt: skip
    one, two = (net[2].layers[1].linear1, net[2].layers[1].linear2) if name == "encoder" else (
        net[3], net[5]
    )  # fmt: skip
    half = len(one.weight) // 2
    for p in (one.weight, one.bias, two.weight.T):
        p.data[half:] = p.data[:half]
    return net.eval(), batch, loss, None, "2.layers.1.linear1" if name == "encoder" else "3"
