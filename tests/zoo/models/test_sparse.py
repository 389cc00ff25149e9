"""Sparse products in every form, and the choice of one."""

import pytest
import torch
from second_device import HERE, second_device
from torch.profiler import ProfilerActivity, profile

from tasks.data.graphs.csbm import CSBM
from tasks.gnn.task import NodeClassification
from tasks.training.optimizers import Adam
from zoo.connections.anchored import Initial
from zoo.models.gnn import GNN
from zoo.models.layers import sparse_form
from zoo.models.layers.sparse import FORMS, Sparse
from zoo.models.layers.sparse_form import fastest, product_form
from zoo.norm import NoNorm

KERNELS = {"csr": "aten::mm", "gather": "aten::_embedding_bag"}


def drawn(rows=6, columns=8):
    """A matrix with an empty row and an empty column."""
    generator = torch.Generator().manual_seed(0)
    dense = torch.randn(rows, columns, generator=generator)
    dense *= torch.rand(rows, columns, generator=generator) < 0.5
    dense[2], dense[:, 3] = 0, 0
    return dense


def product(matrix, right, weight):
    """The product, and the gradient of its weighted sum."""
    right = right.clone().requires_grad_()
    out = matrix @ right
    return out.detach(), torch.autograd.grad(out, right, weight.to(out.dtype))[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_product_of_the_dense_matrix(form, dtype):
    """In bfloat16 under autocast, which must not round it."""
    dense = drawn().to(torch.float64 if dtype == torch.float64 else torch.float32)
    right, weight = torch.randn(8, 3).to(dtype), torch.randn(6, 3).to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        found = product(Sparse.of_dense(dense).taking(form), right, weight)
    expected = product(dense, right.to(dense.dtype), weight)
    assert found[0].dtype == dense.dtype
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs.to(ours.dtype))


@pytest.mark.parametrize("form", FORMS)
def test_a_form_stays_when_values_are_dropped_and_moved(form):
    matrix = Sparse.of_dense(drawn()).taking(form)
    assert {matrix.dropout(0.5, True).form, matrix.to("cpu").form} == {form}
    empty = Sparse.of_dense(torch.zeros(3, 2)).taking(form)
    assert torch.equal(product(empty, torch.ones(2, 4), torch.ones(3, 4))[1], torch.zeros(2, 4))


@pytest.mark.parametrize("slow", FORMS)
def test_the_faster_form_is_taken(slow):
    """By a clock on which the kernels of one form take a second and all others no time."""

    def seconds(call):
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            call()
        return sum(event.name.startswith(KERNELS[slow]) for event in seen.events())

    assert {fastest(Sparse.of_dense(drawn()), 4, seconds), slow} == {*FORMS}


def test_where_runs_must_repeat_nothing_is_measured():
    matrix = Sparse.of_dense(drawn())
    assert product_form(matrix, 4) == "gather"
    with second_device():
        matrix = matrix.to(HERE)
        assert product_form(matrix, 4) == product_form(matrix, 4)  # once measured
        torch.use_deterministic_algorithms(True)
        try:
            assert product_form(matrix, 5) == "csr"
        finally:
            torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("form", FORMS)
def test_processes_of_a_run_take_the_form_of_the_first(form, monkeypatch):
    """Their clocks may differ; here the first one has found the form."""
    monkeypatch.setattr(sparse_form, "MEASURED", {})
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)

    def receive(texts):
        texts[0] = form

    monkeypatch.setattr(torch.distributed, "broadcast_object_list", receive)
    with second_device():
        assert product_form(Sparse.of_dense(drawn()).to(HERE), 4) == form


@pytest.mark.parametrize(("record", "form"), [({}, "csr"), ({"chosen": {}}, "gather")])
def test_a_run_goes_on_in_its_form(record, form):
    """One that notes none is of before there was a choice."""

    def make_model(**given):
        return GNN(connect=Initial, norm_placement=NoNorm(), depth=2, conv="gcn2", **given)

    def make_task():
        return NodeClassification(
            make_model, CSBM(nodes=60, train=20, val=20).load(), Adam(), 0, drop_edge=0.2
        )

    task = make_task()
    task.recall(record)
    task.setup("fit")
    checkpoint = {}
    task.on_save_checkpoint(checkpoint)
    resumed = make_task()
    resumed.setup("fit")
    assert resumed.edges[0].form == "gather"
    resumed.on_load_checkpoint(checkpoint)
    for each in (task, resumed):
        assert {each.edges[0].form, each.dropped_edges()[0].form} == {form}
