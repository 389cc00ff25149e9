"""Losses, metrics and augmentation of segmentation against independent references."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from sklearn.metrics import f1_score, jaccard_score

from tasks.data.masks.dataset import UNLABELLED
from tasks.unet.augment import AugmentMasks
from tasks.unet.losses import SegmentationLoss, weights_of
from tasks.unet.metrics import confusions, overlap_metrics, rim_counts, rim_width, rims


def drawn(shape=(3, 6, 5), size=4, seed=0, unlabelled=0.2):
    draws = torch.Generator().manual_seed(seed)
    y = torch.randint(size, shape, generator=draws).to(torch.uint8)
    y[torch.rand(shape, generator=draws) < unlabelled] = UNLABELLED
    logits = torch.randn(shape[0], size, *shape[1:], generator=draws)
    return logits, y


def loss(kinds, logits, y, weights=None, classes=None, gamma=2.0):
    classes = torch.ones(logits.shape[1]) if classes is None else torch.tensor(classes)
    criterion = SegmentationLoss(kinds, weights, classes, gamma)
    return criterion.value(criterion.sums(logits, y))


# Losses.


@pytest.mark.parametrize("classes", [None, [1.0, 0.5, 3.0, 0.0]])
def test_cross_entropy_is_pytorchs(classes):
    logits, y = drawn()
    weight = None if classes is None else torch.tensor(classes)
    expected = F.cross_entropy(logits, y.long(), weight, ignore_index=UNLABELLED)
    torch.testing.assert_close(loss(["cross_entropy"], logits, y, classes=classes), expected)


def test_focal_loss_by_hand():
    """A pixel with p = 0.8 and one with p = 0.5, gamma 2: 0.2^2 0.2231, 0.5^2 0.6931."""
    p = torch.tensor([[0.8, 0.5], [0.2, 0.5]])
    y = torch.tensor([[[0, 1]]], dtype=torch.uint8)
    value = loss(["focal"], p.log()[None, :, None], y)
    assert value.item() == pytest.approx((0.04 * 0.22314 + 0.25 * 0.69315) / 2, rel=1e-4)
    weighted = loss(["focal"], p.log()[None, :, None], y, classes=[1.0, 3.0])
    assert weighted.item() == pytest.approx((0.04 * 0.22314 + 3 * 0.25 * 0.69315) / 4, rel=1e-4)
    logits, y = drawn()
    plain, focal = loss(["cross_entropy"], logits, y), loss(["focal"], logits, y, gamma=0.0)
    torch.testing.assert_close(plain, focal)


def test_dice_by_hand():
    """Class 0: 2 (0.9 + 0.6) / (1.5 + 0.3 + 2); class 1: 2 0.7 / (0.7 + 0.5 + 1)."""
    p = torch.tensor([[0.9, 0.6, 0.3, 0.5], [0.1, 0.4, 0.7, 0.5]])
    y = torch.tensor([[[0, 0, 1, UNLABELLED]]], dtype=torch.uint8)
    first, second = 1 - 3.0 / 3.8, 1 - 1.4 / 2.2
    value = loss(["dice"], p.log()[None, :, None], y)
    assert value.item() == pytest.approx((first + second) / 2)
    weighted = loss(["dice"], p.log()[None, :, None], y, classes=[1.0, 3.0])
    assert weighted.item() == pytest.approx((first + 3 * second) / 4)


def test_dice_of_a_perfect_answer_is_zero_also_without_a_class():
    _, y = drawn(size=2, unlabelled=0.0)
    logits = 50 * F.one_hot(y.long(), 3).movedim(-1, 1).float()
    assert loss(["dice"], logits, y).item() == pytest.approx(0, abs=1e-5)


def test_sums_of_losses_and_their_weights():
    logits, y = drawn()
    each = [loss([kind], logits, y) for kind in ("cross_entropy", "dice", "focal")]
    torch.testing.assert_close(loss(["cross_entropy", "dice"], logits, y), each[0] + each[1])
    weighted = loss(["cross_entropy", "dice", "focal"], logits, y, [1.0, 0.5, 2.0])
    torch.testing.assert_close(weighted, each[0] + 0.5 * each[1] + 2 * each[2])
    with pytest.raises(ValueError, match="1 losses have 2"):
        loss(["dice"], logits, y, [1.0, 2.0])


@pytest.mark.parametrize("kind", ["cross_entropy", "dice", "focal"])
def test_losses_of_parts_of_a_batch_are_that_of_the_whole(kind):
    """And unlabelled pixels have no gradient, an unlabelled batch no loss."""
    logits, y = drawn()
    logits.requires_grad_()
    criterion = SegmentationLoss([kind], None, torch.ones(4), 2.0)
    parts = [criterion.sums(logits[i : i + 1], y[i : i + 1]) for i in range(3)]
    both = {name: sum(part[name] for part in parts) for name in parts[0]}
    whole = criterion.value(criterion.sums(logits, y))
    torch.testing.assert_close(criterion.value(both), whole)
    whole.backward()
    hidden = (y == UNLABELLED)[:, None].expand_as(logits)
    assert logits.grad[hidden].abs().max() == 0
    assert logits.grad[~hidden].abs().min() > 0
    assert criterion.value(criterion.sums(logits, torch.full_like(y, UNLABELLED))) == 0


# Metrics.


def test_iou_and_dice_are_scikit_learns():
    logits, y = drawn((4, 9, 8), 5)
    guess = logits.argmax(1)
    counts = sum(confusions(a[None], b[None], 5).sum(0) for a, b in zip(y, guess, strict=True))
    metrics = overlap_metrics(counts, rim_counts(y, guess, 5), "abcde")
    known = y != UNLABELLED
    true, answer = y[known].numpy(), guess[known].numpy()
    assert metrics["mean_iou"] == pytest.approx(jaccard_score(true, answer, average="macro"))
    assert metrics["dice"] == pytest.approx(f1_score(true, answer, average="macro"))
    assert metrics["accuracy"] == pytest.approx((true == answer).mean())
    each = jaccard_score(true, answer, average=None)
    assert [metrics[f"iou/{name}"] for name in "abcde"] == pytest.approx(each.tolist())


def test_classes_that_nobody_has_are_left_out():
    y = torch.tensor([[[0, 0], [1, 1]]], dtype=torch.uint8)
    guess = torch.tensor([[[0, 2], [1, 1]]])
    metrics = overlap_metrics(confusions(y, guess, 5).sum(0), rim_counts(y, guess, 5), "abcde")
    assert metrics["mean_iou"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert [name for name in metrics if "/" in name] == ["iou/a", "iou/b", "iou/c"]


def eroded(mask, width):
    """As in the authors' code: a square of 3, `width` times, with nothing around the image."""
    return ndimage.binary_erosion(mask, np.ones((3, 3)), width, border_value=0)


