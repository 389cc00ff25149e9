"""What an optimiser does to the weights of a model, and what it leaves alone."""

from itertools import islice

import pytest
import torch
from conftest import CONNECTIONS

from tasks.training.build import build_task, build_trainer_options
from tasks.training.optimizers import SGD, Adam, AdamW
from tasks.training.process import logged
from zoo.config.compose import load
from zoo.config.registry import factory, options
from zoo.models.transformer import Transformer
from zoo.norm import Pre
from zoo.seeding import redraw

DECAYS = {"stem": 0.2, "body": 0.1, "head": 0.3}


def make(name):
    connect = factory("connection", name, options("connection", name))
    model = Transformer(11, connect, Pre(), depth=2, width=8, heads=2, context=4, tie=False)
    redraw(model, 0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    return model


@pytest.mark.parametrize("name", CONNECTIONS)
def test_weights_decay_and_connections_biases_and_norms_do_not(name):
    """Where no parameter has a gradient, a step of AdamW is its decay alone."""
    model = make(name)
    given = {"weight_decay": DECAYS["body"], "stem_decay": DECAYS["stem"]}
    rule = AdamW(lr=0.5, **given, head_decay=DECAYS["head"])
    optimizer = rule.build(model, 10)["optimizer"]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    kinds = set()
    for key, parameter in model.named_parameters():
        matrix, connection = parameter.ndim > 1, ".sites." in key
        decay = DECAYS[key.split(".")[0]] if matrix and not connection else 0.0
        torch.testing.assert_close(parameter, before[key] * (1 - 0.5 * decay), msg=key)
        kinds.add(decay)
    assert kinds == {0.0, *DECAYS.values()}


def test_parts_without_a_decay_of_their_own_have_the_body_s():
    optimizer = AdamW(weight_decay=0.1, head_decay=0.0).build(make("residual"), 10)
    sizes = {g["weight_decay"]: len(g["params"]) for g in optimizer["optimizer"].param_groups}
    model = make("residual")
    weights = [key for key, value in model.named_parameters() if value.ndim > 1]
    assert sizes[0.1] == len(weights) - 1  # all but the head's


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Adam(lr=0.1, weight_decay=0.3, beta1=0.8, beta2=0.95), torch.optim.Adam),
        (AdamW(lr=0.1, weight_decay=0.3, beta1=0.8, beta2=0.95), torch.optim.AdamW),
        (SGD(lr=0.1, weight_decay=0.3, momentum=0.7, nesterov=False), torch.optim.SGD),
        (SGD(lr=0.1, weight_decay=0.3, momentum=0.7), torch.optim.SGD),
    ],
)
def test_steps_are_those_of_pytorch(ours, theirs):
    if theirs is torch.optim.SGD:
        given = {"momentum": 0.7, "nesterov": ours.rest["nesterov"]}
    else:
        given = {"betas": (0.8, 0.95)}
    first, second = torch.nn.Linear(3, 2, bias=False), torch.nn.Linear(3, 2, bias=False)
    second.load_state_dict(first.state_dict())
    optimizers = [
        ours.build(first, 5)["optimizer"],
        theirs(second.parameters(), lr=0.1, weight_decay=0.3, **given),
    ]
    draws = torch.Generator().manual_seed(0)
    for _ in range(3):
        gradient = torch.randn(2, 3, generator=draws)
        for net, optimizer in zip((first, second), optimizers, strict=True):
            net.weight.grad = gradient.clone()
            optimizer.step()
    torch.testing.assert_close(first.weight, second.weight)


PLAIN = ["optimizer=sgd", "optimizer.lr=1.0", "optimizer.momentum=0", "optimizer.nesterov=false"]
PLAIN += ["optimizer.weight_decay=0", "logger=none", "trainer.accelerator=cpu"]


def first_step(*words):
    """A task before its first step of plain gradient descent, and how far that moves it."""
    config, _ = load([*PLAIN, "trainer.max_steps=1", *words])
    training = build_trainer_options(config)
    fresh, task = build_task(config), build_task(config)
    for one in (fresh, task):
        redraw(one.model, 0)
    with logged(None):
        training.trainer(task, []).fit(task)
    pairs = zip(task.model.parameters(), fresh.model.parameters(), strict=True)
    return fresh, torch.cat([(new - old).detach().flatten() for new, old in pairs])


def test_clip_is_the_largest_norm_of_a_gradient():
    words = ["task=gnn", "model.depth=2", "model.width=8", "model.dropout=0.0"]
    free, clipped = (first_step(*words, f"trainer.clip={clip}")[1] for clip in ("null", "1e-3"))
    assert free.norm() > 0.01
    torch.testing.assert_close(clipped, free * (1e-3 / free.norm()), atol=1e-6, rtol=1e-3)


def test_a_step_of_three_batches_has_their_mean_gradient():
    words = ["task=cnn", "model.depth=8", "model.width=8", "norm=none", "init=fixup"]
    words += ["trainer.max_epochs=null", "optimizer.schedule=constant", "optimizer.warmup=0"]
    fresh, moved = first_step(*words, "trainer.accumulate=3")
    fresh.setup("fit")
    for batch in islice(fresh.train_loader(), 3):
        (fresh.loss(batch) / 3).backward()
    expected = torch.cat([-parameter.grad.flatten() for parameter in fresh.model.parameters()])
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-4)
