"""Training on parts of a graph: what a part is, and what a run on parts is."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small_graphs import CONVS
from small_runs import rows, weights

from tasks.data.graphs.csbm import CSBM
from tasks.data.graphs.dataset import Graph
from tasks.gnn import prepared_clusters
from tasks.gnn.clusters import clusters_of
from tasks.gnn.parts import Neighbors
from tasks.gnn.task import NodeClassification
from tasks.training.optimizers import Adam
from zoo.cli.main import main
from zoo.connections.additive import Plain, Residual
from zoo.errors import ConfigError
from zoo.models.gnn import GNN
from zoo.norm import NoNorm
from zoo.run_folder import RunFolder
from zoo.shard import Shard

WHOLE = {"clusters": {"clusters": 1}, "neighbors": {"neighbors": -1, "batch_size": 30}}


def directed(nodes=80, edges=240, parts=(30, 55)):
    """A graph with loops, repeated edges and nodes without neighbours."""
    draws = torch.Generator().manual_seed(0)
    edge_index = torch.randint(nodes - 5, (2, edges), generator=draws)
    numbers = torch.randperm(nodes, generator=draws).tensor_split(parts)
    x = torch.randn(nodes, 8, generator=draws)
    return Graph(x, edge_index, torch.arange(nodes) % 3, *numbers, "drawn").checked()


def task_of(data, conv="gcn", depth=3, connect=Residual, seed=0, **options):
    """A task whose net has no dropout, ready for steps."""

    def make_model(**given):
        small = {"depth": depth, "width": 8, "conv": conv, "dropout": 0.0}
        return GNN(connect=connect, norm_placement=NoNorm(), **small, **given)

    torch.manual_seed(0)
    task = NodeClassification(make_model, data, Adam(), seed, **options)
    task.setup("fit")
    return task


def gradients(task):
    """The loss of the first step and its gradients, in one vector."""
    loss = task.loss(next(iter(task.train_loader())))
    grads = torch.autograd.grad(loss, [*task.model.parameters()], allow_unused=True)
    return torch.cat([loss.view(1), *(each.flatten() for each in grads if each is not None)])


@pytest.mark.parametrize("sampling", WHOLE)
@pytest.mark.parametrize("conv", CONVS)
def test_a_part_that_is_the_whole_graph_gives_its_loss_and_gradients(conv, sampling):
    data = directed()
    full = gradients(task_of(data, conv))
    found = gradients(task_of(data, conv, sampling=sampling, **WHOLE[sampling]))
    assert torch.equal(found, full) if sampling == "clusters" else torch.allclose(found, full)


@pytest.mark.parametrize("conv", CONVS)
def test_all_neighbours_of_some_nodes_give_them_their_logits_in_the_whole_graph(conv):
    data, depth = directed(nodes=300, edges=350, parts=(30, 55)), 2
    task = task_of(data, conv, depth, sampling="neighbors", neighbors=[-1] * depth, batch_size=4)
    batch = next(iter(task.train_loader()))
    part = task.parts.part(*batch)
    assert len(part.nodes) < len(data.y) / 2
    _, _, places, x, *edges = task.prepared(batch)
    whole = task.model(task.x, *task.edges)[part.trained]
    torch.testing.assert_close(task.model(x, *edges)[places], whole)


@pytest.mark.parametrize("conv", ["gcn", pytest.param("sage", marks=pytest.mark.slow)])
def test_drawn_neighbours_propagate_in_expectation_as_all_do(conv):
    """In one linear convolution, whose mean over the draws nears the whole graph's."""
    data = CSBM(nodes=200, train=20, val=20, degree=20.0).load()
    options = {"sampling": "neighbors", "neighbors": 3, "batch_size": 20}
    task = task_of(data, conv, 1, **options)
    core = task.model.body.branches[0].core
    core = getattr(core, "core", core)
    nodes = data.train.sort().values
    whole = core(data.x[:, :8], *task.edges)[nodes]
    drawn = []
    for number in range(300):
        part = task.parts.part(number, nodes)
        x, *edges = task.inputs_of(part, part.edges)
        drawn.append(core(x[:, :8], *edges)[part.rows])
    drawn = torch.stack(drawn)
    error = drawn.std(0) / len(drawn) ** 0.5
    assert ((drawn.mean(0) - whole).abs() < 5 * error + 1e-5).all()
    assert drawn.std(0).mean() > 0.05


