"""Planted faults are named where they are, and healthy nets are not accused."""

from collections import Counter

import pytest
import torch
from healthy_nets import STARTS, State, first_states
from scored_nets import HEALTHY, PLANTED, missing
from sick_nets import CASES, NETS

from tasks.bench.diagnose import HALVES, of_planted, score, table, within
from zoo.diagnosis.causes import collapse, gradients, norms, numbers, skips, steps, units
from zoo.diagnosis.diagnose import CHECKS, diagnose
from zoo.diagnosis.finding import CAUSES

SECOND = [net for net in PLANTED if net.half == "second"]
FOREIGN = {"first": 17, "second": 21}  # causes that a net of another library has
LIMITS = [  # where a cause begins; all were set on the first half
    (numbers, "LARGE"),
    (units, "FLAT"),
    (gradients, "VANISHING"),
    (gradients, "EXPLODING"),
    (skips, "IDLE"),
    (skips, "GROWTH"),
    (collapse, "ALIKE"),
    (norms, "SHIFT"),
    (norms, "STRETCH"),
    (steps, "LARGE"),
    (steps, "SMALL"),
]


def test_every_cause_has_a_check_and_nets_of_all_kinds_in_both_halves():
    assert [*CHECKS] == sorted(CHECKS, key=[*CAUSES].index)
    assert CHECKS.keys() == CAUSES.keys()
    for half in HALVES:
        nets = [net for net in PLANTED if net.half == half]
        counts = Counter(net.cause for net in nets)
        assert all(counts[cause] >= 3 for cause in CAUSES)
        kinds = [{net.kind for net in nets if net.cause == cause} for cause in CAUSES]
        assert all(kind & {"ours", "by hand"} for kind in kinds)
        assert sum(bool(kind - {"ours", "by hand"}) for kind in kinds) >= FOREIGN[half]
    assert len({str(net) for net in PLANTED}) == len(PLANTED)


@pytest.mark.parametrize(
    ("cause", "net", "plant"),
    [pytest.param(*c, id=f"{c[0]}, {c[2].__name__}, {c[1]}") for c in CASES],
)
def test_a_planted_fault_is_named_where_it_is(cause, net, plant):
    torch.manual_seed(0)
    module, batch, loss, optimizer, where = plant(net)
    findings = [f for f in diagnose(module, batch, loss, optimizer).findings if f.cause == cause]
    assert findings
    assert where is None or any(within(f.where, where) for f in findings)


@pytest.mark.parametrize("net", SECOND[5::20], ids=str)
def test_a_fault_that_no_limit_was_set_on_is_named_where_it_is(net):
    if missing(net.kind):
        pytest.skip(f"{net.kind} is not installed")
    row = of_planted(net)
    assert row["found"]
    assert row["named"] is not False


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [("a.b", "a", True), ("a", "a.b", True), ("a", "a", True), ("a.b", "a.bc", False),
     ("", "a", False), ("a", "", False), ("a.b", "a.c", False)],
)  # fmt: skip
def test_a_place_is_a_module_in_or_around_another_but_not_the_net(one, other, said):
    assert within(one, other) is said


def accused(state: State):
    found = diagnose(state.net, state.batch, state.loss, state.optimizer).findings
    return [str(finding) for finding in found]


@pytest.mark.parametrize(("task", "rule", "depth"), STARTS[::12])
def test_a_healthy_net_is_not_accused(task, rule, depth):
    torch.manual_seed(0)
    (state,) = first_states(task, rule, depth)
    assert accused(state) == []


@pytest.mark.slow
def test_the_score_of_both_halves():
    import scored_nets

    record = score(scored_nets, PLANTED, HEALTHY)
    for half in HALVES:
        planted = [row["found"] and row["named"] is not False
                   for row in record["planted"] if row["half"] == half]  # fmt: skip
        healthy = [row["causes"] for row in record["healthy"] if row["half"] == half]
        assert sum(planted) >= 0.95 * len(planted), table(record)
        assert len(healthy) >= 100
        assert sum(map(bool, healthy)) <= 0.01 * len(healthy), table(record)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2 / 3, 3 / 2])
def test_limits_lie_well_between_the_sick_and_the_healthy_of_the_first_half(factor, monkeypatch):
    for home, name in LIMITS:
        monkeypatch.setattr(home, name, factor * getattr(home, name))
    for net in PLANTED:
        assert net.half == "second" or of_planted(net)["found"], str(net)
    for case in STARTS[::5]:
        torch.manual_seed(0)
        assert accused(*first_states(*case)) == [], case


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
        "double_add at blocks.2.inner: the branch has added the stream before it is added again -- "
        "leave one of the two sums out"
    )
