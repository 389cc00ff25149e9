"""Batches of mixed images: the labels have the shares of the pixels."""

from itertools import islice

import pytest
import torch
import torch.nn.functional as F

from tasks.cnn.task import ImageClassification
from tasks.data.images.augment import Augment, cut_box
from tasks.data.images.dataset import ImageSet
from tasks.training.optimizers import SGD
from zoo.connections.additive import Residual
from zoo.models.cnn import CNN
from zoo.norm import NoNorm
from zoo.seeding import redraw

CLASSES, COUNT = 4, 24


def make(**options):
    """A task whose images tell their class: channel k is white and the others are black."""
    labels = torch.arange(COUNT) % CLASSES
    images = 255 * F.one_hot(labels, CLASSES).to(torch.uint8)[:, :, None, None]
    parts = torch.arange(COUNT).tensor_split([16, 20])
    names, zero, one = tuple("abcd"), (0.0,) * CLASSES, (1.0,) * CLASSES
    whole = images.expand(-1, -1, 8, 8).contiguous()
    data = ImageSet(whole, labels, *parts, names, zero, one, "here", batch_size=8)

    def make_model(**model_args):
        return CNN(connect=Residual, norm_placement=NoNorm(), depth=8, width=[8], **model_args)

    task = ImageClassification(make_model, data, SGD(), 0, **options)
    redraw(task.model, 0)
    task.setup("fit")
    return task


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("mixing", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}])
def test_the_loss_is_that_of_labels_mixed_as_the_pixels_are(mixing, smoothing):
    task, uneven = make(**mixing, label_smoothing=smoothing), 0
    for number, examples in islice(task.train_loader(), 8):
        x, *_ = task.inputs(number, examples)
        shares = x.mean((2, 3))
        torch.testing.assert_close(shares.sum(1), torch.ones(len(x)))
        uneven += int((shares.amax(1) < 0.999).sum())
        expected = F.cross_entropy(task.model(x), shares, label_smoothing=smoothing)
        torch.testing.assert_close(task.loss((number, examples)), expected)
    assert uneven > 16


def test_both_kinds_of_mixing_take_turns():
    task = make(mixup=1.0, cutmix=1.0)
    kinds = set()
    for number, examples in islice(task.train_loader(), 12):
        x, *_ = task.inputs(number, examples)
        kinds.add(bool((x % 1 != 0).any()))
    assert kinds == {False, True}  # a box leaves every pixel as it is


def test_boxes_of_cutmix_are_spread_as_their_shares():
    """Of a box that the border does not cut, sides are the root of the area (Yun et al. 2019)."""

    class Centre:
        def integers(self, low, high):
            return high // 2

    for share in (0.0, 0.36, 0.75, 1.0):
        box, left = cut_box(Centre(), share, 100, 60)
        sizes = [part.stop - part.start for part in box]
        assert sizes == pytest.approx([100 * (1 - share) ** 0.5, 60 * (1 - share) ** 0.5], abs=1)
        assert left == pytest.approx(share, abs=0.03)


def test_windows_of_a_crop_reach_every_side():
    tops, lefts = Augment(crop=2).draw(0, 0, 400, 8, 8).window
    assert set(tops.tolist()) == set(lefts.tolist()) == {0, 1, 2, 3, 4}


def test_labels_of_validation_are_not_smoothed():
    task = make(label_smoothing=0.3, mixup=1.0)
    batch = next(iter(task.loader("val")))
    with task.evaluating():
        expected = F.cross_entropy(task.logits(batch), task.targets[batch], reduction="sum")
        torch.testing.assert_close(task.eval_sums(batch)["loss"], expected)