def test_neighbours_are_drawn_without_replacement_and_do_not_depend_on_others():
    data = directed(edges=900)
    parts = Neighbors(data, [4, 2, 0], 30, 0, loops=True)
    alone = {int(node): parts.part(5, node.view(1)) for node in data.train}
    together = parts.part(5, data.train)
    into = data.edge_index[1].bincount(minlength=len(data.y))
    real = [*map(tuple, data.edge_index.T.tolist())]
    seen = [*map(tuple, together.nodes[together.edges].T.tolist())]
    assert all(seen.count(edge) <= real.count(edge) for edge in seen)
    for node, part in alone.items():
        ours, theirs = (
            sorted(p.nodes[p.edges[0][p.nodes[p.edges[1]] == node]].tolist())
            for p in (part, together)
        )
        assert ours == theirs
        assert len(ours) == min(4, int(into[node]))
    assert not torch.equal(parts.part(6, data.train).nodes, together.nodes)


@pytest.mark.parametrize("options", [{"clusters": 8, "batch_size": 3}, {"clusters": 20}])
def test_a_part_of_clusters_has_their_nodes_all_edges_among_them_and_no_other(options):
    data = directed(edges=400)
    task = task_of(data, sampling="clusters", **options)
    taught = set()
    for number, chosen in itertools.islice(task.train_loader(), task.batches_per_pass()):
        part = task.parts.part(number, chosen)
        nodes = {node for node in range(80) if task.parts.cluster[node] in chosen}
        assert part.nodes.tolist() == sorted(nodes)
        inside = [(s, t) for s, t in data.edge_index.T.tolist() if {s, t} <= nodes]
        assert [*map(tuple, part.nodes[part.edges].T.tolist())] == inside
        assert {*part.trained.tolist()} == nodes & {*data.train.tolist()}
        assert torch.equal(part.nodes[part.rows], part.trained)
        taught |= {*part.trained.tolist()}
    assert options != {"clusters": 20} or taught == {*data.train.tolist()}


@pytest.mark.parametrize("clusters", [1, 2, 7, 40])
def test_clusters_are_balanced_and_keep_edges(clusters):
    side = torch.arange(1600).view(40, 40)
    right, down = (torch.stack([a.flatten(), b.flatten()]) for a, b in (
        (side[:, :-1], side[:, 1:]), (side[:-1], side[1:])))  # fmt: skip
    grid = torch.cat([right, down], 1)
    found = clusters_of(grid, 1600, clusters)
    sizes = found.bincount(minlength=clusters)
    assert sizes.min() > 0
    assert sizes.max() <= 1.1 * 1600 / clusters + 1
    assert (found[grid[0]] == found[grid[1]]).float().mean() > max(0.45, 1 - 0.03 * clusters)
    assert torch.equal(found, clusters_of(grid.flip(0), 1600, clusters))


