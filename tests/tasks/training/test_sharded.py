"""Models in parts: what a process keeps of them, and that every rule computes the same in them."""

import json
import os

import pytest
import torch
from forked import places, start
from small_domains import words
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from tasks.parts import own, whole
from tasks.training.build import build_task
from tasks.training.process import without_known_warnings
from tasks.training.sharded import ShardedModel
from zoo.config import registry
from zoo.config.compose import load
from zoo.connection import Connection, Site
from zoo.connections.additive import ReZero
from zoo.models.layers.normal import NormalLinear
from zoo.seeding import redraw
from zoo.stack import Stack

pytestmark = pytest.mark.slow


def joined(place):
    """The mesh of all processes, in one of them."""
    os.environ.update(place, RANK=place["LOCAL_RANK"])
    return init_device_mesh("cpu", (int(place["WORLD_SIZE"]),))


def in_two(target, tmp_path, *args):
    """What two processes write of a function that is called with place, file and arguments."""
    out = [tmp_path / str(number) for number in range(2)]
    each = zip(places(2), out, strict=True)
    ranks = [start(target, place, file, *args) for place, file in each]
    for process in ranks:
        process.join()
    return [json.loads(file.read_text()) for file in out]


def local(model):
    return map(own, model.parameters())


def kept(place, out):
    """Writes how many numbers a process keeps of a model, before and after it is whole."""
    mesh = joined(place)
    sites = [ReZero(site) for site in Site.line(8, 3)]
    model = nn.Sequential(Stack([NormalLinear(8, 8, True) for _ in sites], sites))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sharded = ShardedModel(model, mesh)
    parts = sum(each.numel() for each in local(model))
    left = sum(weight.numel() for weight in sharded.layouts)
    with sharded.gathered():
        all_of_it = sum(each.numel() for each in local(model))
        same = all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    again = sum(each.numel() for each in local(model))
    sharded.make_whole()
    same = same and all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    torch.distributed.destroy_process_group()
    out.write_text(json.dumps([parts, left, all_of_it, again, same, type(model).__name__]))


def test_each_process_keeps_its_share_of_the_weights(tmp_path):
    """Of 3 x (8 x 8 + 8) weights half; the three factors in full; nothing else stays."""
    assert in_two(kept, tmp_path) == [[111, 3, 219, 111, True, "Sequential"]] * 2


def gradients(task, batch):
    """The loss of a batch and its gradient, with the same draws each time."""
    for number, draws in enumerate(task.generators.values()):
        draws.manual_seed(number)
    torch.manual_seed(0)
    loss = task.loss(batch)
    loss.backward()
    weights = task.model.named_parameters()
    found = {name: whole(each.grad) for name, each in weights if each.grad is not None}
    return loss.detach(), found


def apart(place, out, name):
    """Writes the largest relative difference that parts make to gradients, by rule."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    mesh, data, found = joined(place), [], {}
    config, _ = load(words(name))

    def remembered(source):
        data.append(data[0] if data else source.load())
        return data[0]

    slots = sorted({"connection", "long"} & config.choices.keys())
    for slot, rule in [(slot, rule) for slot in slots for rule in registry.names("connection")]:
        task = build_task(config.with_choice(slot, rule), remembered)
        modules = task.model.modules()
        if any(isinstance(module, Connection) and module.inverts for module in modules):
            continue  # refused
        redraw(task.model, config.seed)
        task.setup("fit")
        batch = next(iter(task.train_loader()))
        one, first = gradients(task, batch)
        task.zero_grad()
        with without_known_warnings():
            ShardedModel(task.model, mesh)
            two, second = gradients(task, batch)
        assert first.keys() == second.keys(), (slot, rule)
        largest = max([1.0, *(each.abs().max().item() for each in first.values())])
        differences = [(first[each] - second[each]).abs().max().item() for each in first]
        found[f"{slot}={rule}"] = max(differences) / largest + abs(one - two).item()
    torch.distributed.destroy_process_group()
    out.write_text(json.dumps(found))


@pytest.mark.parametrize("task", ["cnn", "transformer", "unet"])
def test_every_rule_has_the_gradient_of_a_model_in_one_process(task, tmp_path):
    """Both processes see the whole batch, so that their mean is the gradient of one."""
    for found in in_two(apart, tmp_path, task):
        assert len(found) >= len(registry.names("connection")) - 1
        assert max(found.values()) < 1e-9, max(found, key=found.get)
