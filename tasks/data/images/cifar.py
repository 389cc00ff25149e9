"""CIFAR-10 and CIFAR-100, from the Hub or a folder."""

from __future__ import annotations

from tasks.data.image_source import OnBad
from tasks.data.images.sources import Images
from tasks.data.shares import Seed, Share
from zoo.config.sizes import Batch


class CIFAR10(Images):
    """60,000 colour photographs of 32 x 32 pixels in 10 classes, 10,000 of them for the test.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf

    Args:
        path: folder in the layout of `uoft-cs/cifar10`, columns `img` and `label`; None: that data
            set of the Hub.
        val: share of the 50,000 training images that is for validation.
        seed: of its choice.
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        batch_size: images of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        val: Share = 0.1,
        seed: Seed = 0,
        on_bad: OnBad = "error",
        batch_size: Batch = 128,
    ):
        path = path or "uoft-cs/cifar10"
        super().__init__(
            path,
            image="img",
            label="label",
            val=val,
            seed=seed,
            on_bad=on_bad,
            batch_size=batch_size,
        )


class CIFAR100(Images):
    """60,000 photographs as those of CIFAR-10, in 100 classes of 20 groups.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf

    Args:
        path: folder in the layout of `uoft-cs/cifar100`, columns `img`, `fine_label` and
            `coarse_label`; None: that data set of the Hub.
        coarse: whether the 20 groups are the classes.
        val: share of the 50,000 training images that is for validation.
        seed: of its choice.
        on_bad: at an image that cannot be read, stop with an error, or skip and count it.
        batch_size: images of a training batch over all processes.
    """

    def __init__(
        self,
        path: str | None = None,
        coarse: bool = False,
        val: Share = 0.1,
        seed: Seed = 0,
        on_bad: OnBad = "error",
        batch_size: Batch = 128,
    ):
        path = path or "uoft-cs/cifar100"
        label = "coarse_label" if coarse else "fine_label"
        super().__init__(
            path, image="img", label=label, val=val, seed=seed, on_bad=on_bad, batch_size=batch_size
        )
