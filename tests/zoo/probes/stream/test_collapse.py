"""Measures of collapse: by hand, by their definitions, and of nets that are known to collapse."""

import itertools
import math

import numpy as np
import pytest
import torch
from conftest import make_input, make_stack
from sklearn.metrics.pairwise import cosine_distances
from torch import nn

from zoo.config.registry import factory, options
from zoo.models.transformer import Transformer
from zoo.norm import Pre
from zoo.probes.profiles import (
    class_separation,
    dirichlet_energy,
    effective_rank,
    mean_average_distance,
    token_similarity,
)
from zoo.probes.stream.collapse import Collapse, collapse, collapse_figure
from zoo.seeding import redraw

RING = torch.tensor([[0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0], [1, 2, 3, 4, 5, 0, 0, 1, 2, 3, 4, 5]])
ALL = torch.tensor([pair for pair in itertools.product(range(6), repeat=2) if len({*pair}) == 2]).T


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_energy_of_all_edges_is_that_of_the_graph_with_all_edges():
    x = drawn(6, 4)
    assert dirichlet_energy(x).item() == pytest.approx(dirichlet_energy(x, ALL).item(), rel=1e-6)
    residual = (x - x.mean(0)).norm() / x.norm()  # Dong et al. 2021
    assert dirichlet_energy(x).item() == pytest.approx(residual.item() ** 2, rel=1e-5)


def test_energy_of_examples_is_the_mean_over_them():
    x = drawn(3, 6, 4)
    each = [dirichlet_energy(example, RING).item() for example in x]
    assert dirichlet_energy(x, RING).item() == pytest.approx(np.mean(each), rel=1e-6)


@pytest.mark.parametrize("edges", [None, RING])
def test_distance_is_that_of_the_paper(edges, monkeypatch):
    """Equations 1 to 4 of Chen et al. 2020, with two nodes in one direction."""
    monkeypatch.setattr("zoo.probes.profiles.PAIRS", 8)  # in several parts
    x = drawn(6, 4)
    x[1] = 3 * x[0]
    distance = cosine_distances(x.double())
    distance[distance < 1e-12] = 0
    target = np.ones((6, 6)) if edges is None else np.zeros((6, 6))
    if edges is not None:
        target[edges[1], edges[0]] = 1
    distance = distance * target
    rows = distance.sum(1) / np.maximum(1, (distance > 0).sum(1))
    expected = rows.sum() / (rows > 0).sum()
    assert mean_average_distance(x, edges).item() == pytest.approx(expected, rel=1e-6)


def test_distance_is_0_where_all_are_alike_and_not_a_number_where_one_is_not():
    x = drawn(1, 4).expand(6, 4)
    assert mean_average_distance(x).item() == 0
    assert mean_average_distance(x, RING).item() == 0
    x = drawn(6, 4)
    x[2, 1] = math.nan
    assert math.isnan(mean_average_distance(x).item())
    assert math.isnan(mean_average_distance(x, RING).item())


def test_effective_rank_by_hand():
    turn = torch.linalg.qr(drawn(5, 5))[0]
    x = turn[:, :3] @ torch.diag(torch.tensor([2.0, 1.0, 1.0]))
    assert effective_rank(x).item() == pytest.approx(2**1.5, rel=1e-6)  # p = 1/2, 1/4, 1/4
    assert effective_rank(7 * x).item() == pytest.approx(2**1.5, rel=1e-6)
    assert effective_rank(torch.zeros(4, 3)).item() == 0
    assert math.isnan(effective_rank(torch.full((4, 3), math.inf)).item())


def test_class_separation_is_that_of_the_paper():
    """The sums of Kornblith et al. 2021 over all pairs, for classes of 2, 3 and 4."""
    x, labels = drawn(9, 4).double(), torch.tensor([0, 0, 2, 2, 2, 3, 3, 3, 3])
    distance, classes = cosine_distances(x), [0, 2, 3]
    of = {k: np.flatnonzero(labels == k) for k in classes}
    mean = {(j, k): distance[np.ix_(of[j], of[k])].mean() for j in classes for k in classes}
    within = np.mean([mean[k, k] for k in classes])
    expected = 1 - within / np.mean([*mean.values()])
    assert class_separation(x, labels).item() == pytest.approx(expected, rel=1e-6)


def test_smoothing_on_a_ring_is_exact():
    """Mean and one wave of a ring: each step multiplies the wave by (1 + 2 cos(pi / 3)) / 3."""
    ring = torch.arange(6)
    wave = torch.stack([torch.cos(math.pi / 3 * ring), torch.sin(math.pi / 3 * ring)], 1)
    x = torch.cat([torch.full((6, 1), 1.0), wave], 1).double()
    factor, values = (1 + 2 * math.cos(math.pi / 3)) / 3, [x]
    for _ in range(4):
        x = values[-1]
        values.append((x + x.roll(1, 0) + x.roll(-1, 0)) / 3)
    result = collapse(values, edge_index=RING)
    for depth in range(5):
        size = factor ** (2 * depth)  # of the wave, where the mean has 1
        energy = (1 - factor) * size / (1 + size)
        neighbours = 1 - (1 + size * math.cos(math.pi / 3)) / (1 + size)
        values = torch.tensor([1, (size / 2) ** 0.5, (size / 2) ** 0.5])
        shares = (values / values.sum()).numpy()
        rank = math.exp(-(shares * np.log(shares)).sum())
        assert result.dirichlet_energy[depth] == pytest.approx(energy, rel=1e-5)
        assert result.mean_average_distance[depth] == pytest.approx(neighbours, rel=1e-5)
        assert result.effective_rank[depth] == pytest.approx(rank, rel=1e-5)