def test_a_large_graph_is_divided_once(tmp_path, monkeypatch, capsys):
    """Also where several processes ask at the same time, for which threads stand."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    edges = directed().edge_index
    expected = clusters_of(edges, 80, 7)
    assert torch.equal(prepared_clusters.prepared_clusters(edges, 80, 7), expected)
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr(prepared_clusters, "LARGE", 240)
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(
            lambda _: prepared_clusters.prepared_clusters(edges, 80, 7), range(3)
        ):
            assert torch.equal(found, expected)
    assert capsys.readouterr().err.count("into 7 clusters once") == 1
    others = (edges, 80, 8), (edges.flip(1), 80, 7), (edges, 81, 7)
    for count, other in enumerate(others, 2):
        assert torch.equal(prepared_clusters.prepared_clusters(*other), clusters_of(*other))
        assert len([*tmp_path.rglob(prepared_clusters.FILE)]) == count


def test_labels_outside_the_training_part_change_no_step():
    data, other = directed(), directed()
    other.y[other.val] = 0
    other.y[other.test] = 1
    for sampling in WHOLE:
        options = {"sampling": sampling, "neighbors": 2, "clusters": 5, "batch_size": 2}
        assert torch.equal(*(gradients(task_of(each, **options)) for each in (data, other)))


@pytest.mark.parametrize("sampling", WHOLE)
def test_processes_that_share_a_step_take_it_as_one_does(sampling):
    task = task_of(directed(), sampling=sampling, batch_size=2, neighbors=2)
    batch = next(iter(task.train_loader()))
    shares = [task.loss(batch, Shard(rank, 3)) for rank in range(3)]
    torch.testing.assert_close(sum(shares) / 3, task.loss(batch))


def test_arms_of_a_pair_see_the_same_parts_and_other_seeds_others():
    data = directed()
    for sampling in WHOLE:
        options = {"sampling": sampling, "clusters": 8, "neighbors": 2, "batch_size": 2}
        seen = []
        for connect, seed in ((Residual, 0), (Plain, 0), (Residual, 1)):
            task = task_of(data, connect=connect, seed=seed, **options)
            batches = itertools.islice(task.train_loader(), 5)
            seen.append([task.parts.part(*batch).nodes.tolist() for batch in batches])
        assert seen[0] == seen[1] != seen[2]
        again = itertools.islice(task.train_loader(3), 2)
        assert [task.parts.part(*batch).nodes.tolist() for batch in again] == seen[2][3:]


REFUSED = {
    "more clusters than nodes": ({"sampling": "clusters", "clusters": 81}, "81 clusters of 80"),
    "a step of too many clusters": (
        {"sampling": "clusters", "clusters": 4, "batch_size": 5}, "a step of 5 clusters"),
    "a step of too many nodes": ({"sampling": "neighbors", "batch_size": 31}, "31 training nodes"),
    "numbers for fewer convolutions": ({"sampling": "neighbors", "neighbors": [2]}, "1 numbers"),
    "a sum over some": ({"sampling": "neighbors", "conv": "gin"}, "gin sums"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_sampled_is_refused(what):
    options, words = REFUSED[what]
    with pytest.raises(ConfigError, match=words):
        task_of(directed(), **options).batches_per_pass()


class Unaware(GNN):
    """A net of somebody who had no drawn edges in mind."""

    def prepare(self, edge_index, nodes):
        return super().prepare(edge_index, nodes)


def test_a_model_that_knows_no_drawn_edges_trains_on_clusters_alone():
    def make_model(**given):
        model = Unaware(connect=Residual, norm_placement=NoNorm(), depth=3, **given)
        del model.depth
        return model

    task = NodeClassification(make_model, directed(), Adam(), 0, sampling="neighbors")
    with pytest.raises(ConfigError, match=r"Unaware has no depth, .* and no prepare\(.*drawn\)"):
        task.batches_per_pass()
    task = NodeClassification(make_model, directed(), Adam(), 0, sampling="clusters")
    task.setup("fit")
    assert gradients(task).isfinite().all()


RUN = ["fit", "task=gnn", "logger=none", "model.depth=3", "model.width=8", "data.nodes=150"]
RUN += ["data.train=40", "data.val=40", "trainer.validate_every=3", "trainer.accelerator=cpu"]


def test_what_cannot_be_sampled_leaves_no_folder(tmp_path):
    given = ["task.sampling=clusters", "task.clusters=151", f"run.dir={tmp_path / 'run'}"]
    assert main([*RUN, *given, "trainer.max_steps=2"]) == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["task.sampling=clusters", "task.clusters=7", "task.batch_size=2", "task.drop_edge=0.1"],
        pytest.param(
            ["task.sampling=neighbors", "task.neighbors=2", "task.batch_size=7"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_continued_run_on_parts_is_the_run_that_was_not_cut(words, tmp_path, capsys):
    for name, steps in (("whole", 8), ("cut", 4)):
        run = [f"trainer.max_steps={steps}", f"run.dir={tmp_path / name}"]
        assert main([*RUN, *words, *run]) == 0
    assert main(["fit", f"from={tmp_path / 'cut'}", "trainer.max_steps=8"]) == 0
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert rows(tmp_path / "whole")[-1] == rows(tmp_path / "cut")[-1]
    result = RunFolder(tmp_path / "whole").result()
    assert result["epochs"] == pytest.approx(8 / (7 // 2 if "clusters" in words[0] else 5))


def test_what_a_step_sees_is_told(caplog):
    caplog.set_level("INFO", "zoo")
    assert task_of(directed(), sampling="clusters", clusters=8).parts
    assert task_of(directed(), sampling="neighbors", neighbors=3).parts
    first, second = (record.getMessage() for record in caplog.records)
    assert "8 clusters of" in first
    assert "of the edges inside" in first
    assert "a step of 30 training nodes sees" in second


def test_evaluation_is_of_the_whole_graph():
    data = directed()
    for sampling in WHOLE:
        task = task_of(data, sampling=sampling, batch_size=2)
        full = task_of(data)
        for part in data.parts:
            (nodes,) = task.loader(part)
            assert task.eval_sums(nodes) == full.eval_sums(nodes)
