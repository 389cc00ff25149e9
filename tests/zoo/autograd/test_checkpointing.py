"""What is computed again in the backward pass: same gradients, one update, constant memory."""

import copy

import pytest
import torch
from conftest import MLP, Convolution
from torch import nn

from tasks.training.build import refuse_unfit_model
from zoo.config.compose import load
from zoo.config.registry import names
from zoo.connection import Site
from zoo.connections.additive import Residual
from zoo.connections.reversible import Reversible
from zoo.models.unet import UNet
from zoo.norm import Post
from zoo.probes.live_bytes import LiveBytes
from zoo.stack import Stack


class Noisy(nn.Module):
    """A branch with a norm that keeps statistics, dropout, and a side input."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.inner = MLP(width)

    def forward(self, x, side=None):
        y = nn.functional.dropout(self.inner(self.norm(x)), 0.3, self.training)
        return y if side is None else y * side


def stack_of(branches, rule=Reversible, width=8, **options):
    return Stack(branches, [rule(site) for site in Site.line(width, len(branches))], **options)


def noisy_stack(length=5, **options):
    torch.manual_seed(0)
    return stack_of([Noisy(8) for _ in range(length)], **options).double().train()


def ordinary(stack, x, *side):
    """The stack by autograd alone: `states` keeps everything."""
    return stack.close(list(stack.states(x, *side))[-1])


def gradients(stack, call, x, *side):
    """Output and gradients of inputs and parameters after one backward pass."""
    tensors = [x, *side, *stack.parameters()]
    torch.manual_seed(5)
    out = call(x, *side)
    torch.rand(3)  # the random state moves on before the backward pass
    out.square().mean().backward()
    return [out.detach(), *(tensor.grad for tensor in tensors)]


def inputs():
    generator = torch.Generator().manual_seed(2)
    made = [torch.randn(6, 8, generator=generator, dtype=torch.float64) for _ in range(2)]
    return [tensor.requires_grad_() for tensor in made]


def test_own_backward_equals_autograd_with_dropout_batch_norm_and_a_side_input():
    stack = noisy_stack()
    twin = copy.deepcopy(stack)
    ours = gradients(stack, stack, *inputs())
    theirs = gradients(twin, lambda *side: ordinary(twin, *side), *inputs())
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(dict(stack.named_buffers()), dict(twin.named_buffers()))
    assert stack.branches[0].norm.num_batches_tracked == 1


def test_own_backward_leaves_the_random_state_alone():
    stack, (x, _) = noisy_stack(), inputs()
    out = stack(x).sum()
    before = torch.get_rng_state()
    out.backward()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("outside", [False, True])
def test_own_backward_under_autocast(outside):
    """A cast that the forward pass made without gradients must not serve the backward pass."""
    torch.manual_seed(0)
    stack, x = stack_of([MLP(8) for _ in range(4)]), torch.randn(6, 8)
    twin = copy.deepcopy(stack)
    of_each = []
    for each, call in ((stack, stack), (twin, lambda x: ordinary(twin, x))):
        with torch.autocast("cpu", torch.bfloat16):
            out = call(x) + (each.branches[0](x) if outside else 0)
            assert out.dtype == torch.float32
        out.square().mean().backward()
        of_each.append([p.grad for p in each.parameters()])
    torch.testing.assert_close(*of_each, atol=1e-3, rtol=2e-2)


class Watched(torch.autograd.Function):
    """The identity, whose gradient is right outside autocast alone."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        assert not torch.is_autocast_enabled("cpu")
        return grad


@pytest.mark.parametrize("rule", [Residual, Reversible])
def test_gradients_are_taken_outside_autocast(rule):
    class Watching(MLP):
        def forward(self, x):
            return super().forward(Watched.apply(x))

    stack = stack_of([Watching(8) for _ in range(3)], rule)
    with torch.autocast("cpu", torch.bfloat16):
        out = stack(torch.randn(6, 8))
    out.float().square().mean().backward()
    assert all(p.grad.isfinite().all() for p in stack.parameters())


def test_a_bfloat16_stream_under_autocast_is_kept_in_float32():
    stack = stack_of([MLP(8)])
    with torch.autocast("cpu", torch.bfloat16):
        state = next(stack.states(torch.ones(2, 8, dtype=torch.bfloat16)))
    assert {leaf.dtype for leaf in state} == {torch.float32}


