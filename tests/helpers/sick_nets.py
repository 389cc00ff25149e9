"""Nets with one planted fault each: for every cause some of this project and some of others.

A case gives a net, a batch, a loss, an optimiser or None, and where the fault is, or None where
it is in the whole net.
"""

import torch
from foreign_nets import RING, DeepGCN, SkipMLP, SmallResNet, diffusion_unet, encoder, mean_size
from small_domains import SMALL
from torch import nn

from tasks.training.build import build_task
from zoo.config.compose import load
from zoo.connections.additive import Plain

CASES = []  # of cause, name, function


def case(cause, *names, cases=CASES):
    """Registers a function, once for each net that it spoils."""

    def register(function):
        cases.extend((cause, name, function) for name in names)
        return function

    return register


def ours(task, *words):
    """A task of this project with a batch of its own training data and its loss."""
    words = [f"task={task}", *SMALL[task], "trainer.accelerator=cpu", *words]
    made = build_task(load(words)[0])
    made.setup("fit")
    return made, next(iter(made.train_loader())), lambda net, batch: net.loss(batch)


NETS = {
    "cnn": lambda: ours("cnn", "model.depth=14", "model.width=8"),
    "unet": lambda: ours("unet"),
    "transformer": lambda: ours("transformer"),
    "gnn": lambda: ours("gnn"),
    "diffusion": lambda: ours("diffusion"),
    "resnet": lambda: (SmallResNet(), (torch.randn(16, 1, 8, 8),), mean_size),
    "mlp": lambda: (SkipMLP(), (torch.randn(16, 5, 8),), mean_size),
    "encoder": lambda: (encoder(4), (torch.randn(16, 5, 8),), mean_size),
    "deepgcn": lambda: (DeepGCN(), (torch.randn(16, 8), RING), mean_size),
    "diffusers": lambda: (
        diffusion_unet(),
        (torch.randn(8, 1, 8, 8), torch.arange(8)),
        mean_size,
    ),
}
BRANCHES = {  # a module of a branch, whose output is what the branch writes or leads there
    "cnn": "model.body.branches.2",
    "transformer": "model.body.branches.2",
    "gnn": "model.body.branches.1",
    "resnet": "blocks.1.norm2",
    "mlp": "blocks.2",
    "encoder": "layers.1.linear2",
    "deepgcn": "layers.1.conv",
    "diffusers": "mid_block.resnets.0.conv2",
}
BLOCKS = {  # a block that keeps its shape
    "mlp": "blocks.2",
    "encoder": "layers.1",
    "deepgcn": "layers.1",
    "resnet": "blocks.1",
    "gnn": "model.body.branches.1",
    "transformer": "model.body.branches.2",
    "cnn": "model.body.branches.2",
}


class After(nn.Module):
    """A module, and a function of what it gives."""

    def __init__(self, inner, function):
        super().__init__()
        self.inner, self.function = inner, function

    def forward(self, *args, **kwargs):
        return self.function(self.inner(*args, **kwargs))


class WithInput(After):
    """A module, and a function of what it takes and gives."""

    def forward(self, x, *args, **kwargs):
        return self.function(x, self.inner(x, *args, **kwargs))


def spoilt(net, path, change):
    """The net with another module at a path."""
    parent, _, name = path.rpartition(".")
    setattr(net.get_submodule(parent), name, change(net.get_submodule(path)))
    return net


def with_branch(name, function):
    """A net whose branch gives a function of what it gave, and where."""
    net, batch, loss = NETS[name]()
    return (
        spoilt(net, BRANCHES[name], lambda m: After(m, function)),
        batch,
        loss,
        None,
        BRANCHES[name],
    )


@case("non_finite", *BRANCHES)
def logarithm(name):
    return with_branch(name, lambda y: (y - y.abs().max()).log())


@case("non_finite", "mlp", "encoder", "gnn", "diffusers")
def lost_weights(name):
    net, batch, loss = NETS[name]()
    key, weight = list(net.named_parameters())[3]
    weight.data.view(-1)[0] = torch.nan
    return net, batch, loss, None, key


@case("non_finite", "mlp", "encoder", "resnet")
def steep_root(name):
    return with_branch(name, lambda y: y + (y * 0).abs().sqrt())


@case("exploding_activations", *BRANCHES)
def huge_branch(name):
    return with_branch(name, lambda y: 1e8 * y)


@case("fp16_overflow", "mlp", "encoder", "resnet")
def half_precision(name):
    net, batch, loss, _, where = with_branch(
        name, lambda y: 2e4 * y / y.abs().max().clamp(1e-4) * 2
    )
    return net.half(), tuple(x.half() for x in batch), loss, None, where


RECTIFIED = {"resnet": "blocks.1.norm1", "encoder": "layers.1.linear1", "cnn": None}


@case("dead_units", *RECTIFIED)
def negative_biases(name):
    net, batch, loss = NETS[name]()
    norms = [path for path, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]
    path = RECTIFIED[name] or norms[3]
    net.get_submodule(path).bias.data.fill_(-100.0)
    return net, batch, loss, None, path.rpartition(".")[0]


