"""Raw files of public data sets: what a server gives is kept only if it is what it should be."""

import io
import os
import re
import socket
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import until
from option_files import citations, webkb
from small_site import FAULTS, PAGE, Hub, Site, served, sha256, whole

from tasks.data import raw
from tasks.data.graphs.geom import Actor, WebKB
from tasks.data.graphs.planetoid import ENDINGS, Planetoid
from zoo.cli.main import main
from zoo.errors import DataError

FETCHES = """
import sys
from pathlib import Path
from tasks.data import raw
raw.KNOWN["cora"] = {"source": sys.argv[2], "files": dict(w.split("=") for w in sys.argv[3:])}
raw.downloaded(Path(sys.argv[1]), "cora")
"""

READS = """
import sys
from tasks.data.hub import hub_splits
from zoo.errors import DataError
for _ in range(2):
    try:
        print(hub_splits("somebody/texts")["train"]["text"][-1], flush=True)
    except DataError as error:
        print(error, flush=True)
    sys.stdin.readline()
"""


def digests(files):
    return {path: sha256(content) for path, content in files.items()}


@pytest.fixture
def sets(tmp_path):
    """Small data sets in the layouts of public ones: the files of each by their places."""
    citations(tmp_path / "own", 0)
    webkb(tmp_path / "own", 0)
    places = {
        "cora": [tmp_path / "own" / f"ind.cora.{end}" for end in ENDINGS],
        "texas": sorted((tmp_path / "own" / "texas" / "raw").iterdir()),
        "actor": sorted((tmp_path / "own" / "actor" / "raw").iterdir()),
    }
    return {
        name: {f"{name}/{path.name}": path.read_bytes() for path in paths}
        for name, paths in places.items()
    }


