"""Rules with one tensor or a pair, against their formulas written position by position."""

import math

import pytest
import torch
from conftest import make_input, make_stack
from torch import nn

from zoo.connection import Site
from zoo.connections.gated import GRUGate
from zoo.connections.normed import NGPT, Keel, ResidualDual
from zoo.connections.projected import Concat, Delta, Orthogonal
from zoo.connections.scalars import Laurel, SkipInit, Weighted
from zoo.connections.stochastic import StochasticDepth
from zoo.probes.mixing import mixing


def drawn(rule):
    """The rule with every parameter drawn at random."""
    for parameter in rule.parameters():
        nn.init.normal_(parameter)
    return rule


def unit(v):
    return v / v.norm()


def standard(v):
    return (v - v.mean()) / (v.var(unbiased=False) + 1e-5).sqrt()


def test_skip_init_is_rezero_in_function():
    (x,) = make_input("mlp")
    pair = make_stack("skip_init", "mlp", alpha=0.3), make_stack("rezero", "mlp", alpha=0.3)
    assert torch.equal(pair[0](x), pair[1](x))
    assert SkipInit(Site(4)).alpha.item() == 0


def test_mixing_of_weighted():
    """r = 1/2, b = 3: the state halves at every write."""
    found = mixing([Weighted(site, 0.5, 3.0) for site in Site.line(4, 2)])
    torch.testing.assert_close(found, torch.tensor([[1, 0, 0], [0.5, 3, 0], [0.25, 1.5, 3.0]]))


def test_gru_gate_against_the_equations_of_gtrxl():
    rule = drawn(GRUGate(Site(width=3)))
    w_r, w_z, w_h = rule.inputs.weight.chunk(3)
    u_r, u_z = rule.gates.weight.chunk(2)
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    out = rule.write(x, y, None)
    for a, b, found in zip(x, y, out, strict=True):
        r = torch.sigmoid(w_r @ b + u_r @ a)
        z = torch.sigmoid(w_z @ b + u_z @ a - rule.bias)
        h = torch.tanh(w_h @ b + rule.candidate.weight @ (r * a))
        torch.testing.assert_close(found, (1 - z) * a + z * h)


def test_gru_gate_is_the_cell_of_pytorch_where_the_reset_gate_is_open():
    """The two forms differ in where r enters; with r = 1 they are one."""
    rule, cell = drawn(GRUGate(Site(width=3))), nn.GRUCell(3, 3)
    w_r, w_z, w_h = rule.inputs.weight.detach().chunk(3)
    u_r, u_z = rule.gates.weight.detach().chunk(2)
    cell.weight_ih.data = torch.cat([w_r, -w_z, w_h])
    cell.weight_hh.data = torch.cat([u_r, -u_z, rule.candidate.weight.detach()])
    cell.bias_ih.data = torch.cat([torch.zeros(3), rule.bias.detach(), torch.zeros(3)])
    cell.bias_hh.data.zero_()
    with torch.no_grad():
        rule.inputs.weight[:3] = 0
        rule.gates.weight[:3] = 0
        cell.weight_ih[:3] = 0
        cell.weight_hh[:3] = 0
        cell.bias_ih[:3] = 60  # r = 1
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    rule.candidate.weight.data *= 2  # ours has r = 1/2
    torch.testing.assert_close(rule.write(x, y, None), cell(y, x))


@pytest.mark.parametrize("shape", [(4000, 3, 4), (4000, 3, 2, 2)])
def test_stochastic_depth_keeps_samples_with_its_probability(shape):
    torch.manual_seed(0)
    axis = -1 if len(shape) == 3 else -3
    rule = StochasticDepth(Site(shape[axis], index=1, total=4, axis=axis), 0.2).train()
    assert rule.survival.item() == pytest.approx(1 - 2 / 4 * 0.8)
    y = torch.ones(shape)
    out = rule.write(torch.zeros(shape), y, None).flatten(1)
    kept = out[:, 0] > 0
    assert torch.equal(out, kept[:, None] * torch.full_like(out, 1 / 0.6))
    assert abs(kept.double().mean().item() - 0.6) < 4 * math.sqrt(0.24 / 4000)


def test_stochastic_depth_has_one_mask_for_a_graph():
    torch.manual_seed(0)
    rule = StochasticDepth(Site(4, total=1), 0.5).train()
    found = {rule.write(torch.zeros(6, 4), torch.ones(6, 4), None).unique().tolist()[0]
             for _ in range(30)}  # fmt: skip
    assert found == {0.0, 2.0}