@case("saturated_units", *BRANCHES)
def flat_branch(name):
    return with_branch(name, lambda y: 1 * (1000 * (y + 1 + y.abs().max())).tanh())


@case("vanishing_gradients", "sigmoids", "gcn", "ours")
def deep_and_plain(name):
    torch.manual_seed(0)
    if name == "sigmoids":
        layers = [part for _ in range(12) for part in (nn.Linear(16, 16), nn.Sigmoid())]
        return nn.Sequential(*layers), (torch.randn(32, 16),), mean_size, None, None
    if name == "gcn":
        from torch_geometric.nn import GCNConv, Sequential

        layers = [part for i in range(24) for part in ((GCNConv(8, 8), "x, e -> x"), nn.Sigmoid())]
        return Sequential("x, e", layers), (0.5 * torch.randn(16, 8), RING), mean_size, None, None
    words = ("connection=plain", "norm=none", "model.depth=40", "init=gpt2")
    return *ours("transformer", *words), None, None


@case("exploding_gradients", "ours", "linear", "gcn")
def deep_and_steep(name):
    torch.manual_seed(0)
    if name == "ours":
        return *ours("cnn", "connection=plain", "model.depth=56"), None, None
    layers = [nn.Linear(16, 16) for _ in range(14)]
    if name == "gcn":
        from torch_geometric.nn import GCNConv, Sequential

        convs = [GCNConv(8, 8) for _ in range(14)]
        for conv in convs:
            nn.init.normal_(conv.lin.weight, std=1.2)
        parts = [(conv, "x, e -> x") for conv in convs]
        return Sequential("x, e", parts), (1e-6 * torch.randn(16, 8), RING), mean_size, None, None
    for layer in layers:
        nn.init.normal_(layer.weight, std=0.8)
    return nn.Sequential(*layers), (torch.randn(32, 16),), mean_size, None, None


@case("idle_branch", *BRANCHES)
def silenced_branch(name):
    return with_branch(name, lambda y: 1e-8 * y.detach())


@case("stream_growth", "gnn", "mlp", "by_hand")
def growing_stream(name):
    if name == "by_hand":
        net = SkipMLP(blocks=8)
        for block in net.blocks:
            block[0] = nn.Identity()
            nn.init.normal_(block[1].weight, std=1.0)
            nn.init.normal_(block[3].weight, std=1.0)
        return net, (torch.randn(16, 5, 8),), mean_size, None, None
    if name == "gnn":
        made = ours("gnn", "norm=none", "model.depth=16")
        for key, p in made[0].named_parameters():
            if "branches" in key and p.ndim > 1:
                p.data *= 8
        return *made, None, None
    net = SkipMLP(blocks=10)
    for block in net.blocks:
        block[0] = nn.Identity()
        block[3] = nn.Linear(16, 8)
        block[3].weight.data *= 12
    return net, (torch.randn(16, 5, 8),), mean_size, None, None


class Bent(nn.Module):
    """Blocks way(x) + branch(x)."""

    def __init__(self, way, branches):
        super().__init__()
        self.way, self.branches = way, nn.ModuleList(branches)

    def forward(self, x, *args):
        for branch in self.branches:
            x = self.way(x) + branch(x, *args)
        return x


WAYS = {
    "relu": torch.relu,
    "detach": torch.detach,
    "norm": lambda x: nn.functional.layer_norm(x, (8,)),
}


@case("broken_identity", *(f"{way}, {net}" for way in WAYS for net in ("mlp", "gcn", "ours")))
def bent_skip(name):
    way, net = name.split(", ")
    if net == "mlp":
        made = Bent(WAYS[way], SkipMLP().blocks)
        return made, (torch.randn(16, 5, 8),), mean_size, None, None
    if net == "gcn":
        from torch_geometric.nn import GCNConv

        made = Bent(WAYS[way], [GCNConv(8, 8) for _ in range(4)])
        return made, (torch.randn(16, 8), RING), mean_size, None, None
    task, batch, loss = ours("gnn", "model.width=8")
    for site in task.model.body.sites:
        site.write = lambda state, y, mix: WAYS[way](state) + y
    return task, batch, loss, None, "model.body.sites"


@case("missing_add", "mlp", "encoder", "deepgcn", "gnn", "transformer")
def forgotten_skip(name):
    net, batch, loss = NETS[name]()
    if name in ("gnn", "transformer"):
        sites = net.model.body.sites
        sites[1] = Plain(sites[1].site)
        return net, batch, loss, None, "model.body.sites.1"
    if name == "deepgcn":
        net.layers[1].block = "plain"
        return net, batch, loss, None, "layers.1"
    if name == "encoder":
        layer = net.layers[1]
        layer.forward = lambda x, *a, **k: layer._ff_block(
            layer.norm2(layer._sa_block(x, None, None))
        )
        return net, batch, loss, None, "layers.1"
    net.forward = lambda x: run_without(net, x)
    return net, batch, loss, None, "blocks.2"


