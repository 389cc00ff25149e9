"""Faults of skips, branches and streams in nets on which no limit was set."""

import torch
from fresh_faults import fresh_case, made, scaled, without_norms
from fresh_nets import GraphStack, SelfAttention, fresh, pooled, tokens
from sick_nets import After, WithInput, ours, spoilt
from torch import nn
from torch.nn import functional as F

from zoo.connections.additive import Plain


@fresh_case("idle_branch", "convnext")
def frozen_factor(name):
    net, batch, loss = made(name)
    net[2].branch[2].gamma.requires_grad_(False)
    return net, batch, loss, None, "2"


ZEROED = {
    "gpt2": ("transformer.h.1.attn.c_proj", "transformer.h.1.attn"),
    "unet2d": ("mid_block.resnets.0.conv2", "mid_block.resnets.0"),
    "torch_encoder": ("2.layers.1.linear2", "2.layers.1"),
    "vit": ("3.branch.1.down", "3"),
}


@fresh_case("idle_branch", *ZEROED)
def frozen_zero(name):
    net, batch, loss = made(name)
    path, where = ZEROED[name]
    for p in net.get_submodule(path).parameters():
        p.requires_grad_(False).zero_()
    return net, batch, loss, None, where


@fresh_case("idle_branch", "torch_encoder", "mixer", "deep_layers")
def all_dropped(name):
    net, batch, loss = made(name)
    if name == "torch_encoder":
        net[2].layers[1].dropout1.p = net[2].layers[1].dropout2.p = 1.0
    elif name == "mixer":
        net[4].branch.append(nn.Dropout(1.0))
    else:
        net.convs[2].dropout = 1.0
    where = {"torch_encoder": "2.layers.1", "mixer": "4", "deep_layers": "convs.2"}
    return net, batch, loss, None, where[name]


@fresh_case("idle_branch", "cnn", "gnn", "transformer")
def frozen_gate(name):
    net, batch, loss = ours(name, "connection=rezero", "model.depth=8")
    gate, site = next((p, key.rpartition(".")[0]) for key, p in net.named_parameters()
                      if "sites.1" in key)  # fmt: skip
    gate.requires_grad_(False)
    for key, p in net.named_parameters():
        if "sites" in key and p is not gate:
            p.data.fill_(0.5)
    return net, batch, loss, None, site.replace("sites", "branches")


@fresh_case("stream_growth", "cnn", "mixer", "sage", "torch_encoder", "transformer")
def no_norms(name):
    if name == "cnn":
        net, batch, loss = ours("cnn", "norm=none", "model.depth=56", "model.width=8")
    elif name == "transformer":
        net, batch, loss = ours(name, "norm=none", "model.depth=8")
        scaled(net.model.body, 18, nn.Linear)
    elif name == "mixer":
        net, batch, loss = fresh(name, blocks=7, norm=lambda c: nn.Identity(), act=nn.ReLU)
        scaled(net, 3.5, nn.Linear)
    elif name == "sage":
        net, batch, loss = fresh(name, layers=9)
        net.way = lambda x, y: x + torch.relu(y)
        scaled(net, 4)
    else:
        net, batch, loss = fresh(name, layers=6)
        scaled(without_norms(net, nn.LayerNorm), 4)
    return net, batch, loss, None, None


@fresh_case("broken_identity", "preact", "mixer", "cnn")
def activation_in_place(name):
    """The branch begins with a ReLU that writes over what the skip carries."""
    if name == "preact":
        net, batch, loss = fresh(
            name, norm=lambda c: nn.Identity(), act=lambda: nn.ReLU(inplace=True)
        )
    elif name == "mixer":
        net, batch, loss = fresh(name)
        spoilt(net, "3.branch", lambda m: nn.Sequential(nn.ReLU(inplace=True), m))
    else:
        net, batch, loss = ours(name, "model.depth=14", "norm=pre")
        path = "model.body.branches.2"
        spoilt(net, path, lambda m: nn.Sequential(nn.ReLU(inplace=True), m))
    where = {"preact": None, "mixer": "3", "cnn": "model.body.sites.2"}
    return net, batch, loss, None, where[name]


@fresh_case("broken_identity", "gat", "vit", "gnn")
def dropout_on_skip(name):
    net, batch, loss = made(name)
    if name == "gat":
        net.way = lambda x, y: F.dropout(x, 0.5) + F.elu(y)
    elif name == "vit":
        block = net[4]
        block.forward = lambda x: F.dropout(x, 0.5) + block.branch(x)
    else:
        for site in net.model.body.sites:
            site.write = lambda state, y, mix: F.dropout(state, 0.5) + y
    where = {"gat": None, "vit": "4", "gnn": "model.body.sites"}
    return net, batch, loss, None, where[name]


@fresh_case("broken_identity", "unet2d", "convnext", "transformer", "deep_layers")
def bounded_skip(name):
    net, batch, loss = made(name)
    if name == "unet2d":
        net.mid_block.resnets[0].conv_shortcut = nn.Hardtanh(-0.5, 0.5)
        return net, batch, loss, None, "mid_block.resnets.0"
    if name == "convnext":
        block = net[3]
        block.forward = lambda x: x.clamp(-0.3, 0.3) + block.branch(x)
        return net, batch, loss, None, "3"
    if name == "deep_layers":
        layer = net.convs[2]
        layer.forward = lambda x, e: x.clamp(min=0) + layer.conv(layer.norm(x).relu(), e)
        return net, batch, loss, None, "convs.2"
    for site in net.model.body.sites:
        site.write = lambda state, y, mix: F.normalize(state, dim=-1) + y
    return net, batch, loss, None, "model.body.sites"


