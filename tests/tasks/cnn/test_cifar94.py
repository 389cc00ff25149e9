"""The recipe of preset=cifar94: flips, edges, views, rates and the slow average of weights."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from tasks.cnn.views import averaged_logits
from tasks.data.images.augment import Augment
from tasks.training.build import build_task
from tasks.training.lookahead import Lookahead
from tasks.training.optimizers import SGD
from zoo.config.compose import load
from zoo.errors import ConfigError
from zoo.models.layers.conv import BatchNorm
from zoo.models.layers.whitened import WhitenedConv


def task_of(*more):
    task = build_task(load(["task=cnn", "model.depth=8", "model.width=4", *more])[0])
    task.setup("fit")
    return task


def test_every_other_pass_shows_the_mirror_image():
    task = task_of("task.flip=alternating", "data.batch_size=300")
    passes = []
    for epoch in range(3):
        shown = {}
        for index in range(task.batches_per_pass()):
            number = epoch * task.batches_per_pass() + index
            examples = task.shuffled().batch(number)
            x = task.inputs(number, examples)[0]
            shown |= dict(zip(examples.tolist(), x, strict=True))
        passes.append(shown)
    first, second, third = passes
    both = first.keys() & second.keys() & third.keys()
    assert len(both) > 500
    flipped = 0
    for number in both:
        assert torch.equal(first[number], third[number])
        assert torch.equal(first[number], second[number].flip(2))
        flipped += not torch.equal(first[number], task.normalised(task.images[number]))
    assert 0.4 < flipped / len(both) < 0.6


def test_a_whitened_stem_sees_images_of_every_class(monkeypatch):
    """Also where a folder has them in the order of their classes."""
    seen = []
    monkeypatch.setattr(WhitenedConv, "whiten", lambda self, images: seen.append(images))
    monkeypatch.setattr("tasks.cnn.task.WHITENED", 50)

    def in_order(source):
        data = source.load()
        images = data.labels.view(-1, 1, 1, 1).expand(data.images.shape).to(torch.uint8)
        train = data.train[data.labels[data.train].argsort()]
        return dataclasses.replace(data, images=images, train=train)

    build_task(load(["task=cnn", "model.stem=whitened"])[0], in_order)
    assert len(seen[0]) == 50
    assert len(seen[0].unique()) == 10


def test_an_edge_that_reflects_is_numpy_s():
    augment = Augment(crop=3, flip=True, edge="reflect")
    images = torch.randint(0, 255, (40, 2, 7, 9), dtype=torch.uint8)
    draws = augment.draw(0, 5, 40, 7, 9)
    moved = augment.crop_and_flip(images, draws, torch.arange(40))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    for i in range(40):
        top, left = draws.window[:, i].tolist()
        window = padded[i, :, top : top + 7, left : left + 9]
        window = window[:, :, ::-1] if draws.flipped[i] else window
        assert np.array_equal(moved[i].numpy(), window)


def test_an_edge_without_a_crop_is_refused():
    with pytest.raises(ConfigError, match="edge=reflect is of crop"):
        task_of("task.edge=reflect")


@pytest.mark.parametrize("views", [None, "mirror", "translate"])
def test_evaluation_averages_over_views(views):
    """Against views that NumPy makes; the image in its place has half of the weight."""
    x, weights = torch.randn(5, 3, 5, 5), torch.randn(75, 4)

    def model(x):
        return (x.flatten(1) @ weights).relu()

    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    moved = {(1, 1): 1.0}
    if views == "translate":
        moved = {(1, 1): 0.5, (0, 0): 0.25, (2, 2): 0.25}
    expected = 0
    for (top, left), share in moved.items():
        window = padded[:, :, top : top + 5, left : left + 5]
        seen = [window] if views is None else [window, window[..., ::-1]]
        for each in seen:
            expected = expected + share / len(seen) * model(torch.tensor(each.copy()))
    torch.testing.assert_close(averaged_logits(model, x, views), expected)


def test_what_a_run_answers_is_what_it_was_scored_by():
    """`predict`, `zoo.load` and the score all see the views."""
    from tasks.cnn.predict import probabilities

    task = task_of("task.views=mirror").eval()
    with torch.no_grad():
        test = task.data.test[:50]
        images = task.images[test]
        given = probabilities(task, images)
        assert torch.equal(given.argmax(1), task.logits(test).argmax(1))
        torch.testing.assert_close(given, probabilities(task, images.flip(3)))


def test_the_rate_of_the_preset():
    """From a fifth to the whole rate in 23 % of the run, then to 0.07 of it."""
    rule = load(["task=cnn", "preset=cifar94"])[0].factory("optimizer")()
    schedule = rule.rate_schedule(480, epoch=48)
    up = 111  # 2.3 passes of 48 steps
    for step in range(480):
        rising = 0.2 + 0.8 * (step + 1) / up
        falling = 1 - 0.93 * (step - up) / (480 - up)
        assert schedule.factor(step) == pytest.approx(rising if step < up else falling)


def test_a_start_without_a_warm_up_is_refused():
    with pytest.raises(ValueError, match="warm-up"):
        SGD(warmup_start=0.2)


def test_biases_of_norms_have_a_rate_of_their_own_and_the_decay_of_all():
    model = nn.Sequential(nn.Conv2d(2, 3, 1), BatchNorm(3), nn.Linear(3, 2))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 2.0)
    rule = SGD(lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.1, decay_biases=True,
               norm_bias_rate=8.0)  # fmt: skip
    optimizer = rule.build(model, 10)["optimizer"]
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.25)
    optimizer.step()
    for name, parameter in model.named_parameters():
        rate = 0.5 * 8 if name == "1.bias" else 0.5
        moved = rate * 0.25 + 0.5 * 0.1 * 2
        torch.testing.assert_close(parameter, torch.full_like(parameter, 2 - moved), msg=name)


def test_a_rate_of_biases_that_are_not_there_is_refused():
    with pytest.raises(ConfigError, match="no norm with a bias"):
        SGD(norm_bias_rate=8.0).build(nn.Linear(2, 2), 10)


class Run:
    """As much of a trainer and its task as an average sees."""

    global_step, max_steps = 0, 8
    device = torch.device("cpu")

    def __init__(self):
        self.model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_lookahead_goes_on_from_the_slow_average():
    """Every three steps, counted from the end: after the steps 2, 5 and 8 of 8."""
    run, average = Run(), Lookahead(3)
    average.on_fit_start(run, run)
    average.on_train_start(run, run)
    slow = {name: value.clone() for name, value in run.model.state_dict().items()}
    draws = torch.Generator().manual_seed(0)
    for step in range(1, 9):
        fast = {}
        for name, value in run.model.state_dict().items():
            value += torch.ones_like(value) * torch.randint(9, (), generator=draws)
            fast[name] = value.clone()
        run.global_step = step
        average.on_train_batch_end(run, run)
        if step == 6:  # a run that goes on from here has the same slow weights
            again = Lookahead(3)
            again.load_state_dict(average.state_dict())
            again.on_fit_start(run, run)
            again.on_train_start(run, run)
            average = again
        for name, value in run.model.state_dict().items():
            if step in (2, 5, 8) and value.is_floating_point():
                kept = 0.95**5 * (step / 8) ** 3
                slow[name] = kept * slow[name] + (1 - kept) * fast[name]
                torch.testing.assert_close(value, slow[name], msg=name)
            else:
                assert torch.equal(value, fast[name]), name
