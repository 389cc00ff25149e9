"""Whole runs of every task on a second device: what lies on the wrong one raises, as on a GPU."""

import contextlib

import numpy as np
import pytest
import torch
from conftest import CONNECTIONS, make_input, make_stack
from second_device import HERE, Far, second_device
from tiny_runs import DROPOUT, MIXED, OPTIONS, TINY, fit, goes_on_and_is_used, shrink, words

from tasks.gnn import task as gnn
from tasks.gnn.task import NodeClassification
from tasks.training.run import fit as fit_in_python
from tasks.worker.jobs import measure, run_cell
from zoo.config.compose import load
from zoo.models.layers.sparse import Sparse

PIXELS = "form=imagenet"  # of images of one pixel the CPU's bfloat16 with channels last leaves
# parts of a kernel's gradient unset


@pytest.fixture(autouse=True)
def small(monkeypatch):
    shrink(monkeypatch)


@pytest.fixture
def device():
    with second_device():
        yield


def on_cpu():
    return contextlib.nullcontext()


@pytest.mark.parametrize("task", TINY)
def test_a_run_gives_what_it_gives_on_the_cpu(task, tmp_path):
    """Loss, metrics of all parts, last and best weights, curves, final metrics and figures."""
    results, figures = [], []
    for name, place in (("cpu", on_cpu), ("device", second_device)):
        with place():
            more = ["trainer.ema=0.9", *(["model.dropout=0"] if task in DROPOUT else [])]
            if task == "diffusion":
                more += ["task.sample_every=2", "task.frechet_samples=4"]
            results.append(fit(tmp_path / name, *words(task, "trainer.max_steps=4", *more)))
        figures.append(sorted(path.name for path in (tmp_path / name / "figures").iterdir()))
    ours, theirs = results
    assert theirs["machine"]["gpus"] == ["second device"]
    assert figures[0] == figures[1]
    for kind in ("metrics", "curves", "curves_at_start"):
        for name, value in ours[kind].items():
            assert theirs[kind][name] == pytest.approx(value, rel=1e-3, abs=1e-4), (kind, name)


@pytest.mark.parametrize(
    "task", [pytest.param(t, marks=[pytest.mark.slow] * (t == "diffusion")) for t in TINY]
)
def test_a_mixed_run_goes_on_as_if_it_had_not_stopped_and_is_used(task, device, tmp_path, capsys):
    """In bfloat16 with an average, clipping, accumulation and dropout."""
    goes_on_and_is_used(task, tmp_path, capsys, MIXED)


@pytest.mark.parametrize(
    ("options", "precision"),
    [(o, "bf16-mixed") for o in OPTIONS if PIXELS not in o]
    + [(o, "32-true") for o in OPTIONS if "gnn" in o or PIXELS in o],
)
def test_options_train_and_evaluate(options, precision, device, tmp_path):
    task, *rest = options.split()
    given = words(task, *rest, "trainer.max_steps=1", f"trainer.precision={precision}")
    assert run_cell(load(given)[0].plain(), str(tmp_path / "run")) == {"status": "done"}


@pytest.mark.parametrize("task", TINY)
def test_a_comparison_measures_a_kind_of_run(task, device):
    found = measure(load(words(task, "trainer.max_steps=1"))[0].plain())
    assert found["flops"] > 0


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("kind", ["mlp", "stages", "graph"])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_every_rule_gives_what_it_gives_on_the_cpu(name, kind, mixed):
    """Output and gradients of a stack; CUDA's autocast rounds elsewhere, so only both run."""
    found = []
    for where, place in (("cpu", on_cpu), ("cuda", second_device)):
        with place():
            stack = make_stack(name, kind).to(where)
            x, *side = (tensor.to(where) for tensor in make_input(kind))
            with torch.autocast(where, torch.bfloat16, enabled=mixed):
                out = stack(x, *side)
            out.float().square().mean().backward()
            grads = [p.grad for p in stack.parameters() if p.grad is not None]
            assert {tensor.device.type for tensor in (out, *grads)} == {where}
            found.append([tensor.detach().float().cpu() for tensor in (out, *grads)])
    tolerance = {"rtol": 0.2, "atol": 0.05} if mixed else {}
    torch.testing.assert_close(*found, **tolerance)


def edges_stay(self):
    values = self.model.body.values(self.model.stem(self.x, *self.edges), *self.edges)
    return {"energy": [gnn.dirichlet_energy(v, self.data.edge_index).item() for v in values]}


def labels_stay(self, stage):
    NodeClassification.setup_(self, stage)
    self.y = self.data.y


