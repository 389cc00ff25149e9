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