@pytest.mark.parametrize("shape", [(20, 30), (60, 80), (7, 200)])
def test_boundary_iou_is_that_of_its_definition(shape):
    rng = np.random.default_rng(0)
    blobs = ndimage.gaussian_filter(rng.normal(size=(2, 3, *shape)), (0, 0, 3, 3))
    y, guess = (blobs[0]).argmax(0), (blobs[0] + 0.4 * blobs[1]).argmax(0)
    width = max(1, round(0.02 * np.hypot(*shape)))
    assert rim_width(*shape) == width
    expected = []
    for label in range(3):
        true, predicted = y == label, guess == label
        true, predicted = true & ~eroded(true, width), predicted & ~eroded(predicted, width)
        expected.append((true & predicted).sum() / (true | predicted).sum())
    tensors = [torch.from_numpy(part)[None] for part in (y.astype(np.uint8), guess)]
    rim = rim_counts(*tensors, 3)
    shared, first, second = rim.double()
    assert (shared / (first + second - shared)).tolist() == pytest.approx(expected)
    metrics = overlap_metrics(confusions(*tensors, 3).sum(0), rim, "abc")
    assert metrics["boundary_iou"] == pytest.approx(np.mean(expected))


def test_unlabelled_pixels_make_no_contour():
    y = torch.zeros(1, 9, 9, dtype=torch.uint8)
    y[0, 3:6, 3:6] = UNLABELLED
    rim = rims(y, 1)
    assert rim[0, 1:-1, 1:-1].sum() == 0
    assert rim.sum() == 32
    guess = torch.ones(1, 9, 9).long()
    guess[y != UNLABELLED] = 0
    assert rim_counts(y, guess, 2).tolist() == [[32, 0], [32, 0], [32, 0]]


# Augmentation.

EVERY = AugmentMasks(True, True, True, 6, brightness=0.1, contrast=0.2)


def pair(count=20, height=8, width=10):
    """Images whose only channel is the mask."""
    draws = torch.Generator().manual_seed(0)
    masks = torch.randint(5, (count, height, width), generator=draws).to(torch.uint8)
    return masks[:, None].float(), masks


