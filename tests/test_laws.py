"""The laws: what holds for every registered connection. A new YAML file is tested unasked."""

import copy

import pytest
import torch
from conftest import CONNECTIONS, make_input, make_stack, zero_branches
from torch import nn
from torch.utils._pytree import tree_leaves

from zoo.config.registry import factory, options
from zoo.connection import Connection, Site
from zoo.probes.mixing import mixing
from zoo.seeding import branch_digest
from zoo.stack import Stack

KINDS = ["mlp", "conv", "stages", "reopened", "graph"]
every_connection = pytest.mark.parametrize("name", CONNECTIONS)
every_kind = pytest.mark.parametrize("kind", KINDS)
stages_at_least = pytest.mark.parametrize(  # the kind with the most to go wrong; others take long
    "kind",
    [kind if kind == "stages" else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)


def rule(name):
    return type(make_stack(name, "mlp", 1).sites[0])


def perturb(stack, scale=0.05):
    """Moves every parameter away from special starts such as zero."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=generator)
    return stack


@every_connection
@every_kind
def test_shape(name, kind):
    stack, inputs = make_stack(name, kind), make_input(kind)
    assert stack(*inputs).shape == make_stack("plain", kind)(*inputs).shape


@every_connection
@every_kind
def test_state_is_a_tree_of_tensors(name, kind):
    stack, (x, *rest) = make_stack(name, kind), make_input(kind)
    before = [dict(vars(connection)) for connection in stack.sites]
    buffers = {key for connection in stack.sites for key in connection._buffers}
    states = list(stack.states(x, *rest))
    assert len(states) == 4
    assert all(isinstance(leaf, torch.Tensor) for state in states for leaf in tree_leaves(state))
    for connection, attributes in zip(stack.sites, before, strict=True):
        kept = [key for key, value in vars(connection).items() if attributes.get(key) is not value]
        kept += [key for key in connection._buffers if key not in buffers]
        assert not kept, f"the rule keeps {kept} between calls; pass it in the state"


@every_connection
@pytest.mark.parametrize("kind", ["mlp", "conv", "graph"])
def test_start(name, kind):
    declared, inputs = rule(name).init_equals, make_input(kind)
    out = make_stack(name, kind)(*inputs)
    starts = {
        "plain": make_stack("plain", kind)(*inputs),
        "residual": make_stack("residual", kind)(*inputs),
        "identity": inputs[0],
    }
    for start, expected in starts.items():
        equal = torch.allclose(out, expected, atol=1e-6)
        verb = "equals" if equal else "does not equal"
        message = f"a fresh stack {verb} {start!r}, but init_equals is {declared!r}"
        assert equal == (start == declared), message


def normed(out, x):
    """Whether every row of `out` points where the row of `x` does, or the row without its mean."""
    directions = (x, x - x.mean(1, keepdim=True))
    found = [nn.functional.cosine_similarity(out, direction) for direction in directions]
    return any(torch.allclose(cosine, torch.ones(len(x)), atol=1e-5) for cosine in found)


@every_connection
def test_zero_branches(name):
    (x,) = make_input("mlp")
    declared = rule(name).identity_at_zero
    out = zero_branches(make_stack(name, "mlp"))(x)
    ratio = (out * x).sum() / x.square().sum()
    exact = torch.allclose(out, x, atol=1e-6)
    scaled = torch.allclose(out, ratio * x, atol=1e-6) and ratio.abs() > 1e-6
    found = "exact" if exact else "scaled" if scaled else "normed" if normed(out, x) else "none"
    allowed = ("exact", "scaled") if declared == "scaled" else (declared,)
    assert found in allowed, f"with zero branches it is {found!r}; identity_at_zero is {declared!r}"


def linear_stack(name, kind, length=4):
    given = {"dynamic": False} if "dynamic" in options("connection", name) else {}
    stack = make_stack(name, kind, length, **given)
    if not stack.sites[0].linear:
        pytest.skip(f"{name} is not linear in its state")
    return stack


@every_connection
def test_mixing_is_lower_triangular(name):
    matrix = mixing(perturb(linear_stack(name, "mlp")).sites)
    assert matrix.shape == (5, 5)
    assert torch.equal(matrix, matrix.tril())


@every_connection
@pytest.mark.parametrize("kind", ["mlp", "conv", "graph"])
def test_mixing_predicts_every_branch_input(name, kind):
    stack, (x, *rest) = linear_stack(name, kind), make_input(kind)
    seen, made = [], [x]

    def note(module, args, out):
        seen.append(args[0])
        made.append(out)

    for branch in stack.branches:
        branch.register_forward_hook(note)
    out = stack(x, *rest)
    expected = torch.einsum("lj,j...->l...", mixing(stack.sites), torch.stack(made))
    torch.testing.assert_close(torch.stack([*seen, out]), expected, atol=1e-5, rtol=1e-4)


@every_connection
def test_mixing_goes_through_a_stage_change(name):
    stages = linear_stack(name, "stages", 3)
    torch.testing.assert_close(mixing(stages.sites), mixing(linear_stack(name, "mlp", 3).sites))


@every_connection
def test_mixing_knows_where_a_stream_opens_again(name):
    """The same sites called one by one, with constants as branches and a widening shortcut."""
    stack = linear_stack(name, "reopened", 3)
    state, seen = stack.open(torch.eye(4)[0].expand(8, 1, 4)), []
    for index, connection in enumerate(stack.sites):

        def branch(x, connection=connection, index=index):
            seen.append(x[0, 0])
            return torch.eye(4)[index + 1].expand(connection.site.written, 1, 4)

        widens = connection.site.out is not None and connection.carries
        widen = (lambda x: torch.cat([x, x])) if widens else None
        state = connection(state, branch, shortcut=widen)
    seen.append(stack.close(state)[0, 0])
    torch.testing.assert_close(mixing(stack.sites), torch.stack(seen))


@every_connection
def test_axis(name):
    """Channels third from the right or last: the same numbers."""
    first, last = perturb(make_stack(name, "conv")), perturb(make_stack(name, "conv"))
    for connection in last.sites:
        for module in connection.modules():
            if isinstance(module, Connection):
                module.site = Site(8, None, module.site.index, module.site.total, -1)
            if hasattr(module, "axis"):
                module.axis = -1
    for branch in last.branches:
        branch.forward = lambda x, conv=branch.conv: torch.tanh(conv(x.movedim(-1, 1))).movedim(
            1, -1
        )
    (x,) = make_input("conv")
    torch.testing.assert_close(last(x.movedim(1, -1)).movedim(-1, 1), first(x))


@every_connection
@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_locality(name, kind):
    """With branches that act pointwise, one position changes nothing at another one."""
    stack, (x,) = perturb(make_stack(name, kind)), make_input(kind)
    if kind == "conv":
        for branch in stack.branches:
            branch.conv = nn.Conv2d(8, 8, 1)
    moved = x.clone()
    where = (0,) if kind == "mlp" else (0, slice(None), 2, 3)
    moved[where] += 1.0
    same = torch.ones(x.shape[0], *x.shape[2:], dtype=torch.bool)
    same[0 if kind == "mlp" else (0, 2, 3)] = False
    difference = (stack(moved) - stack(x)).detach().abs().amax(1)
    assert difference[same].max() == 0
    assert difference[~same].max() > 0


@every_connection
@every_kind
def test_gradient(name, kind):
    stack, inputs = make_stack(name, kind), make_input(kind)
    stack(*inputs).square().mean().backward()
    unused = [key for key, p in stack.named_parameters() if p.grad is None]
    assert not unused, f"no gradient reaches {unused}"
    stack = perturb(stack)
    stack.zero_grad()
    stack(*inputs).square().mean().backward()
    for parameter_name, parameter in stack.named_parameters():
        assert parameter.grad.abs().max() > 0, parameter_name


def traced(name, kind):
    """A perturbed stack whose loops are short: a graph holds every turn of them."""
    few = {"iterations": 3} if "iterations" in options("connection", name) else {}
    return perturb(make_stack(name, kind, **few))


@every_connection
@stages_at_least
def test_one_compiled_graph(name, kind):
    torch._dynamo.reset()
    stack, inputs = traced(name, kind), make_input(kind)
    compiled = torch.compile(stack, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(*inputs), stack(*inputs))


@pytest.mark.slow
@every_connection
def test_inductor(name):
    torch._dynamo.reset()
    stack, inputs = perturb(make_stack(name, "conv")), make_input("conv")
    compiled = torch.compile(stack, fullgraph=True)
    torch.testing.assert_close(compiled(*inputs), stack(*inputs), atol=1e-4, rtol=1e-4)


@every_connection
@stages_at_least
def test_export_with_any_batch(name, kind):
    stack, inputs = traced(name, kind), make_input(kind)
    any_size = torch.export.Dim.DYNAMIC
    shapes = {"x": {0: any_size}}
    if kind == "graph":
        shapes["args"] = ({1: any_size},)
    program = torch.export.export(stack, inputs, dynamic_shapes=shapes)
    larger = make_input(kind, batch=9)
    torch.testing.assert_close(program.module()(*larger), stack(*larger))


@every_connection
@every_kind
def test_pairing(name, kind):
    """The seed and a parameter's name decide its start, whatever the rule."""
    stack = make_stack(name, kind)
    assert branch_digest(stack) == branch_digest(make_stack("plain", kind))
    assert branch_digest(stack) != branch_digest(make_stack(name, kind, seed=1))


@every_connection
def test_pairing_over_several_stacks(name):
    def digest(rule_name):
        from zoo.seeding import redraw

        nested = [make_stack(rule_name, "mlp", 2) for _ in range(2)]
        connect = factory("connection", rule_name, options("connection", rule_name))
        model = nn.Sequential(
            Stack(nested, [connect(site) for site in Site.line(8, 2)]), nn.Linear(8, 2)
        )
        redraw(model, 3)
        assert model(make_input("mlp")[0]).isfinite().all()
        return branch_digest(model)

    assert digest(name) == digest("plain")


@every_connection
@every_kind
def test_bfloat16_stays_near_float32(name, kind):
    stack, inputs = perturb(make_stack(name, kind)), make_input(kind)
    with torch.autocast("cpu", torch.bfloat16):
        rough = stack(*inputs).float()
    exact = stack(*inputs)
    assert (rough - exact).norm() < 0.03 * exact.norm()


@every_connection
@every_kind
@pytest.mark.parametrize("every", [True, 2, 3])
def test_checkpointing_changes_nothing_but_memory(name, kind, every):
    """Not a bit of the output and of the gradients, whichever branches are computed again."""
    stack, inputs = perturb(make_stack(name, kind)), make_input(kind)
    twin = copy.deepcopy(stack)
    twin.checkpoint = every
    outs = [each(*inputs) for each in (stack, twin)]
    assert torch.equal(*outs)
    for out in outs:
        out.square().mean().backward()
    for ours, theirs in zip(stack.parameters(), twin.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


@every_connection
def test_post_touches_the_value(name):
    """With a post that triples, the value of a fresh stack is three times the written one."""
    if not rule(name).whole:
        pytest.skip(f"{name} closes by more than its value")
    (x,) = make_input("mlp")
    stack = make_stack(name, "mlp", 1)
    (_, before) = list(stack.states(x))
    after = stack.sites[0].post(lambda value: 3 * value, before)
    tripled = torch.allclose(stack.close(after), 3 * stack.close(before), atol=1e-5)
    assert tripled, "post must apply its function to the value that close returns; override it"
