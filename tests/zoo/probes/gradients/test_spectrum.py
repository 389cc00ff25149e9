"""The eigenvalues of layers and of their products: by hand, against NumPy, and on random layers."""

import numpy as np
import pytest
import torch
from conftest import CONNECTIONS, make_stack
from torch import nn

from zoo.connection import Site
from zoo.connections.additive import Plain, Residual
from zoo.probes.gradients.random_skips import cell
from zoo.probes.gradients.spectrum import spectrum, spectrum_figure
from zoo.stack import Stack


def linear(matrix):
    layer = nn.Linear(len(matrix), len(matrix), bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(matrix))
    return layer


def stacked(rule, *matrices):
    sites = [rule(site) for site in Site.line(len(matrices[0]), len(matrices))]
    return Stack([linear(matrix) for matrix in matrices], sites)


def size(values):
    return values.abs().sort().values.tolist()


def test_diagonal_layers_by_hand():
    first, second = np.diag([0.5, -0.25]), np.diag([0.1, -0.5])
    x = torch.ones(2, dtype=torch.float64)
    plain = spectrum(stacked(Plain, first, second), x)
    residual = spectrum(stacked(Residual, first, second), x)
    assert size(plain.layers[0]) == pytest.approx([0.25, 0.5])
    assert size(plain.product[1]) == pytest.approx([0.05, 0.125])
    assert size(residual.layers[1]) == pytest.approx([0.5, 1.1])
    assert size(residual.product[1]) == pytest.approx([0.75 * 0.5, 1.5 * 1.1])
    assert torch.equal(residual.product[0], residual.layers[0])


def test_a_turn_has_complex_eigenvalues():
    turn = [[0.0, -0.5], [0.5, 0.0]]
    values = spectrum(stacked(Residual, turn), torch.zeros(2, dtype=torch.float64)).layers[0]
    assert sorted(values.tolist(), key=lambda v: v.imag) == pytest.approx([1 - 0.5j, 1 + 0.5j])


@pytest.mark.parametrize("name", CONNECTIONS)
def test_products_are_the_jacobian_of_all_writes(name):
    """Of branches that are not linear, and of several streams; a history is refused."""
    stack = make_stack(name, "mlp", 3).double().eval()
    x = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    states = list(stack.states(x[None]))
    if not all(isinstance(s, torch.Tensor) and s.shape == states[0].shape for s in states):
        with pytest.raises(ValueError, match="one tensor, of one shape"):
            spectrum(stack, x)
        return

    def last(state):
        for connection, branch, _, _ in stack.steps():
            state = connection(state, branch)
        return state

    n = states[0].numel()
    whole = torch.autograd.functional.jacobian(last, states[0].detach()).view(n, n)
    expected = np.sort(np.abs(np.linalg.eigvals(whole.numpy())))
    np.testing.assert_allclose(size(spectrum(stack, x).product[-1]), expected, atol=1e-9)


def test_random_layers_lie_in_discs_and_products_collapse_without_skips():
    x = torch.zeros(64, dtype=torch.float64)
    stacks = {k: cell(20, k, 64, 0.01, "identity").double() for k in (0, 20)}
    plain, residual = (spectrum(stack, x) for stack in stacks.values())
    assert plain.layers.abs().max() < 0.13
    assert (residual.layers - 1).abs().max() < 0.13
    # the trace, which is the sum of the eigenvalues, tells A from I + A
    torch.testing.assert_close(residual.layers.sum(1) - 64, plain.layers.sum(1))
    assert plain.product[-1].abs().max() < 1e-17
    assert 0.3 < residual.product[-1].abs().min() < residual.product[-1].abs().max() < 3


def test_the_net_stays_as_it_was():
    stack = make_stack("residual", "mlp", 3).train()
    spectrum(stack, torch.ones(8))
    assert stack.training
    assert all(p.grad is None and p.requires_grad for p in stack.parameters())


def test_the_figure_shows_all_eigenvalues():
    x = torch.zeros(8)
    results = {name: spectrum(cell(6, k, 8, 0.2), x) for name, k in (("W", 0), ("I + A", 6))}
    left, right = spectrum_figure(results).axes
    np.testing.assert_allclose(left.lines[2].get_xdata(), results["I + A"].layers.real.flatten())
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["W", "I + A"]
    middle = results["I + A"].product.abs().median(1).values
    np.testing.assert_allclose(right.lines[1].get_ydata(), middle)
    assert right.get_yscale() == "log"