@fresh_case("broken_identity", "gpt2", "preact")
def gradient_stopped(name):
    net, batch, loss = made(name)
    if name == "preact":
        block = net[3]

        def forward(x):
            with torch.no_grad():
                skip = 1.0 * x
            return skip + block.branch(x)

        block.forward = forward
        return net, batch, loss, None, "3"
    block = net.transformer.h[1]

    def stopped(x, cache=None, mask=None, *_, **options):
        x = x.detach() + block.attn(block.ln_1(x), attention_mask=mask)[0]
        return x + block.mlp(block.ln_2(x))

    block.forward = stopped
    return net, batch, loss, None, "transformer.h.1"


@fresh_case("missing_add", "gpt2", "torch_encoder")
def half_a_block_without(name):
    if name == "torch_encoder":
        net, batch, loss = fresh(name, layers=4)
        layer = net[2].layers[1]

        def forward(x, *_, **__):
            x = x + layer._sa_block(layer.norm1(x), None, None)
            return layer._ff_block(layer.norm2(x))

        layer.forward = forward
        return net, batch, loss, None, "2.layers.1"
    net, batch, loss = fresh(name)
    block = net.transformer.h[1]

    def lacking(x, cache=None, mask=None, *_, **options):
        x = block.attn(block.ln_1(x), attention_mask=mask)[0]
        return x + block.mlp(block.ln_2(x))

    block.forward = lacking
    return net, batch, loss, None, "transformer.h.1"


@fresh_case("missing_add", "preact", "mixer", "vit", "convnext")
def whole_block_without(name):
    net, batch, loss = made(name)
    net[3].forward = net[3].branch.forward
    return net, batch, loss, None, "3"


@fresh_case("missing_add", "deep_layers", "unet2d")
def library_block_without(name):
    if name == "deep_layers":
        net, batch, loss = fresh(name, block="res")
        net.convs[3].block = "plain"
        return net, batch, loss, None, "convs.3"
    net, batch, loss = fresh(name, layers_per_block=3)
    path = "down_blocks.0.resnets.1"
    block = net.get_submodule(path)

    def forward(x, time):
        x = block.conv1(F.silu(block.norm1(x)))
        x = x + block.time_emb_proj(F.silu(time))[:, :, None, None]
        return block.conv2(F.silu(block.norm2(x)))

    block.forward = forward
    return net, batch, loss, None, path


@fresh_case("missing_add", "cnn", "unet", "diffusion")
def plain_site(name):
    words = {"cnn": "model.depth=26", "unet": "model.blocks=3", "diffusion": "model.blocks=3"}
    net, batch, loss = ours(name, words[name])
    bodies = [m for m in net.modules() if len(getattr(m, "sites", ())) >= 3]
    sites = bodies[-1].sites
    sites[1] = Plain(sites[1].site)
    path = next(key for key, m in net.named_modules() if m is sites[1])
    return net, batch, loss, None, path


TWICE = {
    "preact": "3",
    "convnext": "2",
    "vit": "4",
    "deep_layers": "convs.2",
    "torch_encoder": "2.layers.1",
    "unet2d": "mid_block.resnets.0",
    "gpt2": "transformer.h.1",
    "diffusion": "model.body.inner.inner.inner.inner.branches.1",
    "gnn": "model.body.branches.2",
}


@fresh_case("double_add", *TWICE)
def around_again(name):
    net, batch, loss = made(name, "model.depth=4" if name == "gnn" else "model.depth=2")
    path = TWICE[name] if name != "diffusion" else next(
        key for key, m in net.named_modules() if type(m).__name__ == "Branch"
    )  # fmt: skip
    return (
        spoilt(net, path, lambda m: WithInput(m, lambda x, y: x + y)),
        batch,
        loss,
        None,
        path.replace("branches", "sites"),
    )


@fresh_case("collapsed_features", "gcn", "gat")
def smoothed(name):
    """Nodes are averaged with their neighbours until they are one."""
    from torch_geometric.nn import GATConv, GCNConv

    _, batch, loss = fresh("sage")
    make = GCNConv if name == "gcn" else GATConv
    stack = GraphStack(16, [make(16, 16) for _ in range(40)], lambda _, y: y)
    return stack, batch, loss, None, None


@fresh_case("collapsed_features", "attention", "attention_and_skips")
def attention_alone(name):
    layers = [SelfAttention(16, 4) for _ in range(12)]
    last = [] if name == "attention" else fresh("vit")[0][2:6]
    net = pooled(nn.Linear(8, 16), *layers, *last, width=16)
    return net, tokens(), fresh("vit")[2], None, None


@fresh_case("collapsed_features", "mixer", "unet2d", "convnext")
def mean_of_all(name):
    """A mean over the examples that was meant to be over something else."""
    net, batch, loss = made(name)
    path = "mid_block.resnets.0" if name == "unet2d" else "3"
    mean = lambda x: x.mean(0, keepdim=True).expand_as(x)  # noqa: E731
    return spoilt(net, path, lambda m: After(m, mean)), batch, loss, None, path


@fresh_case("collapsed_features", "gnn", "transformer")
def deep_without_skips(name):
    words = {
        "gnn": ["model.depth=40", "model.width=32", "model.dropout=0"],
        "transformer": ["model.depth=20", "model.width=24", "model.heads=2", "model.norm=rms"],
    }
    return *ours(name, "connection=plain", *words[name]), None, None
