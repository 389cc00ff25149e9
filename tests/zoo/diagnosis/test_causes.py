"""Planted faults are named where they are, and healthy nets are not accused."""

import pytest
import torch
from sick_nets import CASES, NETS, ours

from zoo.config import registry
from zoo.diagnosis.diagnose import CHECKS, diagnose
from zoo.diagnosis.finding import CAUSES

DEPTHS = {"cnn": (8, 20), "unet": (2, 3), "transformer": (2, 6), "gnn": (4, 8), "diffusion": (2, 3)}
RULES = registry.names("connection")
SICK = {("transformer", "concat", 6)}  # six blocks without a skip: its tokens do collapse
HEALTHY = [
    (task, rule, depth)
    for task, depths in DEPTHS.items()
    for rule in RULES
    for depth in (depths[:1] if rule == "plain" else depths)
    if (task, rule, depth) not in SICK
]


def test_every_cause_has_a_check_and_three_nets_that_have_it():
    assert [*CHECKS] == sorted(CHECKS, key=[*CAUSES].index)
    assert CHECKS.keys() == CAUSES.keys()
    assert all(sum(cause == name for cause, _, _ in CASES) >= 3 for name in CAUSES)


@pytest.mark.parametrize(
    ("cause", "net", "plant"),
    [pytest.param(*c, id=f"{c[0]}, {c[2].__name__}, {c[1]}") for c in CASES],
)
def test_a_planted_fault_is_named_where_it_is(cause, net, plant):
    torch.manual_seed(0)
    module, batch, loss, optimizer, where = plant(net)
    findings = [f for f in diagnose(module, batch, loss, optimizer).findings if f.cause == cause]
    assert findings
    if where is not None:
        assert any(f.where.startswith(where) or where.startswith(f.where) for f in findings)


def accused(task, rule, depth):
    net, batch, loss = ours(task, f"connection={rule}", f"model.depth={depth}", "model.width=16")
    return [str(finding) for finding in diagnose(net, batch, loss).findings]


@pytest.mark.parametrize(("task", "rule", "depth"), HEALTHY[::12])
def test_a_healthy_net_is_not_accused(task, rule, depth):
    torch.manual_seed(0)
    assert accused(task, rule, depth) == []


@pytest.mark.slow
def test_of_all_healthy_nets_one_in_a_hundred_is_accused_at_most():
    torch.manual_seed(0)
    findings = {case: found for case in HEALTHY if (found := accused(*case))}
    assert len(HEALTHY) >= 100
    assert len(findings) <= 0.01 * len(HEALTHY), findings


@pytest.mark.parametrize("name", [name for name in NETS if name not in ("cnn", "unet", "gnn")])
def test_a_diagnosis_leaves_the_net_as_it_was(name):
    net, batch, loss = NETS[name]()
    weights = {key: value.clone() for key, value in net.state_dict().items()}
    optimizer = torch.optim.Adam(net.parameters())
    random = torch.get_rng_state()
    diagnose(net, batch, loss, optimizer)
    assert all(value.equal(weights[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert optimizer.state_dict()["state"] == {}
    assert torch.get_rng_state().equal(random)


def test_a_finding_is_one_line_with_its_number_and_a_cure():
    module, batch, loss, *_ = next(p for c, n, p in CASES if c == "double_add")("mlp")
    (finding,) = diagnose(module, batch, loss).findings
    assert str(finding) == (
        "double_add: the branch has added the stream before it is added again -- "
        "leave one of the two sums out"
    )
