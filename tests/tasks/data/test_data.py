"""Data sources against PyG, against their formulas, and against broken or hostile files."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from small_graphs import write_geom_gcn

from tasks.data import raw
from tasks.data.graphs.csbm import CSBM
from tasks.data.graphs.geom import Actor, WebKB
from tasks.data.graphs.planetoid import Planetoid
from zoo.errors import DataError


@pytest.fixture
def unknown(monkeypatch):
    """No raw file has a known digest: those that are made here are read."""
    monkeypatch.setattr(raw, "KNOWN", {})


def test_csbm_has_the_declared_statistics():
    graph = CSBM(nodes=2000).load()
    source, target = graph.edge_index
    within = (graph.y[source] == graph.y[target]).double().mean().item()
    assert graph.edge_index.shape[1] / 2000 == pytest.approx(8, rel=0.05)
    assert within == pytest.approx((8 + 2.4 * 8**0.5) / 16, abs=0.02)
    centre = graph.x[graph.y == 1].mean(0) - graph.x[graph.y == 0].mean(0)
    assert centre.norm().item() / 2 == pytest.approx(0.5, abs=0.12)
    assert graph.digest() == CSBM(nodes=2000).load().digest()
    assert graph.digest() != CSBM(nodes=2000, seed=1).load().digest()


def test_cora_is_as_pyg_reads_it(planetoid, tmp_path):
    from torch_geometric.datasets import Planetoid as Reference
    from torch_geometric.transforms import NormalizeFeatures

    root = tmp_path / "Cora"
    root.mkdir()
    (root / "raw").symlink_to(planetoid / "Cora" / "raw")
    theirs = Reference(str(tmp_path), "Cora", transform=NormalizeFeatures())[0]
    ours = Planetoid(path=str(planetoid)).load()
    torch.testing.assert_close(ours.x, theirs.x)
    assert torch.equal(ours.y, theirs.y)
    assert set(map(tuple, ours.edge_index.T.tolist())) == set(
        map(tuple, theirs.edge_index.T.tolist())
    )
    for part in ("train", "val", "test"):
        mask = getattr(theirs, f"{part}_mask")
        assert torch.equal(getattr(ours, part), mask.nonzero().flatten())


def test_features_of_a_node_sum_to_one():
    """Rows of the test part go where its index says; a row without features stays zero."""
    rng = np.random.default_rng(0)
    known, held = rng.integers(0, 3, (520, 6)), rng.integers(1, 3, (4, 6))
    known[7] = 0
    index = np.array([523, 520, 525, 521])
    answers = np.eye(2, dtype=int)[rng.integers(0, 2, 524)]
    contents = {
        "allx": scipy.sparse.csr_matrix(known),
        "tx": scipy.sparse.csr_matrix(held),
        "ally": answers[:520],
        "ty": answers[520:],
        "y": answers[:8],
        "graph": {0: [1, 0], 523: [2]},
        "test.index": index,
    }
    graph = Planetoid().assemble(contents, "here")
    expected = np.zeros((526, 6))
    expected[:520], expected[index] = known, held
    expected /= np.maximum(expected.sum(1, keepdims=True), 1)
    np.testing.assert_allclose(graph.x.numpy(), expected, rtol=1e-6)
    assert graph.edge_index.T.tolist() == [[0, 1], [1, 0], [2, 523], [523, 2]]
    assert graph.test.tolist() == [520, 521, 523, 525]


def test_a_raw_file_cannot_run_code(planetoid, tmp_path, unknown):
    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self):
            return Path.touch, (canary,)

    for path in (planetoid / "Cora" / "raw").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "ind.cora.allx").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(DataError, match="allx"):
        Planetoid(path=str(tmp_path)).load()
    assert not canary.exists()


def write_texas(folder):
    """A small graph with its ten splits."""
    masks = write_geom_gcn(folder / "texas" / "raw")
    for i in range(10):
        np.savez(folder / "texas" / "raw" / f"texas_split_0.6_0.2_{i}.npz", **masks)


def test_pyg_says_nothing_of_what_it_processes(tmp_path):
    write_texas(tmp_path)
    code = "from tasks.data import raw; from tasks.data.graphs import geom; raw.KNOWN.clear(); "
    code += f"geom.WebKB('texas', {str(tmp_path)!r}).load()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("split", [0, 9])
def test_webkb_and_actor_from_raw_files(tmp_path, split, unknown):
    write_texas(tmp_path)
    graph = WebKB("texas", str(tmp_path), split).load()
    assert graph.x.shape == (20, 3)
    assert len(graph.train) == 7
    masks = write_geom_gcn(tmp_path / "actor" / "raw")
    for i in range(10):
        np.savez(tmp_path / "actor" / "raw" / f"film_split_0.6_0.2_{i}.npz", **masks)
    graph = Actor(str(tmp_path / "actor"), split).load()
    assert graph.edge_index.shape == (2, 20)
    assert not (tmp_path / "actor" / "processed").exists()
    with pytest.raises(DataError, match="no raw files"):
        WebKB("cornell", str(tmp_path)).load()


def test_indices_of_a_raw_matrix_are_checked(planetoid, tmp_path, unknown):
    """A column beyond the matrix would be written outside of its memory."""
    for path in (planetoid / "Cora" / "raw").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    matrix.indices[1] = 10**6
    (tmp_path / "ind.cora.allx").write_bytes(pickle.dumps(matrix, protocol=2))
    with pytest.raises(DataError):
        Planetoid(path=str(tmp_path)).load()