@pytest.fixture
def site(sets, tmp_path, monkeypatch):
    """A server of these sets, which stands in for the public ones."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {path: content for some in sets.values() for path, content in some.items()}
    site = Site(files)
    with served(site) as address:
        for name, some in sets.items():
            known = {"source": address, "files": digests(some)}
            monkeypatch.setitem(raw.KNOWN, name, known)
        yield site


def load(name, path=None):
    loaders = {"cora": Planetoid("cora", path), "texas": WebKB("texas", path)}
    return loaders[name].load() if name in loaders else Actor(path).load()


def names_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.fault(20)
@pytest.mark.parametrize("name", ["cora", "texas", "actor"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_file_is_refused_and_the_next_run_fetches_it_anew(name, fault, site, tmp_path):
    good = [*list(raw.KNOWN[name]["files"])[:2]]
    bad = list(raw.KNOWN[name]["files"])[2]
    site.fault = lambda body: (FAULTS[fault] if site.asked[-1] == bad else whole)(body)
    with pytest.raises(DataError) as caught:
        load(name)
    line = str(caught.value)
    if fault == "not there":
        assert f"cannot download {bad.rpartition('/')[2]} (Not Found)" in line
    else:
        damaged = FAULTS[fault](site.files[bad])[2]
        assert sha256(damaged) in line
        assert raw.KNOWN[name]["files"][bad] in line
        assert (" is a web page" in line) == (damaged == PAGE)
    assert f"{bad} -- " in line
    assert "give data.path=FOLDER" in line
    assert names_in(tmp_path / "cache") == sorted(path.rpartition("/")[2] for path in good)
    site.fault, site.asked[:] = whole, []
    own = tmp_path / "own" / ("actor" if name == "actor" else "")
    assert load(name).digest() == load(name, str(own)).digest()
    assert site.asked == list(raw.KNOWN[name]["files"])[2:]


def test_a_file_of_the_cache_that_was_damaged_is_fetched_anew(site, tmp_path, capsys):
    whole = load("cora").digest()
    (path,) = (tmp_path / "cache").rglob("ind.cora.tx")
    path.write_bytes(path.read_bytes()[:-1])
    site.asked.clear()
    assert load("cora").digest() == whole
    assert site.asked == ["cora/ind.cora.tx"]
    assert "ind.cora.tx is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cora", "texas", "actor"])
def test_a_users_file_of_a_known_name_is_checked(name, site, tmp_path):
    own = tmp_path / "own" / ("actor" if name == "actor" else "")
    file = list(raw.KNOWN[name]["files"])[-1].rpartition("/")[2]
    (path,) = own.rglob(file)
    path.write_bytes(PAGE)
    with pytest.raises(DataError, match=f"{file} is a web page: .* {path} -- copy it again"):
        load(name, str(own))
    assert path.read_bytes() == PAGE
    assert not site.asked


@pytest.mark.fault(22)
def test_a_run_without_a_network_is_one_line(site, tmp_path, monkeypatch, capsys):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setitem(raw.KNOWN["texas"], "source", address)
        assert main(["fit", "task=gnn", "data=webkb", f"run.dir={tmp_path / 'run'}"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    folder = tmp_path / "cache" / "residual-zoo" / "pyg" / "texas" / "raw"
    assert "Connection refused" in line
    assert line.endswith(f"put the file into {folder}, or give data.path=FOLDER")
    assert not (tmp_path / "run").exists()


@pytest.mark.fault(22)
def test_a_server_that_says_nothing_is_left(site, monkeypatch):
    site.gate.clear()
    monkeypatch.setattr(raw, "SECONDS", 0.2)
    with pytest.raises(DataError, match=r"cannot download .*no answer in 0\.2 s"):
        load("texas")


@pytest.mark.fault(21)
def test_of_processes_that_fetch_at_once_one_does_and_the_others_wait(site, sets, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / ".ind.cora.x.tmp1").write_bytes(b"of a process that was killed")
    words = [f"{path}={digest}" for path, digest in digests(sets["cora"]).items()]
    command = [sys.executable, "-c", FETCHES, tmp_path / "raw", raw.KNOWN["cora"]["source"]]
    said = tmp_path / "said"
    site.gate.clear()
    with said.open("w") as file:
        processes = [subprocess.Popen([*command, *words], stderr=file) for _ in range(2)]
        until(lambda: site.asked and "waiting for it" in said.read_text(), 30)
        site.gate.set()
        assert [process.wait(60) for process in processes] == [0, 0]
    assert site.asked == list(sets["cora"])
    assert names_in(tmp_path / "raw") == sorted(f"ind.cora.{end}" for end in ENDINGS)


def test_all_files_of_the_loaders_are_known(planetoid):
    """By the names of PyG's own loaders; Cora's digests by the files themselves."""
    from torch_geometric.datasets import Actor, Planetoid, WebKB

    names = {name: (Planetoid, name) for name in ("cora", "citeseer", "pubmed")}
    names |= {name: (WebKB, name) for name in ("cornell", "texas", "wisconsin")}
    names |= {"actor": (Actor, "")}
    assert set(names) == set(raw.KNOWN)
    for name, (loader, kind) in names.items():
        empty = loader.__new__(loader)
        empty.name, empty.split = kind, "public"
        paths = raw.KNOWN[name]["files"]
        assert {path.rpartition("/")[2] for path in paths} == {*empty.raw_file_names}
    assert raw.verified(planetoid / "Cora" / "raw", "cora")
    every = [digest for entry in raw.KNOWN.values() for digest in entry["files"].values()]
    assert all(re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", digest) for digest in every)


def test_digests_are_those_of_sha256_and_of_git():
    hello = {
        "3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
        "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447",
    }
    assert {raw.digest(io.BytesIO(b"hello world\n"), like) for like in hello} == hello


@pytest.mark.fault(20)
@pytest.mark.parametrize("fault", ["a flipped bit", "a web page", "cut off, its length too"])
def test_a_damaged_file_of_the_hub_is_not_kept(fault, tmp_path):
    """By the digest that the Hub itself tells: another one is fetched anew."""
    table = io.BytesIO()
    pq.write_table(pa.table({"text": [f"line {i}" for i in range(50)]}), table)
    name = "train-00000-of-00001.parquet"
    hub = Hub("somebody/texts", {name: table.getvalue(), "README.md": b"---\nlicense: mit\n---\n"})
    hub.fault = FAULTS[fault]
    with served(hub) as address:
        places = {"HF_HOME": str(tmp_path / "hub"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        process = subprocess.Popen(
            [sys.executable, "-c", READS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1"} | places,
            text=True,
        )
        line = process.stdout.readline()
        assert not [*tmp_path.rglob(sha256(hub.files[name]))]
        hub.fault = whole
        out, err = process.communicate("\n\n", timeout=60)
    assert name in line
    assert "somebody/texts -- run again, and it is fetched anew" in line
    if fault == "a flipped bit":
        assert f"of digest {sha256(FAULTS[fault](hub.files[name])[2])}" in line
        assert f"expected {sha256(hub.files[name])}" in line
    assert out == "line 49\n"
    assert err == ""
