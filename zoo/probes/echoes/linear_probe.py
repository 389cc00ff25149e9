"""A linear probe: what a linear map can read from features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DECAY = 1.0  # of the squared weights, over all examples, as scikit-learn's C = 1
STEPS = 100


def linear_probe(x: Tensor, labels: Tensor, x_test: Tensor, labels_test: Tensor) -> float:
    r"""The accuracy of a multinomial logistic regression that is fitted to other features.

    Equation: min_W,b sum_i CE(W x_i + b, y_i) + |W|^2 / 2, features of mean 0 and variance 1
    Source: Alain and Bengio 2016, arXiv:1610.01644, section 3.

    Args:
        x: `[N, C]` features to fit.
        labels: `[N]`.
        x_test: `[M, C]` features to score.
        labels_test: `[M]`.

    >>> x = torch.tensor([[-1.0], [1.0]]).repeat(20, 1)
    >>> linear_probe(x, (x[:, 0] > 0).long(), x, (x[:, 0] > 0).long())
    1.0
    """
    x, x_test = x.detach().double(), x_test.detach().double()
    mean, scale = x.mean(0), x.std(0, correction=0)
    scale = torch.where(scale > 1e-12 * (mean.abs() + 1), scale, 1.0)
    x, x_test = (x - mean) / scale, (x_test - mean) / scale
    classes = int(max(labels.max(), labels_test.max())) + 1
    with torch.enable_grad():
        weight = x.new_zeros(classes, x.shape[1], requires_grad=True)
        bias = x.new_zeros(classes, requires_grad=True)
        search = torch.optim.LBFGS(
            [weight, bias], max_iter=STEPS, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            search.zero_grad()
            logits = nn.functional.linear(x, weight, bias)
            loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
            loss = (loss + DECAY / 2 * weight.square().sum()) / len(x)
            loss.backward()
            return loss

        search.step(closure)
    with torch.no_grad():
        guess = nn.functional.linear(x_test, weight, bias).argmax(1)
    return (guess == labels_test).double().mean().item()