@pytest.mark.parametrize(
    "augment",
    [EVERY, AugmentMasks(flip=True), AugmentMasks(flip_vertical=True, crop=100)],
)
def test_image_and_mask_move_together(augment):
    images, masks = pair()
    which = torch.arange(20)
    draws = augment.draw(0, 3, 20, 8, 10)
    x, y = augment.geometric(images, masks, draws, which)
    assert torch.equal(x[:, 0], y.float())
    assert y.shape[1:] == augment.window(8, 10)
    part = torch.arange(1, 20, 2)
    again = augment.geometric(images[part], masks[part], draws, part)
    assert torch.equal(again[1], y[part])
    other = augment.geometric(images, masks, augment.draw(0, 4, 20, 8, 10), which)
    assert not torch.equal(other[1], y)


def test_windows_are_cut_flipped_and_turned():
    """Every image is one of the views that can be cut from it, and all kinds occur."""
    _, masks = pair(64, 6, 6)
    augment = AugmentMasks(True, True, True, 4)
    _, y = augment.geometric(
        masks[:, None].float(), masks, augment.draw(1, 0, 64, 6, 6), torch.arange(64)
    )
    kinds = set()
    for mask, seen in zip(masks, y, strict=True):
        views = {
            (top, left, flip, quarters): mask[top : top + 4, left : left + 4]
            .flip([1] if flip else [])
            .rot90(quarters)
            for top in range(3)
            for left in range(3)
            for flip in (False, True)
            for quarters in range(4)
        }
        fits = [key for key, view in views.items() if torch.equal(view, seen)]
        assert len(fits) == 1
        kinds.add(fits[0])
    assert len({key[:2] for key in kinds}) == 9
    assert len({key[2:] for key in kinds}) == 8


@pytest.mark.parametrize(("name", "axis"), [("flip", 2), ("flip_vertical", 1)])
def test_each_flip_has_its_own_axis(name, axis):
    """Half of the images are flipped along it, and nothing else happens to them."""
    images, masks = pair(60)
    augment = AugmentMasks(**{name: True})
    _, y = augment.geometric(images, masks, augment.draw(0, 0, 60, 8, 10), torch.arange(60))
    same = (y == masks).flatten(1).all(1)
    flipped = (y == masks.flip(axis)).flatten(1).all(1)
    assert (same ^ flipped).all()
    assert 15 < flipped.sum() < 45


def test_zoom():
    """Image and mask agree where nothing is interpolated; beyond the image is no label."""
    masks = torch.zeros(40, 32, 32, dtype=torch.uint8)
    masks[:, 8:24, 12:28] = 1
    images = masks[:, None].float() * 2 - 1
    augment = AugmentMasks(scale=2.0)
    x, y = augment.geometric(images, masks, augment.draw(0, 0, 40, 32, 32), torch.arange(40))
    assert torch.equal(x[:, 0][y == UNLABELLED].abs().round(), x[:, 0][y == UNLABELLED].abs() * 0)
    inside = y != UNLABELLED
    assert ((x[:, 0] > 0) == (y == 1))[inside].float().mean() > 0.99
    areas = (y == 1).sum((1, 2)) / 256
    whole = [
        a
        for a, mask in zip(areas.tolist(), y == 1, strict=True)
        if not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
    ]
    assert 0.2 < min(whole) < 0.5
    assert max(whole) > 1.5
    assert (y == UNLABELLED).flatten(1).any(1).float().mean() == pytest.approx(0.5, abs=0.2)


def test_colours_are_jittered_within_their_bounds():
    images = torch.rand(30, 3, 4, 4)
    std = torch.full((3, 1, 1), 0.25)
    augment = AugmentMasks(brightness=0.1, contrast=0.5)
    draws, which = augment.draw(0, 0, 30, 4, 4), torch.arange(30)
    jittered = augment.colour_jitter(images, std, draws, which)
    shift = (jittered.mean((1, 2, 3)) - images.mean((1, 2, 3))) * 0.25
    factor = jittered.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.05 < shift.abs().max() <= 0.1
    assert 0.5 <= factor.min() < 0.8 < 1.2 < factor.max() <= 1.5
    assert torch.equal(AugmentMasks().colour_jitter(images, std, draws, which), images)


def test_balanced_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    from tasks.data.masks.cells import Cells

    data = Cells(6, 1, 1).load()
    pixels = data.masks[data.train].flatten().numpy()
    expected = compute_class_weight("balanced", classes=np.arange(3), y=pixels)
    assert weights_of(data, "balanced").tolist() == pytest.approx(expected.tolist())
    roots = np.sqrt(expected)
    damped = roots / roots[pixels].mean()
    assert weights_of(data, "damped").tolist() == pytest.approx(damped.tolist())
