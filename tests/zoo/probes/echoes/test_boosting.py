"""The boosting view: exact on linear branches, alike for rules that start alike, and on digits."""

import copy
import math

import pytest
import torch
from conftest import CONNECTIONS, Convolution, make_stack
from echo_nets import digits_net, digits_parts, fit
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from zoo.config.registry import factory, options
from zoo.connection import Site
from zoo.connections.additive import Plain, Residual
from zoo.probes.echoes.boosting import boosting, boosting_figure
from zoo.probes.echoes.linear_probe import linear_probe
from zoo.probes.watch.cut_net import accuracy
from zoo.stack import Stack


class Times(nn.Module):
    """A branch that multiplies by a matrix."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor(matrix))

    def forward(self, x):
        return x @ self.matrix.T


def half_square(net, batch):
    return net(batch[0]).square().sum() / 2


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_cosines_of_linear_branches_by_hand():
    """With L = |h|^2 / 2 a branch -c h follows -gradient, c h the gradient, a turn neither."""
    shrink, grow = [[-0.5, 0.0], [0.0, -0.5]], [[0.5, 0.0], [0.0, 0.5]]
    turn, mixed = [[0.0, -1.0], [1.0, 0.0]], [[-0.5, 0.0], [0.0, 0.5]]
    branches = [Times(matrix) for matrix in (shrink, grow, turn, mixed)]
    stack = Stack(branches, [Residual(site) for site in Site.line(2, 4)])
    x = torch.tensor([[2.0, 1.0], [4.0, 2.0]])
    result = boosting(stack, (x, torch.tensor([0, 1])), (x, torch.tensor([0, 1])), loss=half_square)
    # before the last block h = (1 - J) 3/2 1/2 x ~ (1, 3), its gradient ~ (1/4, 9/4) (1, 3)
    h, after = torch.tensor([1.0, 3.0]), torch.tensor([0.25, 6.75])
    last = -torch.cosine_similarity(torch.tensor([-0.5, 1.5]), after, 0).item()
    # before the turn the gradient is (1 + J)^T of that, with J the turn
    before = after + torch.tensor([after[1], -after[0]])
    gradient, start = before, x[0] / x[0].norm()
    cosines = [
        torch.dot(start, gradient).item() / gradient.norm().item(),
        -torch.dot(start, gradient).item() / gradient.norm().item(),
        -torch.cosine_similarity(torch.tensor([-1.0, 2.0]), gradient, 0).item(),
        last,
    ]
    assert h.tolist() == [1.0, 3.0]
    assert result.cosine == pytest.approx(cosines, abs=1e-6)


def test_one_block_follows_or_opposes_the_gradient():
    for factor, expected in ((-0.5, 1.0), (0.5, -1.0)):
        matrix = [[factor, 0.0], [0.0, factor]]
        stack = Stack([Times(matrix)], [Residual(Site(2))])
        batch = drawn(5, 2), torch.arange(5) % 2
        result = boosting(stack, batch, batch, loss=half_square)
        assert result.cosine == pytest.approx([expected])


def by_hand(stack, head, x, labels):
    """Cosines of a residual net by a loop of its own."""
    h, streams, updates = x.double(), [], []
    stack, head = copy.deepcopy(stack).double(), copy.deepcopy(head).double()
    for branch in stack.branches:
        h = h.detach().requires_grad_() if not streams else h
        h.retain_grad()
        streams.append(h)
        updates.append(branch(h))
        h = h + updates[-1]
    nn.functional.cross_entropy(head(h), labels).backward()
    pairs = zip(updates, streams, strict=True)
    return [-torch.cosine_similarity(y, h.grad, 1, 1e-300).mean().item() for y, h in pairs]


RESIDUAL = [
    name
    for name in CONNECTIONS
    if factory("connection", name, options("connection", name))(Site(8)).init_equals == "residual"
]


@pytest.mark.parametrize("name", RESIDUAL)
def test_rules_that_start_as_residual_are_seen_alike(name):
    """Also where the state is a history or several streams."""
    x, labels = drawn(20, 8), torch.arange(20) % 3
    torch.manual_seed(0)
    head = nn.Linear(8, 3)
    plain = make_stack("residual", "mlp")
    result = boosting(nn.Sequential(make_stack(name, "mlp"), head), (x, labels), (x, labels))
    residual = boosting(nn.Sequential(plain, head), (x, labels), (x, labels))
    assert result.cosine == pytest.approx(by_hand(plain, head, x, labels), abs=1e-5)
    assert result.lens == residual.lens
    assert result.probe == residual.probe


def test_the_lens_reads_a_shorter_net():
    x, labels = drawn(200, 8), torch.arange(200) % 3
    torch.manual_seed(0)
    stack, head = make_stack("residual", "mlp"), nn.Linear(8, 3)
    result = boosting(nn.Sequential(stack, head), (x, labels), (x, labels))
    for depth in range(4):
        short = Stack(stack.branches[:depth], stack.sites[:depth])
        assert result.lens[depth] == accuracy(nn.Sequential(short, head), (x, labels))


class Block(nn.Module):
    """A residual block that another hand has written."""

    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


def test_blocks_of_a_foreign_net_are_those_of_a_stack():
    x, labels = drawn(50, 8), torch.arange(50) % 3
    torch.manual_seed(0)
    stack, head = make_stack("residual", "mlp"), nn.Linear(8, 3)
    blocks = [Block(branch) for branch in stack.branches]
    ours = boosting(nn.Sequential(stack, head), (x, labels), (x, labels))
    theirs = boosting(nn.Sequential(*blocks, head), (x, labels), (x, labels), blocks)
    assert theirs.cosine == pytest.approx(ours.cosine, abs=1e-6)
    assert theirs.lens == ours.lens
    assert theirs.probe == ours.probe


def test_layers_of_torch_are_blocks():
    torch.manual_seed(0)
    layers = [nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True)
              for _ in range(2)]  # fmt: skip
    net = nn.Sequential(*layers, nn.Linear(8, 5)).eval()
    batch = drawn(6, 4, 8), torch.randint(5, (6, 4))
    result = boosting(net, batch, batch, layers)
    assert [len(result.cosine), len(result.lens), len(result.probe)] == [2, 3, 3]
    assert result.lens[-1] == accuracy(net, batch)


def test_images_are_read_by_their_mean():
    """The probe of a net on images sees the mean over positions, as its head does."""
    torch.manual_seed(0)
    stack = Stack([Convolution(4), Convolution(4)], [Residual(s) for s in Site.line(4, 2, -3)])
    net = nn.Sequential(stack, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    x, labels = drawn(60, 4, 5, 5), torch.arange(60) % 3
    result = boosting(net, (x, labels), (x, labels))
    features = stack(x).mean((2, 3)).detach()
    assert result.probe[-1] == linear_probe(features, labels, features, labels)


def test_the_probe_is_scikit_learns_logistic_regression():
    (x, labels), (x_test, labels_test) = digits_parts(0)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(max_iter=2000, tol=1e-8).fit(scaler.transform(x), labels)
    score = theirs.score(scaler.transform(x_test), labels_test)
    assert linear_probe(x, labels, x_test, labels_test) == pytest.approx(score, abs=1 / 360)


def test_a_net_is_as_before():
    stack = make_stack("stochastic_depth", "mlp").train()
    net = nn.Sequential(nn.BatchNorm1d(8), stack, nn.Dropout(0.5), nn.Linear(8, 3)).train()
    x, labels = drawn(20, 8), torch.arange(20) % 3
    nn.functional.cross_entropy(net(x), labels).backward()
    kept = [copy.deepcopy(value) for value in net.state_dict().values()]
    gradients = [p.grad.clone() for p in net.parameters() if p.grad is not None]
    state = torch.get_rng_state()
    boosting(net, (x, labels), (x, labels))
    assert all(map(torch.equal, kept, net.state_dict().values()))
    assert all(
        map(torch.equal, gradients, (p.grad for p in net.parameters() if p.grad is not None))
    )
    assert torch.equal(state, torch.get_rng_state())
    assert all(m.training and "forward" not in vars(m) and not m._forward_hooks
               for m in net.modules())  # fmt: skip


def test_what_cannot_be_followed_is_refused():
    x, labels = drawn(20, 8), torch.arange(20) % 3
    with pytest.raises(ValueError, match="this net has 0"):
        boosting(nn.Linear(8, 3), (x, labels), (x, labels))


def test_stages_are_followed_past_the_change_of_shape():
    torch.manual_seed(0)
    images, labels = drawn(12, 8, 6, 6), torch.arange(12) % 3
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3)]
    net = nn.Sequential(make_stack("residual", "stages"), *tail)
    result = boosting(net, (images, labels), (images, labels))
    assert [math.isnan(value) for value in result.cosine] == [False, True, False]
    assert [math.isnan(value) for value in result.lens] == [True, True, False, False]
    assert not any(map(math.isnan, result.probe))
    layers = [nn.Linear(8, 8), nn.Linear(8, 3)]
    foreign = boosting(nn.Sequential(*layers), *[(drawn(12, 8), labels)] * 2, layers)
    assert [math.isnan(value) for value in foreign.cosine] == [False, True]
    assert [math.isnan(value) for value in foreign.lens] == [True, True, False]


def test_the_figure_shows_both():
    x, labels = drawn(20, 8), torch.arange(20) % 3
    result = boosting(nn.Sequential(make_stack("residual", "mlp")), (x, labels), (x, labels))
    left, right = boosting_figure({"a": result, "b": result}).axes
    assert tuple(left.get_lines()[1].get_ydata()) == result.cosine
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == ["a: head", "a: linear probe", "b: head", "b: linear probe"]
    assert tuple(right.get_lines()[1].get_ydata()) == result.probe


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_digits(seed):
    """Every residual block corrects the answer; without skips depth loses what could be read."""
    train, test = digits_parts(seed)
    results = {}
    for rule in (Residual, Plain):
        net = fit(digits_net(rule, seed), train, 600, seed)
        results[rule] = boosting(net, test, train)
    residual, plain = results[Residual], results[Plain]
    assert sum(cosine > 0 for cosine in residual.cosine) >= 13
    assert 4 <= sum(cosine > 0 for cosine in plain.cosine) <= 12
    steps = [b - a for a, b in zip(residual.lens, residual.lens[1:], strict=False)]
    assert sum(step >= 0 for step in steps) >= 12
    assert residual.lens[0] < 0.5
    assert residual.lens[-1] > 0.95
    assert max(plain.lens) < 0.3
    falls = [a - b for a, b in zip(residual.probe, residual.probe[1:], strict=False)]
    assert max(falls) <= 0.02
    assert plain.probe[0] - plain.probe[-1] >= 0.3