def test_stochastic_depth_recomputes_the_same_mask():
    (x,) = make_input("conv", batch=64)
    grads = []
    for checkpoint in (False, True):
        stack = make_stack("stochastic_depth", "conv").train()
        stack.checkpoint = checkpoint
        torch.manual_seed(3)
        stack(x).square().mean().backward()
        grads.append(torch.cat([p.grad.flatten() for p in stack.parameters()]))
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("form", ["rw", "lr", "rw_lr"])
def test_laurel_against_its_formula(form):
    rule = drawn(Laurel(Site(width=6), form, rank=2))
    x, y = torch.randn(5, 6), torch.randn(5, 6)
    low = x @ rule.down.weight.T @ rule.up.weight.T if "lr" in form else 0 * x
    a, b = rule.weights if "rw" in form else (1.0, 1.0)
    torch.testing.assert_close(rule.write(x, y, None), a * y + b * (x + low))


def test_orthogonal_adds_nothing_along_the_stream():
    rule = Orthogonal(Site(width=7, axis=-3))
    x, y = torch.randn(2, 7, 3, 3), torch.randn(2, 7, 3, 3)
    added = rule.write(x, y, None) - x
    assert (added * x).sum(1).abs().max() < 1e-4
    for i in range(3):
        q = unit(x[0, :, i, 0])
        torch.testing.assert_close(added[0, :, i, 0], y[0, :, i, 0] - q * (q @ y[0, :, i, 0]))


def test_delta_against_the_householder_form():
    """x' = (I - b k k^T) x + b k v, a reflection where b = 2 and v = 0."""
    rule = drawn(Delta(Site(width=4)))
    x, y = torch.randn(5, 4), torch.randn(5, 4)
    _, mix = rule.read(x)
    out = rule.write(x, y, mix)
    for i in range(5):
        k = unit(y[i])
        gates = rule.gate.weight @ x[i] + rule.gate.bias
        b, v = 2 * torch.sigmoid(gates[0]), 4 * torch.sigmoid(gates[1])
        torch.testing.assert_close(out[i], (torch.eye(4) - b * k[:, None] * k) @ x[i] + b * k * v)
    reflected = rule.write(x, y, (2.0, 0.0))
    torch.testing.assert_close(reflected.norm(dim=1), x.norm(dim=1))


def test_ngpt_against_its_formula():
    rule = drawn(NGPT(Site(width=4)))
    rule.alpha.data[0] = -0.7
    x, y = torch.randn(5, 4), torch.randn(5, 4)
    out = rule.write(x, y, None)
    step = (rule.alpha * 0.05 * 2).abs()  # stored at 1 / sqrt(4), worth 0.05
    for i in range(5):
        h = unit(x[i])
        torch.testing.assert_close(out[i], unit(h + step * (unit(y[i]) - h)))
    assert (NGPT(Site(9)).factor * NGPT(Site(9)).alpha).tolist() == pytest.approx([0.05] * 9)


def test_keel_against_its_formula():
    stack, (x,) = make_stack("keel", "mlp", 3), make_input("mlp")
    state = x
    for branch in stack.branches:
        fed = torch.stack([standard(row) for row in state])
        state = torch.stack([standard(row) for row in 3.0 * state + branch(fed)])
    torch.testing.assert_close(stack(x), state, atol=1e-5, rtol=1e-4)


def test_residual_dual_against_its_formula():
    stack, (x,) = make_stack("residual_dual", "mlp", 3), make_input("mlp")
    post = total = x
    for branch in stack.branches:
        y = branch(post)
        total = total + y
        post = torch.stack([standard(row) for row in post + y])
    expected = post + torch.stack([standard(row) for row in total])
    torch.testing.assert_close(stack(x), expected, atol=1e-5, rtol=1e-4)
    state = ResidualDual(Site(8)).post(lambda value: 0 * value, (x, x))
    assert torch.equal(state[1], x)


def test_keel_carries_by_the_number_of_writes_unless_told():
    assert Keel(Site(2, total=9)).alpha == 9.0
    assert Keel(Site(2, total=9), alpha=2.5).alpha == 2.5


def test_concat_with_two_identities_is_residual():
    rule = Concat(Site(width=3))
    rule.squeeze.weight.data = torch.cat([torch.eye(3), torch.eye(3)], 1)
    nn.init.zeros_(rule.squeeze.bias)
    x, y = torch.randn(5, 3), torch.randn(5, 3)
    torch.testing.assert_close(rule.write(x, y, None), x + y)