@pytest.mark.parametrize(("kind", "shape"), [("mlp", (5, 7, 8)), ("conv", (5, 36, 8))])
def test_a_stack_is_measured_at_every_depth(kind, shape):
    stack = make_stack("residual", kind)
    (x,) = make_input(kind) if kind == "conv" else (drawn(*shape),)
    labels = torch.tensor([0, 1, 0, 1, 1])
    result = collapse(stack, x, labels=labels)
    values = [v.flatten(2).transpose(1, 2) if v.ndim == 4 else v for v in stack.values(x)]
    assert [len(getattr(result, name)) for name in vars(result)] == [4] * 6
    for depth, value in enumerate(values):
        assert value.shape == shape
        assert result.mean_cosine[depth] == pytest.approx(token_similarity(value).item())
        examples = value.mean(1)
        alike = token_similarity(examples[None]).item()
        assert result.example_cosine[depth] == pytest.approx(alike)
        rank = effective_rank(value.reshape(-1, 8)).item()
        assert result.effective_rank[depth] == pytest.approx(rank)
        apart = class_separation(examples, labels).item()
        assert result.class_separation[depth] == pytest.approx(apart)


def test_a_graph_is_one_example():
    stack, (x, edges) = make_stack("residual", "graph"), make_input("graph")
    result = collapse(stack, x, edges, edge_index=edges, labels=torch.tensor([0, 1, 0, 1, 1]))
    energies = [dirichlet_energy(value, edges).item() for value in stack.values(x, edges)]
    assert result.dirichlet_energy == pytest.approx(energies)
    assert all(map(math.isnan, result.example_cosine))
    assert all(map(math.isfinite, result.class_separation))


def test_what_is_not_defined_is_not_a_number():
    result = collapse([torch.zeros(2, 3, 4), torch.ones(2, 1, 4)])
    assert [math.isnan(value) for value in result.mean_cosine] == [True, True]
    assert [math.isnan(value) for value in result.example_cosine] == [True, False]
    assert [math.isnan(value) for value in result.dirichlet_energy] == [False, True]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"got \[4\]"):
        collapse([torch.ones(4)])
    with pytest.raises(ValueError, match="5 labels for 2 examples of 3 members"):
        collapse([torch.ones(2, 3, 4)], labels=torch.zeros(5, dtype=torch.long))
    with pytest.raises(ValueError, match="stack alone"):
        collapse([torch.ones(2, 3)], torch.ones(2, 3))


def test_a_stack_is_as_before():
    stack = make_stack("stochastic_depth", "mlp").train()
    stack.branches.append(nn.BatchNorm1d(8).train())
    stack.sites.append(stack.sites[-1])
    stack.shortcuts.append(None)
    stack.posts.append(None)
    before = [value.clone() for value in stack.state_dict().values()]
    state = torch.get_rng_state()
    collapse(stack, drawn(5, 8))
    assert all(map(torch.equal, before, stack.state_dict().values()))
    assert torch.equal(state, torch.get_rng_state())
    assert all(module.training for module in stack.modules())


@pytest.mark.parametrize("seed", [0, 1])
def test_tokens_collapse_without_skips_before_any_training(seed):
    """Twelve blocks with 32 symbols: 1.00 without skips, .2 to .4 with them."""
    similar = {}
    for name in ("plain", "residual"):
        net = Transformer(32, factory("connection", name, options("connection", name)), Pre())
        redraw(net, seed)
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.randint(32, (8, 64), generator=generator)
        similar[name] = collapse(net.body, net.stem(tokens), *net.side(0, 64))
    assert similar["plain"].mean_cosine[-1] > 0.95
    assert similar["residual"].mean_cosine[-1] < 0.5
    assert similar["plain"].effective_rank[-1] < 0.2 * similar["residual"].effective_rank[-1]


def test_the_figure_shows_what_is_known():
    one = collapse([drawn(2, 6, 4), drawn(2, 6, 4, seed=1)])
    figure = collapse_figure({"plain": one, "$residual$": one})
    titles = [axis.get_title().partition("\n")[0] for axis in figure.axes]
    assert titles == [
        "Dirichlet energy / |x|²",
        "mean average distance",
        "mean cosine of members",
        "mean cosine of examples",
        "effective rank",
    ]
    lines = figure.axes[2].get_lines()
    assert [line.get_label() for line in lines] == ["plain", r"\$residual\$"]
    assert tuple(lines[0].get_ydata()) == one.mean_cosine
    alone = collapse_figure(Collapse(*[(math.nan,)] * 4, (2.0,), (math.nan,)))
    assert len(alone.axes) == 1
