"""The ends of the spectrum against the exact Hessian and SciPy's eigenvalues."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
import torch
from torch import nn
from torch.func import functional_call, hessian

from zoo.connection import Site
from zoo.connections.additive import Residual
from zoo.connections.reversible import Reversible
from zoo.errors import ConfigError
from zoo.probes.landscape.hessian import Curvature, curvature, curvature_figure, hessian_product
from zoo.probes.landscape.toy_surface import toy_net
from zoo.stack import Stack


def error(module, batch):
    x, y = batch
    return nn.functional.cross_entropy(module(x), y)


class Net(nn.Sequential):
    """A class of its own, which is compiled in place as those of PyTorch are not."""

    def forward(self, x):
        return super().forward(x)


def small_net():
    torch.manual_seed(0)
    return Net(
        nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3)
    ).double()


def small_batch():
    torch.manual_seed(1)
    return torch.randn(20, 4).double(), torch.randint(3, (20,))


def exact(net, batch, loss=error):
    """All eigenvalues of the Hessian of a net in evaluation mode, by torch.func and SciPy."""
    net.eval()
    names = [name for name, _ in net.named_parameters()]
    shapes = [p.shape for p in net.parameters()]
    flat = torch.cat([p.detach().flatten() for p in net.parameters()])

    def value(weights):
        parts = weights.split([shape.numel() for shape in shapes])
        values = {n: part.view(s) for n, part, s in zip(names, parts, shapes, strict=True)}
        return loss(lambda x: functional_call(net, values, (x,)), batch)

    return scipy.linalg.eigvalsh(hessian(value)(flat).numpy())


def test_both_ends_are_those_of_the_exact_hessian():
    net, batch = small_net(), small_batch()
    values = exact(net, batch)
    ends = curvature(net.train(), batch, error, steps=200, tolerance=1e-6)
    assert ends.largest == pytest.approx(values[-1], rel=1e-9)
    assert ends.smallest == pytest.approx(values[0], rel=1e-6)
    assert ends.concave == pytest.approx(abs(values[0] / values[-1]), rel=1e-6)
    assert values[0] < -1e-3  # a saddle: both signs are tested
    rough = curvature(net, batch, error, steps=200, tolerance=0.1)
    assert rough.steps < ends.steps
    for value, at, bound in zip(
        (-1, 0), (rough.largest, rough.smallest), rough.errors, strict=True
    ):
        assert min(abs(values - at)) <= bound + 1e-12, value


def test_the_product_is_the_matrix_that_scipy_takes():
    net, batch = small_net().eval(), small_batch()
    weights = list(net.parameters())
    multiply = hessian_product(error(net, batch), weights)

    def matvec(vector):
        parts = torch.from_numpy(vector).flatten().split([w.numel() for w in weights])
        product = multiply([part.view_as(w) for part, w in zip(parts, weights, strict=True)])
        return torch.cat([part.flatten() for part in product]).numpy()

    size = sum(w.numel() for w in weights)
    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=matvec, dtype=np.float64)
    (largest,) = scipy.sparse.linalg.eigsh(operator, 1, which="LA", return_eigenvectors=False)
    assert curvature(net, batch, error, 200, 1e-6).largest == pytest.approx(largest, rel=1e-9)


@pytest.mark.parametrize(
    ("skip", "ends"), [("none", (-1, 1)), ("block", (0, 0)), ("layer", (0, 2))]
)
def test_the_origin_of_the_toy_by_hand(skip, ends):
    net = toy_net(skip)
    for p in net.parameters():
        nn.init.zeros_(p)
    found = curvature(net, torch.ones(1, 1).double(), lambda m, x: (m(x) - 1).square().sum() / 2)
    assert (found.smallest, found.largest) == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_net_is_not_run_compiled(in_place):
    net, batch = small_net(), small_batch()
    plain = curvature(net, batch, error)
    calls = []

    def backend(graph, inputs):
        calls.append(1)
        return graph

    compiled = net
    if in_place:
        net.compile(backend=backend)
    else:
        compiled = torch.compile(net, backend=backend)
    found = curvature(compiled, batch, error)
    assert not calls
    assert found.largest == pytest.approx(plain.largest, rel=1e-2)
    with torch.no_grad():
        compiled(batch[0])
    assert calls  # and it is compiled again afterwards


def test_attention_has_a_second_derivative():
    torch.manual_seed(0)
    net = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).double().eval()
    x = torch.randn(2, 3, 4).double()
    weights = list(net.parameters())
    start = nn.utils.parameters_to_vector(weights).detach()

    def loss(module, batch):
        return module(batch).pow(3).mean()

    def gradient(vector):
        nn.utils.vector_to_parameters(vector, weights)
        parts = torch.autograd.grad(loss(net, x), weights)
        return torch.cat([part.flatten() for part in parts])

    steps = 1e-5 * torch.eye(len(start)).double()
    matrix = torch.stack([(gradient(start + e) - gradient(start - e)) / 2e-5 for e in steps])
    nn.utils.vector_to_parameters(start, weights)
    values = scipy.linalg.eigvalsh((matrix + matrix.T).numpy() / 2)
    ends = curvature(net, x, loss, steps=400, tolerance=1e-4)
    assert (ends.smallest, ends.largest) == pytest.approx((values[0], values[-1]), rel=1e-6)


def test_frozen_weights_are_left_out():
    net = nn.Linear(2, 1).double()
    net.bias.requires_grad_(False)
    x = torch.tensor([[3.0, 0.0], [0.0, 1.0]]).double()
    ends = curvature(net, x, lambda m, x: m(x).square().sum() / 2)
    assert (ends.largest, ends.smallest) == pytest.approx((9, 1))
    assert not net.bias.requires_grad


def test_a_linear_loss_is_flat():
    ends = curvature(nn.Linear(3, 1), torch.ones(2, 3), lambda m, x: m(x).sum())
    assert (ends.largest, ends.smallest, ends.concave) == (0, 0, 0)


def test_what_has_no_second_derivative_is_refused():
    branches = [nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2)]
    net = Stack(branches, [Reversible(site) for site in Site.line(4, 2)])
    with pytest.raises(
        ConfigError, match="can be differentiated only once -- hessian -- give a net"
    ):
        curvature(net, torch.ones(2, 4), lambda m, x: m(x).square().sum())
    frozen = nn.Linear(2, 1).requires_grad_(False)
    with pytest.raises(ConfigError, match="the loss depends on no weight -- loss"):
        curvature(frozen, torch.ones(2, 2), lambda m, x: m(x).square().sum())


def test_recomputed_activations_give_the_same():
    branches = [nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(3)]
    sites = [Residual(site) for site in Site.line(4, 3)]
    ends = [
        curvature(
            Stack(branches, sites, checkpoint=checkpoint),
            torch.ones(2, 4),
            lambda m, x: m(x).square().sum(),
        )
        for checkpoint in (False, True)
    ]
    assert ends[0] == ends[1]


def test_a_hessian_of_lost_numbers_is_refused():
    net = nn.Linear(1, 1)
    for p in net.parameters():
        nn.init.zeros_(p)
    with pytest.raises(ConfigError, match="the Hessian is not finite -- hessian"):
        curvature(net, torch.ones(1, 1), lambda m, x: m(x).pow(1.5).sum())  # infinite at 0
    with pytest.raises(ConfigError, match="a loss of inf -- loss"):
        curvature(nn.Linear(1, 1), torch.tensor([[1e30]]), lambda m, x: m(x).pow(4).sum())
    with pytest.raises(ConfigError, match="steps=0 -- hessian"):
        curvature(nn.Linear(1, 1), torch.ones(1, 1), lambda m, x: m(x).pow(4).sum(), steps=0)


def test_the_net_is_as_it_was():
    net, batch = small_net(), small_batch()
    error(net, batch).backward()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradients, random = [p.grad for p in net.parameters()], torch.get_rng_state()
    curvature(net, batch, error)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is g for p, g in zip(net.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), random)
    assert all(part.training for part in net.modules())


def test_the_figure_marks_what_has_the_sign():
    ends = {"saddle": Curvature(5.0, -0.5, (0.0, 0.0), 3), "bowl": Curvature(7.0, 0.1, (0, 0), 3)}
    figure = curvature_figure(ends)
    figure.canvas.draw()
    largest, smallest = figure.axes[0].lines
    assert list(largest.get_xdata()) == [5.0, 7.0]
    assert smallest.get_xdata()[0] == 0.5
    assert np.isnan(smallest.get_xdata()[1])
