"""Faults of norms, unused parameters and steps in nets on which no limit was set."""

import torch
from fresh_faults import fresh_case, made, scaled
from fresh_nets import FRESH, GraphStack, fresh, graph
from sick_nets import After, ours, spoilt
from torch import nn

NORMED = (nn.BatchNorm1d, nn.BatchNorm2d)


def settled(name, steps=60):
    """A net that was trained for some steps on its batch."""
    net, batch, loss = made(name)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(net, batch).backward()
        optimizer.step()
    optimizer.zero_grad()
    return net, batch, loss


@fresh_case("stale_batchnorm", "vgg", "gin", "mobile", "dense")
def other_data(name):
    net, (x, *rest), loss = settled(name)
    return net.eval(), (4 * x + 3, *rest), loss, None, None


@fresh_case("stale_batchnorm", "vgg", "cnn", "unet", "gin")
def averaged_weights(name):
    """Weights that changed after the statistics were taken."""
    net, batch, loss = settled(name)
    return scaled(net, 0.3, nn.Conv2d, nn.Linear).eval(), batch, loss, None, None


@fresh_case("stale_batchnorm", "mobile", "gin", "cnn")
def lost_statistics(name):
    """Weights were loaded without their buffers."""
    net, batch, loss = settled(name)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
    return net.eval(), batch, loss, None, None


@fresh_case("tiny_batch_norm", "vgg", "mobile", "dense", "unet", "cnn")
def two_examples(name):
    net, batch, loss = made(name, "data.batch_size=2")
    if name in FRESH:
        batch = tuple(x[:3] for x in batch)
    return net.train(), batch, loss, None, None


@fresh_case("tiny_batch_norm", "gin", "pooled")
def few_values(name):
    """A dozen nodes; ten examples whose images are one pixel."""
    if name == "gin":
        net, _, loss = fresh(name)
        return net, graph(12), loss, None, None
    net, batch, loss = fresh("vgg")
    spoilt(net, "0", lambda m: nn.Sequential(m, nn.AdaptiveAvgPool2d(1)))
    return net, tuple(x[:10] for x in batch), loss, None, None


@fresh_case("bias_before_norm", "vgg", "gin", "gcn", "hand_unet")
def bias_taken_out(name):
    if name == "vgg":
        return *fresh(name, bias=True), None, "0"
    if name == "gin":
        net, batch, loss = fresh(name, bias=True)
        return net, batch, loss, None, "convs.0.nn.0"
    if name == "gcn":
        from torch_geometric.nn import GCNConv

        net, batch, loss = fresh("sage")
        norms = nn.ModuleList(nn.BatchNorm1d(16) for _ in range(3))
        stack = GraphStack(16, [GCNConv(16, 16) for _ in range(3)], None)
        stack.norms = norms
        stack.register_forward_pre_hook(lambda *_: setattr(stack, "queue", iter(norms)))
        stack.way = lambda x, y: x + next(stack.queue)(y).relu()
        return stack, batch, loss, None, "convs.0"
    net, batch, loss = fresh(name)
    net.inner.append(nn.BatchNorm2d(12))
    return net, batch, loss, None, "inner.3"


@fresh_case("bias_before_norm", "cnn", "unet")
def our_bias_taken_out(name):
    net, batch, loss = made(name)
    path = "model.stem.0"
    conv = net.get_submodule(path)
    conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
    return net, batch, loss, None, path


DECAYING = {
    "gpt2": lambda p: torch.optim.AdamW(p, 1e-4),
    "llama": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.1),
    "vit": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=0.05),
    "mobile": lambda p: torch.optim.SGD(p, 0.05, 0.9, weight_decay=5e-4),
    "deep_layers": lambda p: torch.optim.Adam(p, 1e-2, weight_decay=1e-3),
    "unet": lambda p: torch.optim.RMSprop(p, 1e-3, weight_decay=1e-4),
    "diffusion": lambda p: torch.optim.NAdam(p, 1e-3, weight_decay=1e-2),
}


