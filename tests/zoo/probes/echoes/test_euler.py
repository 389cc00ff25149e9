"""The Euler view: exact on linear fields, against SciPy on others, and on two spirals."""

import math

import numpy as np
import pytest
import torch
from conftest import CONNECTIONS, make_stack
from echo_nets import Hidden, fit, flow_net, two_spirals
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from torch import nn

from zoo.connection import Site
from zoo.connections.additive import Residual, Scaled
from zoo.probes.echoes.euler import euler, euler_figure
from zoo.probes.echoes.flow import Field
from zoo.probes.watch.cut_net import accuracy
from zoo.stack import Stack

A = [[0.0, -0.5], [0.4, -0.1]]


class Times(nn.Module):
    """A branch that multiplies by a matrix."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor(matrix, dtype=torch.float64))

    def forward(self, x):
        return x @ self.matrix.T


def stacked(*branches):
    return Stack(branches, [Residual(site) for site in Site.line(2, len(branches))])


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def ends():
    """A score that returns what a net gives, and a list in which it is kept."""
    kept = []

    def score(net, batch):
        kept.append(net(batch))
        return 0.0

    return score, kept


def test_a_linear_flow_is_exact():
    """Steps are powers of I + h A, the flow is exp(A L), a step shrinks by h |A|."""
    stack, x = stacked(*[Times(A)] * 4), drawn(5, 2)
    score, kept = ends()
    result = euler(stack, x, score=score)
    assert result.steps == (1, 2, 4, 8, 16)
    matrix = np.array(A)
    for count, end in zip(result.steps, kept, strict=False):
        power = np.linalg.matrix_power(np.eye(2) + 4 / count * matrix, count)
        np.testing.assert_allclose(end.numpy(), x.numpy() @ power.T, rtol=1e-10)
    np.testing.assert_allclose(kept[-1].numpy(), x.numpy() @ expm(4 * matrix).T, rtol=1e-7)
    assert torch.equal(kept[2], stack(x))
    assert result.order == pytest.approx(1, abs=0.1)
    sizes = [4 / count * np.linalg.norm(matrix, 2) for count in result.steps]
    assert result.contraction == pytest.approx(sizes, rel=1e-2)


@pytest.mark.parametrize(("factor", "inverted"), [(0.9, True), (-0.9, True), (1.1, False)])
def test_a_step_is_inverted_where_it_contracts(factor, inverted):
    stack = stacked(*[Times([[factor, 0.0], [0.0, -factor / 2]])] * 3)
    result = euler(stack, drawn(5, 2), [3], score=ends()[0])
    assert result.contraction == pytest.approx([abs(factor)], rel=1e-2)
    assert (result.contraction[0] < 1) is inverted
    assert result.inverted == (inverted,)
    assert (result.inversion[0] == math.inf) is not inverted


def test_weights_are_kept_or_interpolated_between_blocks():
    """Halves and doubles of the steps, written out for three blocks of different numbers."""
    a, b, c, d = 0.1, 0.4, -0.2, 0.3
    stack = stacked(*[Times([[one, 0.0], [0.0, one]]) for one in (a, b, c, d)])
    x = drawn(3, 2)
    results = {}
    for weights in ("shared", "interpolated"):
        score, kept = ends()
        assert euler(stack, x, [2, 8], weights, score).inverted == (True, True)
        results[weights] = [(end / x).mean().item() for end in kept[:2]]
    half = (1 + 2 * a) * (1 + 2 * c)
    shared = math.prod((1 + one / 2) ** 2 for one in (a, b, c, d))
    between = [a, (a + b) / 2, b, (b + c) / 2, c, (c + d) / 2, d, d]
    interpolated = math.prod(1 + one / 2 for one in between)
    assert results["shared"] == pytest.approx([half, shared])
    assert results["interpolated"] == pytest.approx([half, interpolated])


@pytest.mark.parametrize("weights", ["shared", "interpolated"])
def test_the_flow_is_that_of_scipy(weights):
    torch.manual_seed(0)
    stack = stacked(*[Hidden(2, 16, torch.tanh) for _ in range(3)]).double()
    field, x = Field(stack, weights), drawn(4, 2)

    def slope(t, y):
        with torch.no_grad():
            return field.at(min(t, 3 - 1e-12))(torch.from_numpy(y).view(4, 2)).flatten().numpy()

    y = x.flatten().numpy()
    for block in range(3):  # shared weights jump between blocks
        span = (block, block + 1 - 1e-12)
        y = solve_ivp(slope, span, y, "DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
    np.testing.assert_allclose(field.flow(x, ()).detach().flatten(), y, atol=1e-7)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_rule_is_stepped_or_refused(name):
    """As it is trained a net is what it is; a state of several tensors has no single field."""
    stack, x = make_stack(name, "mlp", 2), drawn(5, 8).float()
    state = stack.open(x)
    score, kept = ends()
    if not isinstance(state, torch.Tensor):
        with pytest.raises(ValueError, match="one tensor"):
            euler(stack, x, [2], score=score)
        return
    euler(stack, x, [2], score=score)
    torch.testing.assert_close(kept[0], stack(x))


@pytest.mark.parametrize(
    ("blocks", "steps"), [(1, (1, 2, 4)), (3, (1, 3, 6, 12)), (4, (1, 2, 4, 8, 16))]
)
def test_halves_and_doubles_are_the_usual_steps(blocks, steps):
    score, _ = ends()
    assert euler(stacked(*[Times(A)] * blocks), drawn(2, 2), score=score).steps == steps


def test_a_net_is_as_before():
    net = flow_net(4, 0)
    net.append(nn.Dropout(0.5))
    net.train()
    x, labels = two_spirals(0, 40)
    nn.functional.cross_entropy(net(x), labels).backward()
    kept = [value.clone() for value in [*net.state_dict().values()]]
    gradients = [p.grad.clone() for p in net.parameters()]
    state = torch.get_rng_state()
    for weights in ("shared", "interpolated"):
        euler(net, (x, labels), [4, 8], weights)
    assert all(map(torch.equal, kept, net.state_dict().values()))
    assert all(map(torch.equal, gradients, (p.grad for p in net.parameters())))
    assert torch.equal(state, torch.get_rng_state())
    assert all(m.training and "forward" not in vars(m) for m in net.modules())


def test_what_cannot_be_stepped_is_refused():
    x = drawn(5, 2)
    with pytest.raises(ValueError, match="steps=3 neither divides the 4 blocks"):
        euler(stacked(*[Times(A)] * 4), x, [3])
    with pytest.raises(ValueError, match="of the same shapes"):
        euler(stacked(Times(A), Hidden(2, 3, torch.tanh)), x, weights="interpolated")
    with pytest.raises(ValueError, match="this net has 2"):
        euler(nn.Sequential(stacked(Times(A)), stacked(Times(A))), x)


def test_the_figure_marks_what_was_inverted():
    stack = Stack([Times([[3.0, 0.0], [0.0, 1.0]])] * 4,
                  [Scaled(site, exponent=1.0) for site in Site.line(2, 4)])  # fmt: skip
    result = euler(stack, (drawn(6, 2), torch.arange(6) % 2))
    assert result.inverted == (False, False, True, True, True)
    left, right = euler_figure({"four": result}).axes
    marks = [line.get_marker() for line in right.get_lines() if len(line.get_xdata()) == 1]
    assert marks == ["x", "x", "o", "o", "o"]
    assert tuple(left.get_lines()[0].get_ydata()) == result.score


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_spirals(seed):
    """A net of 4 steps needs just these; one of 32 steps is near to a flow; one step does too."""
    train, test = two_spirals(seed), two_spirals(seed + 100)
    results = {}
    for steps in (1, 4, 32):
        net = flow_net(steps, seed)
        fit(net, train, 600, seed, rate=1e-2, size=256, clip=1.0, anneal=True)
        results[steps] = euler(net, test, None if steps > 1 else [1, 2])
        trained = results[steps].score[results[steps].steps.index(steps)]
        assert trained == accuracy(net, test) > 0.9
    few, many = results[4], results[32]
    score = {steps: dict(zip(one.steps, one.score, strict=True)) for steps, one in results.items()}
    assert score[4][4] - score[4][8] >= 0.1
    assert score[32][32] - score[32][64] <= 0.1
    assert many.order == pytest.approx(1, abs=0.1)
    assert not any(few.inverted[:3])
    pairs = zip(many.inverted, many.contraction, strict=True)
    assert all(inverted for inverted, size in pairs if size < 1)
