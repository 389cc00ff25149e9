"""The step that a diagnosis sees is the one that the optimiser takes."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tasks.training.chained import ChainedOptimizer
from zoo.diagnosis.causes.steps import update_ratio
from zoo.diagnosis.diagnose import diagnose
from zoo.diagnosis.examine import examine


class Noisy(torch.optim.SGD):
    """Descent by a part of the gradient and a random draw, with an attribute of its own."""

    def __init__(self, params, lr, shrink):
        super().__init__(params, lr)
        self.shrink = shrink

    @torch.no_grad()
    def step(self, closure=None):
        moving = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        for p in moving:
            p.sub_(p.grad * self.param_groups[0]["lr"] / self.shrink + 1e-9 * torch.randn(()))


OPTIMIZERS = {
    "sgd": lambda net: torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=0.1),
    "adam": lambda net: torch.optim.Adam(net.parameters(), 0.01, fused=True),
    "adagrad": lambda net: torch.optim.Adagrad(net.parameters(), 0.01),
    "own": lambda net: Noisy(net.parameters(), 0.1, shrink=3.0),
    "two": lambda net: ChainedOptimizer(
        torch.optim.SGD(net[0].parameters(), 0.1), torch.optim.AdamW(net[2].parameters(), 0.01)
    ),
}


def loss(net, batch):
    return cross_entropy(net(batch[0]), batch[1])


def train(net, batch, optimizer, clip, steps=1):
    for _ in range(steps):
        optimizer.zero_grad()
        loss(net, batch).backward()
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
    optimizer.zero_grad()


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    for layer in (net[0], net[2]):
        layer.weight.data *= 2  # well above the size from which a weight is measured
    return net


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(32, 8), torch.randint(3, (32,))


@pytest.mark.parametrize("clip", [None, 0.01])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_is_the_size_of_the_next_step(name, clip, net, batch):
    optimizer = OPTIMIZERS[name](net)
    train(net, batch, optimizer, clip, steps=3)
    state = copy.deepcopy(optimizer.state_dict())
    before = [p.detach().clone() for p in net.parameters()]
    random = torch.get_rng_state()
    ratio = update_ratio(examine(net, batch, loss, optimizer, clip))
    assert torch.get_rng_state().equal(random)
    torch.testing.assert_close(optimizer.state_dict(), state, rtol=0, atol=0)
    torch.testing.assert_close([*net.parameters()], before, rtol=0, atol=0)
    train(net, batch, optimizer, clip)
    moved = [
        float((p.detach() - old).norm() / old.norm())
        for p, old in zip(net.parameters(), before, strict=True)
        if p.ndim > 1
    ]
    of = max if name == "two" else min  # of two groups the larger, of two weights the lower
    assert ratio == pytest.approx(of(moved), rel=1e-4)


def test_a_rate_that_a_schedule_brought_to_nothing_is_not_too_small(net, batch):
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: float(step < 2))
    for _ in range(3):
        train(net, batch, optimizer, None)
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0
    assert diagnose(net, batch, loss, optimizer).findings == []
    (found,) = diagnose(net, batch, loss, torch.optim.Adam(net.parameters(), 1e-12)).findings
    assert found.cause == "step_too_small"


def test_a_head_of_zeros_in_a_group_of_its_own_takes_usual_steps(net, batch):
    nn.init.zeros_(net[2].weight)
    groups = [{"params": net[:2].parameters(), "lr": 1e-4}, {"params": net[2].parameters()}]
    optimizer = torch.optim.Adam(groups, 1e-3)
    for _ in range(6):
        assert diagnose(net, batch, loss, optimizer).findings == []
        train(net, batch, optimizer, None)
    groups[1]["lr"] = 1.0
    (found,) = diagnose(net, batch, loss, torch.optim.Adam(groups)).findings
    assert found.cause == "step_too_large"


def test_an_optimiser_that_computes_the_loss_again_is_left_alone(net, batch):
    optimizer = torch.optim.LBFGS(net.parameters())
    assert diagnose(net, batch, loss, optimizer).findings == []
