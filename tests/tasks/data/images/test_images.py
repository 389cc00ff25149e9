"""Images: the embedded digits, folders in the Hub's layout, odd files and wrong options."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from tasks.data.image_dataset import channel_statistics
from tasks.data.images.dataset import ImageSet
from tasks.data.images.digits import Digits
from tasks.data.shares import stratified_split
from zoo.errors import DataError


def test_digits():
    data = Digits().load()
    assert data.images.shape == (1797, 1, 8, 8)
    assert (len(data.train), len(data.val), len(data.test)) == (1293, 144, 360)
    assert data.classes == tuple("0123456789")
    assert data.images.min() == 0
    assert data.images.max() == 255
    counts = data.labels.bincount()
    for part in (data.train, data.val, data.test):
        share = data.labels[part].bincount() / len(part)
        assert (share - counts / 1797).abs().max() < 0.01
    pixels = data.images[data.train].double() / 255
    assert data.mean == pytest.approx([pixels.mean().item()])
    assert data.std == pytest.approx([pixels.std(correction=0).item()])


def test_the_split_of_digits_follows_from_its_seed():
    one, again, other = (Digits(seed=seed).load() for seed in (0, 0, 1))
    assert one.digest() == again.digest() != other.digest()
    assert torch.equal(one.test, other.test)
    assert not torch.equal(one.val, other.val)


def test_digits_need_no_datasets_library():
    code = (
        "import sys; from tasks.data.images.digits import Digits; Digits().load();"
        "print([m for m in ('datasets', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_stratified_keeps_one_example_of_every_class():
    labels = torch.tensor([0] * 70 + [1] * 29 + [2])
    rest, part = stratified_split(labels, torch.arange(100), 10, 0, "val")
    assert labels[part].bincount().tolist() == [7, 3]
    assert sorted([*rest.tolist(), *part.tolist()]) == [*range(100)]
    rest, part = stratified_split(torch.arange(4), torch.arange(4), 2, 0, "val")
    assert (len(rest), len(part)) == (4, 0)


def test_a_constant_channel_has_deviation_one():
    images = torch.zeros(3, 2, 4, 4, dtype=torch.uint8)
    images[:, 0], images[0, 1] = 51, 255
    mean, std = channel_statistics(images, torch.arange(3))
    assert mean == pytest.approx((0.2, 1 / 3))
    assert std == pytest.approx((1.0, 2**0.5 / 3))


def small(**changes):
    images = torch.arange(6 * 3 * 2 * 2).reshape(6, 3, 2, 2).to(torch.uint8)
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    parts = [torch.tensor(part) for part in ([0, 1], [2, 3], [4, 5])]
    data = ImageSet(images, labels, *parts, ("a", "b"), (0.5,) * 3, (0.2,) * 3, "here")
    return replace(data, **changes)


def test_a_sound_set_is_its_own_check():
    data = small()
    assert data.checked() is data
    for changes in ({"images": data.images.flip(0)}, {"targets": data.labels.flip(0)}):
        assert small(**changes).digest() != data.digest()
    assert small(val=data.test, test=data.val).digest() != data.digest()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": torch.zeros(6, 3, 2, 2)}, "torch.float32 of shape"),
        ({"images": torch.zeros(6, 2, 2, dtype=torch.uint8)}, "shape"),
        ({"images": torch.zeros(0, 3, 2, 2, dtype=torch.uint8)}, "shape"),
        ({"targets": torch.zeros(5, dtype=torch.long)}, "labels are torch.int64 of shape"),
        ({"targets": torch.zeros(6)}, "labels are torch.float32"),
        pytest.param(
            {"targets": torch.tensor([0, 1, 2, 0, 1, 2])},
            "from 0 to 2 with 2 classes",
            marks=pytest.mark.fault(14),
        ),
        pytest.param(
            {"targets": torch.tensor([0, 1, -1, 0, 1, 0])},
            "from -1 to 1",
            marks=pytest.mark.fault(14),
        ),
        ({"classes": ("a",)}, r"1 class "),
        ({"classes": ("a", "a")}, "one name"),
        ({"val": torch.tensor([], dtype=torch.long)}, "val part is empty"),
        ({"test": torch.tensor([6])}, "test part names images outside 0 to 5"),
        ({"train": torch.tensor([0, 0])}, "train part repeats"),
        ({"test": torch.tensor([2, 4])}, "two parts share 1 image"),
        ({"mean": (0.5,)}, "do not fit 3 channels"),
        ({"std": (0.2, 0.0, 0.2)}, "positive std"),
        ({"std": (0.2, float("nan"), 0.2)}, "positive std"),
    ],
)
def test_a_wrong_set_is_refused(changes, words):
    with pytest.raises(DataError, match=words) as caught:
        small(**changes).checked()
    assert " -- here -- " in str(caught.value)