@fresh_case("decayed_norms", *DECAYING)
def one_group(name):
    net, batch, loss = made(name)
    return net, batch, loss, DECAYING[name](net.parameters()), None


@fresh_case("decayed_norms", "convnext", "transformer")
def wrong_groups(name):
    """The two groups were made by name, and some norms are in the wrong one."""
    net, batch, loss = made(name)
    named = list(net.named_parameters())
    spared = [p for key, p in named if "bias" in key]
    others = [p for key, p in named if "bias" not in key]
    groups = [{"params": spared, "weight_decay": 0.0}, {"params": others}]
    return net, batch, loss, torch.optim.AdamW(groups, 1e-3, weight_decay=0.05), None


@fresh_case("unused_parameters", "gpt2", "lstm", "gin", "diffusion")
def second_head(name):
    net, batch, loss = made(name)
    net.add_module("second", nn.Sequential(nn.Linear(24, 4), nn.ReLU()))
    return net, batch, loss, None, "second"


@fresh_case("unused_parameters", "sage", "llama", "perceptron", "cnn")
def detached_start(name):
    net, batch, loss = made(name)
    path = {"sage": "stem", "llama": "model.embed_tokens", "perceptron": "1"}
    path = path.get(name, "model.stem")
    return spoilt(net, path, lambda m: After(m, torch.detach)), batch, loss, None, path


@fresh_case("unused_parameters", "mixer", "torch_encoder", "unet2d")
def block_passed_over(name):
    net, batch, loss = made(name)
    path = {"mixer": "5", "torch_encoder": "2.layers.2", "unet2d": "mid_block.resnets.1"}[name]
    net.get_submodule(path).forward = lambda x, *_, **__: x
    return net, batch, loss, None, path


LARGE = {
    "gpt2": lambda p: torch.optim.AdamW(p, 0.3),
    "vgg": lambda p: torch.optim.SGD(p, 30.0, 0.9),
    "gat": lambda p: torch.optim.RMSprop(p, 0.3),
    "mixer": lambda p: torch.optim.NAdam(p, 0.2),
    "unet": lambda p: torch.optim.Adam(p, 0.3),
    "diffusion": lambda p: torch.optim.Adamax(p, 0.5),
}
SMALL = {
    "gpt2": lambda p: torch.optim.AdamW(p, 1e-10),
    "mobile": lambda p: torch.optim.SGD(p, 1e-8, 0.9),
    "gat": lambda p: torch.optim.Adagrad(p, 1e-10),
    "vit": lambda p: torch.optim.SGD(p, 0.0),
    "unet": lambda p: torch.optim.Adam(p, 1e-10),
    "transformer": lambda p: torch.optim.NAdam(p, 1e-11),
}


@fresh_case("step_too_large", *LARGE)
def rate_too_large(name):
    net, batch, loss = made(name)
    return net, batch, loss, LARGE[name](net.parameters()), None


@fresh_case("step_too_small", *SMALL)
def rate_too_small(name):
    net, batch, loss = made(name)
    return net, batch, loss, SMALL[name](net.parameters()), None


@fresh_case("step_too_small", "mixer", "llama")
def lost_to_rounding(name):
    """Weights in bfloat16, whose digits end before the step begins."""
    net, batch, loss = made(name)
    batch = tuple(x.bfloat16() if x.is_floating_point() else x for x in batch)
    return net.bfloat16(), batch, loss, torch.optim.SGD(net.parameters(), 1e-6), None


@fresh_case("step_too_large", "encoder", "cnn")
def rate_of_one_group(name):
    """The rate of the head has three zeros too few."""
    net, batch, loss = fresh("torch_encoder") if name == "encoder" else ours("cnn")
    *others, weight, bias = net.parameters()
    groups = [{"params": [weight, bias], "lr": 1.0}, {"params": others}]
    return net, batch, loss, torch.optim.AdamW(groups, 1e-3, weight_decay=0), None
