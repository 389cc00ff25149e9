"""Graphs of the Open Graph Benchmark, from files in its layout."""

import gzip

import numpy as np
import pytest
import torch
from small_graphs import write_ogbn

from tasks.data.cache import cache_folder
from tasks.data.graphs import ogbn
from tasks.data.graphs.ogbn import OGBN
from zoo.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(("name", "split"), [("arxiv", "time"), ("products", "sales_ranking")])
def test_the_graph_is_that_of_the_raw_files(name, split, tmp_path, monkeypatch):
    monkeypatch.setattr(ogbn, "ROWS", 7)  # which does not divide the nodes
    tables = write_ogbn(tmp_path, split=split)
    graph = OGBN(name, str(tmp_path)).load()
    features = tables["raw/node-feat"].astype(np.float32)
    assert torch.equal(graph.x, torch.from_numpy(features))
    assert graph.y.tolist() == tables["raw/node-label"][:, 0].tolist()
    pairs = {*map(tuple, tables["raw/edge"].tolist())}
    found = [*map(tuple, graph.edge_index.T.tolist())]
    assert found == sorted(pairs | {(t, s) for s, t in pairs})
    for part, word in (("train", "train"), ("val", "valid"), ("test", "test")):
        assert graph.parts[part].tolist() == tables[f"split/{split}/{word}"][:, 0].tolist()


def test_raw_files_are_parsed_once_and_again_when_they_or_the_cache_change(tmp_path, monkeypatch):
    write_ogbn(tmp_path)
    first, parsings = OGBN("arxiv", str(tmp_path)).load(), []
    x = first.x.clone()  # which lies in the file
    parse = ogbn.parse
    monkeypatch.setattr(ogbn, "parse", lambda *a: parsings.append(1) or parse(*a))
    again = OGBN("arxiv", str(tmp_path)).load()
    assert not parsings
    assert again.digest() == first.digest()
    again.known_digest = ""
    assert again.digest() == first.digest()  # computed from the mapped numbers
    features = next(cache_folder("ogbn").rglob(ogbn.FEATURES))
    features.write_bytes(features.read_bytes()[:-4])
    assert torch.equal(OGBN("arxiv", str(tmp_path)).load().x, x)
    write_ogbn(tmp_path, seed=1)
    assert OGBN("arxiv", str(tmp_path)).load().digest() != first.digest()
    assert len(parsings) == 2


FAULTS = {
    "a cut file": (
        lambda f: f.write_bytes(f.read_bytes()[:-20]),
        "raw/node-feat",
        "cannot be read",
    ),
    "rows of two lengths": (
        lambda f: f.write_bytes(gzip.compress(b"1,2\n" * 20 + b"1\n" * 20)),
        "raw/node-feat",
        "rows of 2 and of 1 numbers",
    ),
    "words": ({"raw/node-feat": [["a", "b"]]}, None, "cannot be read"),
    "a missing file": (lambda f: f.unlink(), "split/time/valid", "the file is missing"),
    "too few rows": ({"raw/node-feat": np.ones((39, 5))}, None, "40 labels for 39 rows"),
    "edges to nowhere": ({"raw/edge": [[0, 40]]}, None, "edge_index runs from 0 to 40"),
    "two columns of labels": ({"raw/node-label": np.zeros((40, 2), int)}, None, "columns"),
    "a node in two parts": ({"split/time/test": [[0]], "split/time/valid": [[0]]}, None, "parts"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_files_are_told_and_leave_nothing(fault, tmp_path, monkeypatch):
    monkeypatch.setattr(ogbn, "ROWS", 20)
    how, name, words = FAULTS[fault]
    write_ogbn(tmp_path, **(how if isinstance(how, dict) else {}))
    if name:
        how(tmp_path / f"{name}.csv.gz")
    for _ in range(2):
        with pytest.raises(DataError, match=words):
            OGBN("arxiv", str(tmp_path)).load()
    assert not [path for path in cache_folder("ogbn").rglob("*") if path.is_file()]