def saved_bytes(stack, call, x):
    """Bytes that a forward pass keeps for the backward pass, without parameters."""
    parameters = {p.data_ptr() for p in stack.parameters()}
    stored = {}

    def note(tensor):
        if tensor.data_ptr() not in parameters:
            stored[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = call(x)
    assert out.requires_grad
    return sum(stored.values())


def test_activations_kept_do_not_grow_with_depth():
    def stored(length, ordinarily=False):
        stack = stack_of([MLP(8) for _ in range(length)])
        return saved_bytes(
            stack, (lambda x: ordinary(stack, x)) if ordinarily else stack, torch.randn(64, 8)
        )

    assert stored(2) == stored(20) == 2 * 64 * 8 * 4
    assert stored(20, ordinarily=True) > 20 * 64 * 8 * 4


def test_gradients_arrive_by_accumulation_once_for_each_parameter():
    """DistributedDataParallel hangs its hooks there; shared weights are summed before."""
    shared = MLP(8)
    stack, x = stack_of([shared, MLP(8), shared]), torch.randn(4, 8)
    twin = copy.deepcopy(stack)
    calls = []
    for name, parameter in stack.named_parameters():
        parameter.register_post_accumulate_grad_hook(lambda p, name=name: calls.append(name))
    stack(x).square().mean().backward()
    ordinary(twin, x).square().mean().backward()
    assert sorted(calls) == sorted(name for name, _ in stack.named_parameters())
    for ours, theirs in zip(stack.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_frozen_and_unused_parameters():
    stack = stack_of([MLP(8), MLP(8)])
    stack.branches[0].inner.weight.requires_grad_(False)
    stack.branches[1].spare = nn.Parameter(torch.zeros(3))
    stack(torch.randn(4, 8)).sum().backward()
    without = [name for name, p in stack.named_parameters() if p.grad is None]
    assert without == ["branches.0.inner.weight", "branches.1.spare"]


def test_a_branch_without_a_way_to_its_input():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.ones(8))

        def forward(self, x):
            return self.value.expand_as(x)

    stack, x = stack_of([Constant(), Constant()]), torch.randn(4, 8, requires_grad=True)
    stack(x).sum().backward()
    assert torch.equal(x.grad, torch.ones(4, 8))
    assert torch.equal(stack.branches[1].value.grad, torch.full((8,), 2.0))


def test_parameters_changed_before_the_backward_pass_are_refused():
    stack = stack_of([MLP(8)])
    out = stack(torch.randn(4, 8)).sum()
    with torch.no_grad():
        stack.branches[0].inner.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_branches_that_share_a_tensor_through_a_dict():
    """A dict is a way from branch to branch, which a recomputed branch would not see."""

    class Tapped(MLP):
        def forward(self, x, taps):
            y = super().forward(x)
            return y + taps.setdefault("first", y)

    torch.manual_seed(0)
    stack, x = stack_of([Tapped(8) for _ in range(3)]), torch.randn(4, 8)
    twin = copy.deepcopy(stack)
    stack(x, {}).square().mean().backward()
    ordinary(twin, x, {}).square().mean().backward()
    for ours, theirs in zip(stack.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_steps_with_a_post_lie_between_steps_that_are_undone():
    torch.manual_seed(0)
    posts = [None, nn.LayerNorm(8), None, None]
    stack = stack_of([MLP(8) for _ in range(4)], posts=posts).double()
    twin = copy.deepcopy(stack)
    ours = gradients(stack, stack, inputs()[0])
    theirs = gradients(twin, lambda x: ordinary(twin, x), inputs()[0])
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("rule", [Residual, Reversible])
def test_checkpointing_updates_running_statistics_once(rule):
    stack = noisy_stack(rule=rule)
    twin = copy.deepcopy(stack)
    twin.checkpoint = True
    ours, theirs = (gradients(each, each, *inputs()) for each in (stack, twin))
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)
    torch.testing.assert_close(dict(stack.named_buffers()), dict(twin.named_buffers()))
    assert twin.branches[0].norm.num_batches_tracked == 1


def test_checkpointing_updates_the_statistics_of_shortcuts_once():
    shortcut = nn.Sequential(nn.Conv2d(4, 8, 1, 2), nn.BatchNorm2d(8))
    site = Residual(Site(4, 8, axis=-3))
    stack = Stack([Convolution(4, 8, 2)], [site], [shortcut], checkpoint=True).train()
    stack(torch.randn(2, 4, 6, 6)).sum().backward()
    assert shortcut[1].num_batches_tracked == 1


def test_the_branches_of_every_kth_write_are_computed_twice():
    calls = []

    class Counted(MLP):
        def forward(self, x):
            calls.append(self)
            return super().forward(x)

    for every, twice in ((False, []), (True, [*range(7)]), (2, [1, 3, 5]), (3, [2, 5]), (7, [6])):
        stack = stack_of([Counted(8) for _ in range(7)], Residual, checkpoint=every)
        calls.clear()
        stack(torch.randn(4, 8)).sum().backward()
        assert [i for i, branch in enumerate(stack.branches) if calls.count(branch) == 2] == twice
    with pytest.raises(ValueError, match="checkpoint=8 is more than the 7 writes of the net"):
        stack_of([MLP(8) for _ in range(7)], Residual, checkpoint=8)


def test_writes_are_counted_over_all_stacks_of_a_net():
    """Nine branches in the five stacks of a U-Net."""
    model = UNet(1, 3, Residual, Residual, Post(), depth=2, width=4, blocks=2, checkpoint=3)
    calls = []
    for stack in (m for m in model.modules() if isinstance(m, Stack)):
        for connection, branch in zip(stack.sites, stack.branches, strict=True):
            index = connection.site.index
            branch.register_forward_pre_hook(lambda *_, index=index: calls.append(index))
    model(torch.randn(2, 1, 8, 8)).sum().backward()
    assert sorted(calls) == sorted([*range(9), 2, 5, 8])


@pytest.mark.parametrize("length", [12, 13])
def test_memory_falls_with_the_share_of_branches_that_are_computed_again(length):
    """What lives between forward and backward pass is linear in their number, L // k of L."""

    def stored(every):
        torch.manual_seed(0)
        stack = stack_of([MLP(8) for _ in range(length)], Residual, checkpoint=every)
        with LiveBytes() as live:
            out = stack(torch.randn(64, 8))
        assert out.requires_grad
        return live.bytes

    whole, least = stored(False), stored(True)
    assert least < whole / 2
    for every in (2, 3, 4, 6, length):
        saved = (whole - least) * (length // every) / length
        assert stored(every) == pytest.approx(whole - saved, rel=1e-3)


@pytest.mark.parametrize("task", names("task"))
def test_every_second_branch_of_a_default_net_can_be_computed_again(task):
    refuse_unfit_model(load([f"task={task}", "model.checkpoint=2"])[0])