def labels_to_numpy(self, batch):
    return {"loss": torch.tensor(self.y[batch].numpy().sum()), "count": torch.tensor(len(batch))}


def drawn_on_cpu(self):
    noise = torch.rand(self.y.shape, generator=self.generators["edges"], device=self.device)
    assert noise is not None
    return self.edges


def inside_autocast(self, dense):
    return self.matrix @ dense


FAULTS = {
    "curves": (NodeClassification, "depth_profiles", edges_stay, "same device"),
    "labels": (NodeClassification, "setup", labels_stay, "same device"),
    "numpy": (NodeClassification, "eval_sums", labels_to_numpy, "numpy"),
    "generator": (NodeClassification, "dropped_edges", drawn_on_cpu, "generator is on cpu"),
    "sparse": (Sparse, "__matmul__", inside_autocast, "BFloat16"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_end_a_run(fault, device, tmp_path, monkeypatch):
    monkeypatch.setattr(NodeClassification, "setup_", NodeClassification.setup, raising=False)
    owner, name, planted, message = FAULTS[fault]
    monkeypatch.setattr(owner, name, planted)
    given = words("gnn", MIXED, "trainer.max_steps=1", f"run.dir={tmp_path / 'run'}")
    config, _ = load(given)
    with pytest.raises((RuntimeError, NotImplementedError), match=message):
        fit_in_python(config)


def far(*values):
    return torch.tensor(values, device="cuda")


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: far(1.0, 2.0) + torch.ones(2),
        lambda: torch.ones(2)[far(0, 1)],
        lambda: far(1.0, 2.0).index_put_((torch.tensor([0, 1]),), torch.ones(2)),
        lambda: torch.cat([far(1.0), torch.ones(1)]),
        lambda: torch.nn.Linear(2, 2)(far(1.0, 2.0)),
        lambda: far(1.0).numpy(),
        lambda: np.asarray(far(1.0)),
        lambda: torch.rand(2, generator=generator(), device="cuda"),
        lambda: far(1.0).normal_(generator=generator()),
        lambda: torch.rand(2, generator=torch.Generator("cuda")),
        lambda: Sparse.of_dense(torch.eye(2)).to(HERE).matrix @ far(1.0, 2.0)[:, None].bfloat16(),
        lambda: torch.sparse.mm(Sparse.of_dense(torch.eye(2)).to(HERE).matrix, far(1.0), "sum"),
    ],
)
def test_it_refuses_what_a_gpu_refuses(call, device):
    with pytest.raises((RuntimeError, NotImplementedError)):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: far(1.0, 2.0) + torch.tensor(1.0),
        lambda: far(1.0, 2.0)[torch.tensor([0, 1])],
        lambda: far(1.0, 2.0).index_put_((torch.tensor([0]),), torch.tensor(1.0)),
        lambda: torch.ones(2).to("cuda"),
        lambda: torch.ones(2).cuda(),
        lambda: torch.rand(2, generator=torch.Generator("cuda"), device="cuda"),
        lambda: torch.nn.functional.dropout(far(1.0, 2.0)),
    ],
)
def test_it_takes_what_a_gpu_takes(call, device):
    assert isinstance(call(), Far)


def test_it_casts_by_the_lists_of_cuda(device):
    weight, x = far(1.0, 2.0)[None].requires_grad_(), far(1.0, 2.0)[None]
    with torch.autocast("cuda", torch.bfloat16):
        product = torch.nn.functional.linear(x, weight)
        assert product.dtype == torch.bfloat16
        assert product.softmax(-1).dtype == torch.float32
    product.float().sum().backward()
    assert weight.grad.dtype == torch.float32
    assert weight.grad.tolist() == [[1.0, 2.0]]


def test_its_random_state_is_its_own(device):
    torch.manual_seed(0)
    before, state = torch.get_rng_state(), torch.cuda.get_rng_state_all()
    first = torch.rand(3, device="cuda")
    assert torch.equal(torch.get_rng_state(), before)
    torch.cuda.set_rng_state_all(state)
    assert torch.equal(torch.rand(3, device="cuda"), first)


def test_what_is_there_stays_as_it_is(device):
    """Moving a module to where it is keeps its memory: averages and optimisers point there."""
    net = torch.nn.Linear(2, 1).to("cuda")
    weight, live = net.weight, net.state_dict()["weight"]
    net.to(torch.device("cuda", 0))
    assert net.weight is weight
    net.weight.data.fill_(3.0)
    assert live.tolist() == [[3.0, 3.0]]
    assert net.cpu().weight is weight
    assert live.device.type == "cuda"
