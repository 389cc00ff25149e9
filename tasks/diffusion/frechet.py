"""A Fréchet distance in the features of a small classifier of the same data.

It compares runs on one data set. It is no FID: those features come from Inception on ImageNet.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.data.file_rows import Bytes, taken

FEATURES = 32
STEPS = 300  # of training
BATCH = 64  # images of a training step
AT_ONCE = 512  # images whose features are computed together


class Classifier(nn.Module):
    """A net of convolutions down to 4 x 4 positions, 32 features and logits.

    Shapes: images `[B, C, H, W]` uint8 to features `[B, 32]`.

    Args:
        channels: C.
        classes: number of logits.
        side: the longer one of H and W.
    """

    def __init__(self, channels: int, classes: int, side: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, 16, 3, 1, 1), nn.ReLU()]
        width = 16
        while side > 4:
            layers += [nn.Conv2d(width, 32, 3, 2, 1), nn.ReLU()]
            width, side = 32, -(-side // 2)
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.features = nn.Linear(16 * width, FEATURES)
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        return F.relu(self.features(self.body(images.float() / 127.5 - 1)))

    @torch.no_grad()
    def features_of(self, images: Bytes, examples: Tensor) -> Tensor:
        """The features `[n, 32]` of examples `[n]` long, in double precision on the CPU.

        Args:
            images: `[N, C, H, W]`, of bytes.
            examples: numbers of those that are wanted.
        """
        device = self.head.weight.device
        chunks = (taken(images, some, device) for some in examples.split(AT_ONCE))
        return torch.cat([self(chunk).double().cpu() for chunk in chunks])


def train_classifier(
    images: Bytes, labels: Bytes, examples: Tensor, classes: int, device: torch.device
) -> Classifier:
    """Trains a classifier of images, which comes out the same every time.

    Args:
        images: `[N, C, H, W]` uint8.
        labels: `[N]` long.
        examples: `[n]` long, the numbers of the images that are trained on.
        classes: number of classes.
        device: that computes.
    """
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        torch.manual_seed(0)
        net = Classifier(images.shape[1], classes, max(images.shape[2:])).to(device)
        optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, STEPS)
        for _ in range(STEPS):
            which = examples[torch.randint(len(examples), (BATCH,))]
            x, y = taken(images, which, device), taken(labels, which, device)
            optimizer.zero_grad()
            F.cross_entropy(net.head(net(x)), y).backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def frechet(a: Tensor, b: Tensor) -> float:
    """The distance between the normal distributions of two sets of features.

    Equation: |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)), m means, A and B covariances
    Source: Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X, eq. 4.

    Args:
        a: `[N, F]`, the features of N images.
        b: `[M, F]`, those of M others.

    >>> frechet(torch.tensor([[-1.0], [1.0]]), torch.tensor([[2.0], [4.0]]))
    9.0
    """
    covariances = [torch.cov(x.double().T).reshape(x.shape[1], -1) for x in (a, b)]
    values, vectors = torch.linalg.eigh(covariances[0])
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    squares = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp(min=0)
    means = (a.double().mean(0) - b.double().mean(0)).square().sum()
    traces = sum(covariance.trace() for covariance in covariances)
    return float(means + traces - 2 * squares.sqrt().sum())
