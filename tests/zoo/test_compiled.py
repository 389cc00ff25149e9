"""A net that is compiled write by write: equal to itself, and no dearer to compile when deeper."""

import pytest
import torch
from conftest import CONNECTIONS, make_input, make_stack

from zoo.compiled import compile_writes

QUICK = ("residual", "dense", "hyper")  # one of each kind of state
CHANGES = {"altup": {"streams": 2}}  # its writes take turns


def graphs(stack, x):
    """How many graphs are compiled for a step and an evaluation, which give what they gave."""
    before = stack.eval()(x)
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compile_writes(stack, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(stack(x), before)
    stack.train()(x).sum().backward()
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CONNECTIONS],
)
def test_depth_adds_nothing_to_compile(name):
    (x,), changes = make_input("mlp"), CHANGES.get(name, {})
    shallow, deep = (make_stack(name, "mlp", length, **changes) for length in (3, 5))
    few = graphs(shallow, x)
    assert few == graphs(deep, x)
    assert bool(few) != (name == "reversible")  # whose writes are undone by the eager code


def test_an_option_that_compiles_nothing_says_so(caplog):
    with caplog.at_level("WARNING", "zoo"):
        compile_writes(make_stack("residual", "mlp"), backend="eager")
        assert not caplog.messages
        compile_writes(make_stack("reversible", "mlp"), backend="eager")
    assert "no write to compile; give trainer.compile=whole" in caplog.text


def test_other_shapes_and_calls_held_eager_compile_nothing():
    """A smaller last batch gives what it gave; a look by eager code claims no shape."""
    (x,), stack = make_input("mlp"), make_stack("residual", "mlp")
    whole, last = stack(x), stack(x[:2])
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compile_writes(stack, backend="eager")
    with torch.compiler.set_stance("force_eager"):
        stack(x[:3])
    found = torch._dynamo.utils.counters["stats"]
    for given, expected, graphs in ((x, whole, 2), (x[:2], last, 2), (x, whole, 2)):
        torch.testing.assert_close(stack(given), expected)
        assert found["unique_graphs"] == graphs  # the input of the first write has no gradient


def test_a_later_net_takes_the_code_of_an_earlier_one_and_not_its_weights():
    (x,) = make_input("mlp")
    for seed, graphs in ((0, 2), (1, 0)):
        stack = make_stack("residual", "mlp", seed=seed)
        expected = stack(x)
        if not seed:
            torch.compiler.reset()
        torch._dynamo.utils.counters.clear()
        compile_writes(stack, backend="eager")
        torch.testing.assert_close(stack(x), expected)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs


def test_a_process_forgets_kinds_when_it_holds_many(monkeypatch):
    torch.compiler.reset()
    (x,) = make_input("mlp")
    monkeypatch.setattr("zoo.compiled.KEPT", 0)
    for _ in range(2):
        torch._dynamo.utils.counters.clear()
        stack = make_stack("residual", "mlp")
        compile_writes(stack, backend="eager")
        stack(x)
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 2
