"""Independent references for rules that keep what was written before: plain loops."""

import pytest
import torch
import torch.nn.functional as F
from conftest import make_input, make_stack
from torch import nn


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def drawn(module):
    """The module with every parameter drawn from a normal distribution."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def reads(stack):
    """A list that fills with the inputs of all branches."""
    seen = []
    for branch in stack.branches:
        branch.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    return seen


def attended(query, entries):
    """Softmax over entries of query . rms_norm(entry), position by position."""
    rows = []
    for position in zip(*entries, strict=True):
        values = torch.stack(position)
        rows.append(F.softmax(F.rms_norm(values, values.shape[-1:]) @ query, 0) @ values)
    return torch.stack(rows)


def test_full_attention_against_the_paper():
    stack, (x,) = make_stack("attention", "mlp", 4), make_input("mlp")
    drawn(stack.sites)
    seen, entries, read = reads(stack), [x], [x]
    for connection, branch in zip(stack.sites, stack.branches, strict=True):
        entries.append(branch(read[-1]))
        read.append(attended(connection.query, entries))
    del seen[:]
    out = stack(x)
    torch.testing.assert_close(torch.stack([*seen, out]), torch.stack(read))


def test_block_attention_against_the_paper():
    """Blocks of two writes: finished sums and the sum of the block that is being written."""
    stack, (x,) = make_stack("attention", "mlp", 5, block=2), make_input("mlp")
    q = [connection.query for connection in drawn(stack.sites)]
    f = stack.branches
    h1 = x
    y1 = f[0](h1)
    h2 = attended(q[0], [x, y1])
    b1 = y1 + f[1](h2)
    h3 = attended(q[1], [x, b1])
    y3 = f[2](h3)
    h4 = attended(q[2], [x, b1, y3])
    b2 = y3 + f[3](h4)
    h5 = attended(q[3], [x, b1, b2])
    out = attended(q[4], [x, b1, b2, f[4](h5)])
    torch.testing.assert_close(stack(x), out)


def test_fresh_attention_is_the_mean_of_all_outputs():
    stack, (x,) = make_stack("attention", "mlp", 3), make_input("mlp")
    f = stack.branches
    y1 = f[0](x)
    y2 = f[1]((x + y1) / 2)
    y3 = f[2]((x + y1 + y2) / 3)
    torch.testing.assert_close(stack(x), (x + y1 + y2 + y3) / 4)


def test_attention_keeps_every_entry_once():
    """L writes keep L + 1 tensors of the stream's size, not one for every pair of writes."""
    width, rows, length = 8, 64, 6
    stack, x = make_stack("attention", "mlp", length, width), torch.randn(rows, width)
    for branch in stack.branches:
        branch.forward = lambda x: 2 * x
    kept = set()
    x.requires_grad_()

    def note(tensor):
        if tensor.numel() >= rows * width:
            kept.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        stack(x)
    assert len(kept) == length + 1


def test_dense_against_a_plain_concatenation():
    stack, (x,) = make_stack("dense", "mlp", 3, growth=5), make_input("mlp")
    features, h = x, x
    for connection, branch in zip(stack.sites, stack.branches, strict=True):
        features = torch.cat([features, F.linear(branch(h), connection.grow.weight)], 1)
        h = F.linear(features, connection.squeeze.weight)
    assert features.shape[1] == 8 + 3 * 5
    torch.testing.assert_close(stack(x), h)


def test_dense_through_a_stage_change_worked_by_hand():
    """Width 8, then 16 at half the size: x0 gets 8 zero channels, the first entry stays at 5."""
    stack, (x,) = make_stack("dense", "stages", 3, growth=5), make_input("stages")

    def pointwise(layer, x):
        return F.conv2d(x, layer.weight[:, :, None, None])

    (s1, s2, s3), (f1, f2, f3) = stack.sites, stack.branches
    e1 = pointwise(s1.grow, f1(x))
    h = pointwise(s1.squeeze, torch.cat([x, e1], 1))
    e2 = pointwise(s2.grow, f2(h))
    small = x[:, :, ::2, ::2]
    features = torch.cat([small, torch.zeros_like(small), e1[:, :, ::2, ::2], e2], 1)
    h = pointwise(s2.squeeze, features)
    features = torch.cat([features, pointwise(s3.grow, f3(h))], 1)
    torch.testing.assert_close(stack(x), pointwise(s3.squeeze, features), atol=1e-5, rtol=1e-4)