def run_without(net, x):
    x = net.embed(x)
    for i, block in enumerate(net.blocks):
        x = block(x) if i == 2 else x + block(x)
    return x


@case("double_add", "mlp", "encoder", "deepgcn", "gnn", "transformer", "cnn")
def twice_added(name):
    net, batch, loss = NETS[name]()
    path = BLOCKS[name]
    spoilt(net, path, lambda m: WithInput(m, lambda x, y: x + y))
    return net, batch, loss, None, path.replace("branches", "sites")


@case("collapsed_features", "gnn", "transformer", "encoder")
def alike(name):
    if name == "gnn":
        return *ours("gnn", "connection=plain", "model.depth=32"), None, None
    if name == "transformer":
        return *ours("transformer", "connection=plain", "model.depth=16"), None, None
    net, batch, loss = NETS[name]()
    spoilt(net, "layers.1", lambda m: After(m, lambda x: x.mean((0, 1), keepdim=True).expand_as(x)))
    return net, batch, loss, None, "layers.1"


NORMED = ("cnn", "resnet", "sequential")


def normed(name):
    """A net with batch norms that has seen enough batches."""
    if name == "sequential":
        net = nn.Sequential(
            nn.Linear(8, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4)
        )
        batch, loss = (torch.randn(32, 8),), mean_size
    else:
        net, batch, loss = NETS[name]()
    net.train()
    with torch.no_grad():
        for _ in range(60):
            loss(net, batch)
    return net.eval(), batch, loss


@case("stale_batchnorm", *NORMED)
def moved_statistics(name):
    net, batch, loss = normed(name)
    path, norm = next(
        (path, m) for path, m in net.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    )  # fmt: skip
    norm.running_mean += 5 * norm.running_var.sqrt()
    return net, batch, loss, None, path


@case("stale_batchnorm", *NORMED)
def stretched_statistics(name):
    net, batch, loss = normed(name)
    for norm in net.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.running_var *= 0.05
    return net, batch, loss, None, None


@case("tiny_batch_norm", *NORMED)
def tiny_batch(name):
    net, batch, loss = NETS[name]() if name != "sequential" else normed(name)
    if name == "cnn":
        net, batch, loss = ours("cnn", "model.depth=14", "data.batch_size=2")
    else:
        batch = tuple(x[:2] for x in batch)
    return net.train(), batch, loss, None, None


@case("bias_before_norm", *NORMED)
def useless_bias(name):
    if name == "sequential":
        net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))
        return net, (torch.randn(32, 8),), mean_size, None, "0"
    net, batch, loss = NETS[name]()
    if name == "resnet":
        net.blocks[1].one = nn.Conv2d(8, 8, 3, 1, 1)
        return net, batch, loss, None, "blocks.1.one"
    path, conv = next(
        (path, m)
        for path, m in net.named_modules()
        if isinstance(m, nn.Conv2d) and "branches" in path
    )
    conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
    return net, batch, loss, None, path


@case("decayed_norms", "cnn", "encoder", "resnet", "gnn")
def decay_of_all(name):
    net, batch, loss = NETS[name]()
    return net, batch, loss, torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.1), None


@case("unused_parameters", "cnn", "mlp", "encoder", "deepgcn")
def forgotten_layer(name):
    net, batch, loss = NETS[name]()
    net.add_module("forgotten", nn.Linear(3, 3))
    return net, batch, loss, None, "forgotten"


@case("unused_parameters", "mlp", "encoder", "transformer")
def detached_branch(name):
    return with_branch(name, torch.detach)


LAYERS = {"mlp": "blocks.1.1", "encoder": "layers.2.linear1", "resnet": "blocks.0.one", "cnn": None}


@case("equal_units", *LAYERS)
def constant_start(name):
    net, batch, loss = NETS[name]()
    path = LAYERS[name] or next(p for p, m in net.named_modules() if isinstance(m, nn.Conv2d))
    layer = net.get_submodule(path)
    layer.weight.data.fill_(0.01)
    if layer.bias is not None:
        layer.bias.data.fill_(0.01)
    net.eval()
    following = {"mlp": "blocks.1.3", "encoder": "layers.2.linear2"}.get(name)
    if following:  # equal weights after it make equal gradients
        net.get_submodule(following).weight.data.fill_(0.02)
    if name in ("resnet", "cnn"):
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.data.fill_(0.01)
    return net, batch, loss, None, path if following else None


@case("step_too_large", "cnn", "encoder", "gnn", "mlp")
def giant_steps(name):
    net, batch, loss = NETS[name]()
    return net, batch, loss, torch.optim.Adam(net.parameters(), 1.0), None


@case("step_too_small", "cnn", "encoder", "gnn", "mlp")
def tiny_steps(name):
    net, batch, loss = NETS[name]()
    return net, batch, loss, torch.optim.SGD(net.parameters(), 1e-9), None
