"""Nets that nothing is wrong with: at their start, and after some steps in which they learned.

Those of the first half are nets of this project at their start. Those of the second half count
once they have learned, at their start and then: their loss has fallen well below that of the best
answer that is the same for all inputs. Usual nets count as they are, and after some steps.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from fresh_nets import FRESH, fresh
from sick_nets import ours
from small_domains import SMALL
from torch import nn
from usual_nets import USUAL

from tasks.inference.diagnose import fresh as at_its_start
from zoo.config import registry
from zoo.config.compose import load

RULES = registry.names("connection")
DEPTHS = {"cnn": (8, 20), "unet": (2, 3), "transformer": (2, 6), "gnn": (4, 8), "diffusion": (2, 3)}
SICK = {("transformer", "concat", 6)}  # six blocks without a skip: its tokens do collapse
STARTS = [
    (task, rule, depth)
    for task, depths in DEPTHS.items()
    for rule in RULES
    for depth in (depths[:1] if rule == "plain" else depths)
    if (task, rule, depth) not in SICK
]
STEPS, LEARNED = 60, 0.9  # steps, after which the loss is less than so much of a constant answer's


class State(NamedTuple):
    """A net as it is given to a diagnosis."""

    name: str
    net: nn.Module
    batch: Any
    loss: Callable[..., torch.Tensor]
    optimizer: torch.optim.Optimizer | None = None


class Healthy(NamedTuple):
    """A net with a function that gives its states, none where it has not learned."""

    half: str
    name: str
    library: str
    states: Callable[[], Iterator[State]]


def first_states(task, rule, depth):
    words = f"connection={rule}", f"model.depth={depth}", "model.width=16"
    yield State("start", *ours(task, *words))


def constant_loss(batch):
    """The loss of the best answer that is the same for all inputs: an entropy, or a variance."""
    target = batch[-1]
    if target.is_floating_point():
        return float(target.var())
    shares = target.flatten().bincount().double() / target.numel()
    return float(torch.special.entr(shares).sum())


def trained(net, batches, loss, optimizer, chance, steps=STEPS, schedule=None):
    """A net at its start, and if it has learned, again after training and in evaluation."""
    batch = next(batches)
    yield State("start", net, batch, loss, optimizer)
    net.train()
    losses = []
    for _ in range(steps):
        value = loss(net, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(value.item())
        batch = next(batches)
    optimizer.zero_grad()
    if sum(losses[-8:]) / 8 < LEARNED * chance:
        yield State("trained", net, batch, loss, optimizer)
        with torch.no_grad():
            evaluated = float(loss(net.eval(), batch))
        if evaluated < LEARNED * chance:  # else its running statistics are not there yet
            yield State("in evaluation", net, batch, loss)


KINDS = {  # of norms and starts, taken in turn
    "cnn": ("batch", "group", "layer"),
    "unet": ("batch", "group", "layer"),
    "transformer": ("layer", "rms"),
    "gnn": ("layer", "batch", "rms", "graph", "pair"),
    "diffusion": (),
}
PLACEMENTS = ("post", "pre", "sandwich", "none")
INITS = ("default", "zero_last", "default", "gpt2")
FAST = {"transformer": ["optimizer.lr=0.003"]}
WORDS = ["optimizer.warmup=20", "optimizer.schedule=constant", "trainer.accelerator=cpu"]


def combined(turn, number, rule):
    """The task and the words of one of our nets: all that can be chosen is taken in turn."""
    task = [*DEPTHS][(number + 2 * turn) % 5]
    at = number + turn
    norm = PLACEMENTS[at % 4]
    words = [f"connection={rule}", f"norm={norm}", f"model.depth={DEPTHS[task][at % 2]}"]
    if KINDS[task]:
        words.append(f"model.norm={KINDS[task][at % len(KINDS[task])]}")
    init = INITS[(at // 2) % 4] if norm != "none" else "default"
    if init != "gpt2" or task == "transformer":
        words.append(f"init={init}")
    return task, words


OURS = [
    combined(turn, number, rule)
    for turn in range(4)
    for number, rule in enumerate(RULES)
    if rule != "plain"
]


def our_states(task, words):
    config, _ = load(
        [f"task={task}", *SMALL[task], *WORDS, *FAST.get(task, []), "model.width=16", *words]
    )
    net, _ = at_its_start(config)
    net.setup("fit")
    built = net.options.build(net.model, 10**6, net.batch_size)
    optimizer, schedule = built["optimizer"], built["lr_scheduler"]["scheduler"]
    batches = iter(net.train_loader())
    chances = {"cnn": math.log(10), "gnn": math.log(2), "diffusion": 1.0}
    chance = chances.get(task) or constant_loss(next(batches))
    steps = 4 * STEPS if task == "transformer" else STEPS

    def loss(net, batch):
        return net.loss(batch)

    yield from trained(net, batches, loss, optimizer, chance, steps, schedule)


VARIANTS = {  # of these nets, beside the plain one: others in width, depth, norm, activation
    "preact": {"width": 16, "blocks": 8, "act": nn.ELU},
    "vgg": {"width": 12, "layers": 3, "act": nn.LeakyReLU, "norm": lambda c: nn.GroupNorm(3, c)},
    "mixer": {"width": 24, "blocks": 2, "act": nn.SiLU},
    "vit": {"width": 24, "blocks": 6},
    "convnext": {"width": 16, "blocks": 6, "gamma": 0.1},
    "mobile": {"width": 16, "blocks": 2},
    "gru": {"width": 40},
    "lstm": {"width": 40},
    "dense": {"width": 16, "layers": 6},
    "perceptron": {"width": 64, "layers": 2, "act": nn.ReLU},
    "hand_unet": {"width": 24},
    "torch_encoder": {"layers": 4, "norm_first": False, "activation": "relu"},
    "gpt2": {"n_embd": 48, "n_layer": 6, "activation_function": "relu"},
    "llama": {"hidden_size": 48, "num_hidden_layers": 5},
    "gat": {"width": 24, "layers": 6},
    "sage": {"width": 24, "layers": 3, "act": torch.tanh},
    "gin": {"width": 24, "layers": 4},
    "deep_layers": {"width": 16, "layers": 10, "block": "res"},
    "unet2d": {"layers_per_block": 1, "block_out_channels": (16, 24), "act_fn": "gelu"},
}


def fresh_states(name, options):
    net, batch, loss = fresh(name, **options)
    words = name in ("gpt2", "llama")  # whose weights begin small, and learn for longer
    optimizer = torch.optim.Adam(net.parameters(), 1e-3 if words else 3e-3)
    batches = iter(FRESH[name][1], None)  # a new one each time
    steps = 5 * STEPS if words else STEPS
    yield from trained(net, batches, loss, optimizer, constant_loss(batch), steps)


def usual_states(name):
    net, batch, loss = USUAL[name]()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    yield State("start", net, batch, loss, optimizer)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(net, batch).backward()
        optimizer.step()
    optimizer.zero_grad()
    yield State("trained", net, batch, loss, optimizer)


def healthy():
    """All healthy nets."""
    for case in STARTS:
        yield Healthy("first", ", ".join(map(str, case)), "", lambda case=case: first_states(*case))
    for task, words in OURS:
        name = " ".join([f"task={task}", *words])
        yield Healthy("second", name, "", lambda c=(task, words): our_states(*c))
    for name in USUAL:
        library = "transformers" if "transformers" in name else ""
        yield Healthy("second", name, library, lambda name=name: usual_states(name))
    for name in FRESH:
        for options in ({}, VARIANTS[name]):
            yield Healthy(
                "second",
                f"{name} {'larger' if options else ''}".strip(),
                FRESH[name][3],
                lambda c=(name, options): fresh_states(*c),
            )
