"""Folders for the Hugging Face Hub: written, read by others, loaded again, and refused."""

import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard, constants, load_state_dict_from_file, load_torch_model
from huggingface_hub.utils import filter_repo_objects
from made_comparison import made
from safetensors.torch import load_file, save_file
from tiny_runs import shrink, words

import zoo
from tasks.inference.export.card_comparison import compared
from tasks.inference.plain_values import as_plain, from_plain
from tasks.recovery.loading import load_last
from tasks.recovery.tensor_files import save_checkpoint
from zoo.cli.main import main
from zoo.errors import CheckpointError, ConfigError, ZooError
from zoo.hub_folder import FILES
from zoo.run_folder import RunFolder

TASKS = ("cnn", "unet", "transformer", "gnn", "diffusion")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a tiny run of a task, trained once."""
    place = tmp_path_factory.mktemp("runs")

    def trained(task):
        if not (place / task).exists():
            with pytest.MonkeyPatch.context() as patch:
                shrink(patch)
                given = words(task, "trainer.max_steps=3", "trainer.accelerator=cpu")
                assert main(["fit", *given, f"run.dir={place / task}"]) == 0
        return place / task

    return trained


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """A folder for the Hub, of a tiny classifier of images."""
    place = tmp_path_factory.mktemp("exported") / "hub"
    given = [f"from={run('cnn')}", "format=hub", "license=mit", f"dir={place}"]
    assert main(["export", *given]) == 0
    return place


@pytest.fixture
def folder(exported, tmp_path):
    """A copy of it that a test may edit."""
    return shutil.copytree(exported, tmp_path / "hub")


def export(capsys, run, *more, code=0):
    capsys.readouterr()
    assert main(["--json", "export", f"from={run}", "format=hub", *more]) == code
    said = capsys.readouterr()
    return json.loads(said.out) if said.out else said.err


def answer(net, task):
    """What a person asks of a net."""
    images = torch.randint(256, (2, 1, 9, 11), generator=torch.Generator().manual_seed(0))
    asked = {
        "cnn": lambda: net(images.byte()),
        "unet": lambda: net(images.byte()),
        "transformer": lambda: net("def f", tokens=9, seed=2),
        "gnn": lambda: net(),
        "diffusion": lambda: net(2, seed=3, steps=3),
    }
    return asked[task]()


@pytest.mark.parametrize(
    "task", ["cnn", *(pytest.param(t, marks=pytest.mark.slow) for t in TASKS[1:])]
)
def test_a_folder_gives_the_net_to_everybody(task, run, tmp_path, capsys):
    place, weights = tmp_path / "a folder", "best" if task == "gnn" else "last"
    record = export(capsys, run(task), f"dir={place}", f"weights={weights}")
    assert record["push"] == f"hf upload USER/NAME '{place}' . --exclude '*/*'"
    *_, left_out = shlex.split(record["push"])
    others = ["predictions/labels.csv", "samples/a/b.png"]
    pushed = filter_repo_objects([*FILES, *others], ignore_patterns=[left_out])
    assert [*pushed] == [*FILES]
    assert {path.name for path in place.iterdir()} == {*FILES}
    net = zoo.load(run(task), weights=weights, device="cpu")
    loaded = zoo.load(place, device="cpu")
    assert (loaded.weights, loaded.classes) == (weights, net.classes)
    inputs = net.signature().drawn(net.signature().sizes(7))
    with torch.no_grad():
        ours, theirs = (n.signature().of(n.module)(*inputs) for n in (net, loaded))
    assert torch.equal(ours, theirs)
    ours, theirs = answer(net, task), answer(loaded, task)
    assert torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs
    state = net.module.state_dict()
    for read in (load_file, load_state_dict_from_file):
        given = read(place / "model.safetensors")
        assert given.keys() == state.keys()
        assert all(torch.equal(given[name], state[name]) for name in state)
    load_torch_model(loaded.module, place, strict=True)


def test_the_card_is_the_record(run, exported, capsys):
    card, result = ModelCard.load(exported / "README.md"), RunFolder(run("cnn")).result()
    data = card.data
    assert (data.license, data.library_name) == ("mit", "residual-zoo")
    assert data.pipeline_tag == "image-classification"
    assert "arxiv:1512.03385" in data.tags
    found = {f"test/{each.metric_type}": each.metric_value for each in data.eval_results}
    of_test = {n: v for n, v in result["metrics"].items() if n[:5] == "test/" and "_at_" not in n}
    assert found == of_test
    for words_of_it in ("x' = x + F(x)", result["data_digest"], f"{result['parameters']:,}"):
        assert words_of_it in card.text
    assert "does not tell whether its rule is better" in card.text
    assert main(["show", f"config={exported / 'config.json'}", "logger=none"]) == 0
    shown, trained = (
        yaml.safe_load(text)
        for text in (capsys.readouterr().out, (run("cnn") / "config.yaml").read_text())
    )
    assert shown | {"run": 0} == trained | {"run": 0}
    assert RunFolder(exported).result()["metrics"] == result["metrics"]


def test_nothing_private_is_in_a_folder_and_foreign_names_are_only_names(run, tmp_path, capsys):
    mine = shutil.copytree(run("cnn"), tmp_path / "mine")
    tree = yaml.safe_load((mine / "config.yaml").read_text())
    tree["choices"] |= {"data": "images", "logger": "wandb"}
    tree["data"] = {"path": "/home/alice/scans", "batch_size": 64}
    tree["logger"] = {"project": "project-of-alice"}
    (mine / "config.yaml").write_text(yaml.safe_dump(tree))
    checkpoint, path = load_last(mine / "checkpoints")
    names = ("<b>", "a|b", "---\nlicense: x", "![c](d)", *map(str, range(6)))
    checkpoint["outline"] |= {"where": "/home/alice/scans", "classes": names}
    save_checkpoint(checkpoint, path)
    result = RunFolder(mine).result()
    result["metrics"]["test/accuracy_at_best_val"] = 0.625
    (mine / "result.json").write_text(json.dumps(result))
    export(capsys, mine, "weights=best", f"dir={tmp_path / 'hub'}")
    content = {name: (tmp_path / "hub" / name).read_bytes() for name in FILES}
    secrets = ("alice", str(tmp_path), str(run("cnn")), socket.gethostname(), "run.dir")
    for secret in secrets:
        assert not [name for name, data in content.items() if secret.encode() in data], secret
    card = ModelCard.load(tmp_path / "hub" / "README.md")
    assert card.data.license is None
    assert 0.625 in [each.metric_value for each in card.data.eval_results]
    assert r"\<b\>, a\|b, ---\\nlicense: x, \!\[c\](d)" in card.text
    loaded = zoo.load(tmp_path / "hub", device="cpu")
    assert loaded.classes[:2] == ("<b>", "a|b")
    assert loaded.config["data"]["path"] == "./PATH"


def test_the_card_of_a_run_that_was_killed_has_no_numbers_that_nobody_knows(run, tmp_path, capsys):
    killed = shutil.copytree(run("cnn"), tmp_path / "killed")
    (killed / "result.json").unlink()
    export(capsys, killed, f"dir={tmp_path / 'hub'}")
    card = ModelCard.load(tmp_path / "hub" / "README.md").text
    assert "The run is not ended: this is no result." in card
    assert "## Cost" not in card
    assert "## Results" not in card


@pytest.mark.parametrize(
    "arm", ["residual", pytest.param("<b>|/home/alice/x", marks=pytest.mark.slow)]
)
def test_the_card_of_a_compared_run_tells_the_verdict(arm, run, tmp_path, capsys):
    made(tmp_path / "all", ["plain", arm], [("cnn", 8)], 8, ["plain", "residual"])
    record = json.loads((tmp_path / "all" / "compare.json").read_text())
    name = next(cell["id"] for cell in record["cells"] if cell["arm"] == arm)
    cell = tmp_path / "all" / "cells" / name
    for file in ("config.yaml", "checkpoints"):
        there = run("cnn") / file
        copy = shutil.copytree if there.is_dir() else shutil.copyfile
        copy(there, cell / file)
    export(capsys, cell, f"dir={tmp_path / 'a'}")
    card = ModelCard.load(tmp_path / "a" / "README.md").text
    assert main(["report", str(tmp_path / "all")]) == 0
    record = json.loads((tmp_path / "all" / "compare.json").read_text())
    (contrast,) = record["places"][0]["contrasts"]
    assert contrast["pairs"] == 8
    low, high = contrast["gap"]["low"], contrast["gap"]["high"]
    assert f"over 8 pairs {contrast['gap']['value']:.3f} ({low:.3f} to {high:.3f})" in card
    assert "no plan foresaw this" in card
    assert "one run with one seed" not in card
    assert "alice" not in card
    if arm == "residual":
        assert f"Verdict: {contrast['verdict']}." in card
    with pytest.raises(ConfigError, match="has no run"):
        compared(run("cnn"), str(tmp_path / "all"))


def other_weights(folder):
    weights = load_file(folder / "model.safetensors")
    weights[min(weights)] += 1e-3
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def in_config(**changes):
    def edit(folder):
        path = folder / "config.json"
        tree = json.loads(path.read_text())
        for key, value in changes.items():
            *way, last = key.split("__")
            inner = tree
            for name in way:
                inner = inner[name]
            inner[last] = value
        path.write_text(json.dumps(tree))

    return edit


def pickled(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"anything")


def test_a_folder_is_written_again_and_nothing_of_others_is_lost(run, tmp_path, capsys):
    mine = shutil.copytree(run("cnn"), tmp_path / "mine")
    record = export(capsys, mine)
    folder = Path(record["export"])
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("main")
    (folder / "my notes.txt").write_text("mine")
    export(capsys, mine, "license=mit")
    card = folder / "README.md"
    assert ModelCard.load(card).data.license == "mit"
    assert (folder / ".git" / "HEAD").read_text() == "main"
    card.write_text(card.read_text() + "my words")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert "the card may have been edited" in export(capsys, mine, code=2)
    (folder / "config.json").rename(tmp_path / "config.json")
    assert "the card may have been edited" in export(capsys, mine, code=2)
    (tmp_path / "config.json").rename(folder / "config.json")
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path.name for path in folder.parent.iterdir()} == {"hub"}


def deep_result(folder):
    """Nested JSON that no parser follows: such a result is none, and the net is loaded."""
    (folder / "result.json").write_text("[" * 10**5)
    assert zoo.load(folder, device="cpu").result == {}
    other_weights(folder)


FAULTS = {
    "other weights": (other_weights, "is not the file that config.json was written with"),
    "pickled": (pickled, "pytorch_model.bin is not read: pickled weights can hold code"),
    "code": (in_config(config__model___target_="os.system"), "cannot name code"),
    "class": (in_config(config__data__class="os.system"), "cannot name code"),
    "resolver": (in_config(config__model__norm="${oc.env:HOME}"), "interpolations are refused"),
    "unknown name": (in_config(config__choices__connection="nothing"), "nothing"),
    "unknown option": (in_config(config__model__dept=1), "unknown option"),
    "path": (in_config(config__data__path="/etc/passwd"), "an option of data is a path"),
    "another net": (in_config(config__model__depth=14), "the weights do not fit"),
    "huge net": (in_config(config__model__width=[2**16]), "memory"),
    "larger net": (in_config(config__model__width=64), "a larger net than there are weights"),
    "huge data": (in_config(outline__images__shape=[2**40]), "more than 100,000,000 values"),
    "much data": (
        in_config(outline__more=[{"tensor": "int8", "shape": [10**7], "values": 0}] * 11),
        "more than 100,000,000 values",
    ),
    "a text for a number": (in_config(outline__batch_size="os.system"), "cannot be read"),
    "no data": (in_config(outline={"classes": 1}), "cannot be read"),
    "no kind of weights": (in_config(weights="../last"), "it does not say what it holds"),
    "other program": (in_config(library_name="transformers"), "it is none of residual-zoo"),
    "later version": (in_config(schema=2), "this version reads 1"),
    "huge file": (lambda folder: os.truncate(folder / "config.json", 2**27), "bytes"),
    "deep result": (deep_result, "it is not the file"),
    "no JSON": (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_an_edited_folder_is_refused(fault, folder):
    edit, said = FAULTS[fault]
    edit(folder)
    with pytest.raises(ZooError, match=said.replace(".", r"\.")) as error:
        zoo.load(folder, device="cpu")
    assert "\n" not in str(error.value)


def many(count):
    """What describes a tensor of so many values that none of them is written."""
    return {"tensor": "int64", "shape": [count], "values": 7}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outline": many(10**7)}, "an outline is a mapping"),
        ({"outline__sizes": many(10**7)}, "sizes are a tuple"),
        ({"outline__symbols__state": many(10**7)}, "the state of a tokenizer is a text"),
        ({"outline__symbols": {"kind": "numbers", "state": "9" * 15}}, "a larger net than"),
    ],
)
def test_an_edited_folder_of_a_text_does_not_fill_the_memory(changes, said, run, tmp_path, capsys):
    folder = Path(export(capsys, run("transformer"), f"dir={tmp_path / 'text'}")["export"])
    in_config(**changes)(folder)
    with pytest.raises(ZooError, match=said) as error:
        zoo.load(folder, device="cpu")
    assert "\n" not in str(error.value)


def in_cache(place, name, folder, commit="a" * 40):
    """A model as the Hub's cache has it once it was fetched."""
    home = place / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)


def test_a_model_of_the_hub_is_loaded_from_its_cache(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    in_cache(tmp_path / "cache", "user/net", folder)
    expected = zoo.load(folder, device="cpu").module.state_dict()
    for revision in (None, "a" * 40):
        found = zoo.load("user/net", device="cpu", revision=revision).module.state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    pickled(folder)
    in_cache(tmp_path / "cache", "user/pickled", folder)
    (folder / "config.json").unlink()
    in_cache(tmp_path / "cache", "user/other", folder)
    refused = {
        "user/pickled": "there is no model.safetensors",
        "user/other": "it has no config.json",
        "user/nothing": "no such folder, and no such model in the Hub's cache",
    }
    for name, said in refused.items():
        with pytest.raises(CheckpointError, match=said):
            zoo.load(name, device="cpu")
    with pytest.raises(CheckpointError, match="user/net, revision b"):
        zoo.load("user/net", revision="b")


def test_what_is_a_path_by_its_form_is_never_asked_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE is set"):
        zoo.load("mine/typo")
    (tmp_path / "mine" / "run").mkdir(parents=True)
    (tmp_path / "mine" / "run" / "config.yaml").touch()
    for name in ("mine/typo", "runs/typo", "./mine/typo"):
        with pytest.raises(CheckpointError, match=r"there is no run -- .*typo") as error:
            zoo.load(name)
        assert ("mine/run" in str(error.value)) == ("mine" in name)
    with pytest.raises(CheckpointError, match="mine/typo, revision b"):  # which a path has not
        zoo.load("mine/typo", revision="b")


def test_what_a_folder_cannot_do_is_one_line(folder, capsys):
    refused = dict.fromkeys(("fit", "test", "verify", "diagnose"), "no checkpoint of the training")
    refused |= {"export weights=best": "it holds the last weights"}
    capsys.readouterr()
    for words_of_it, said in refused.items():
        verb, *more = words_of_it.split()
        assert main([verb, f"from={folder}", *more]) in (2, 5)
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_a_folder_is_exported_further(folder, tmp_path, capsys):
    words_of_it = [f"from={folder}", "format=safetensors", f"dir={tmp_path / 'st'}"]
    assert main(["export", *words_of_it]) == 0
    expected = load_file(folder / "model.safetensors")
    found = load_file(tmp_path / "st" / "last.safetensors")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["format=onnx", "license=mit"], "are options of format=hub"),
        (["format=hub", "license=All rights"], "is no identifier"),
        (["format=hub", "comparison={}"], "compare.json"),
        (["format=hub", "dir={}"], "something lies there"),
    ],
)
def test_mistakes_are_one_line(more, said, run, tmp_path, capsys):
    assert main(["export", f"from={run('cnn')}", *(m.format(tmp_path) for m in more)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "value",
    [
        {"a": (1, [2.5, None], "x"), "b": {"c": True}},
        {"t": torch.tensor([[1, 2], [3, 4]], dtype=torch.int16), "e": torch.zeros(0, 3)},
        {"u": torch.full((2, 3, 4), 7, dtype=torch.uint8), "s": torch.tensor(0.1)},
    ],
)
def test_plain_values_come_back_with_their_types(value):
    again = from_plain(json.loads(json.dumps(as_plain(value))))
    leaves, others = (torch.utils._pytree.tree_flatten(each) for each in (value, again))
    assert leaves[1] == others[1]
    for a, b in zip(leaves[0], others[0], strict=True):
        same = isinstance(a, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
        assert same or (type(a) is type(b) and a == b)


def served(folder, asked, commit):
    """A server that answers as the Hub does of its one model, `user/net`."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    tree = [{"type": "file", "oid": "0" * 40, "size": len(data), "path": name}
            for name, data in files.items()]  # fmt: skip
    model = {"id": "user/net", "sha": commit, "siblings": [{"rfilename": name} for name in files]}
    api = "/api/models/user/net"
    answers = {f"{api}/revision/main": model, f"{api}/tree/{commit}": tree}
    answers = {path: json.dumps(answer).encode() for path, answer in answers.items()}
    answers |= {f"/user/net/resolve/{commit}/{name}": data for name, data in files.items()}

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            path = self.path.partition("?")[0]
            asked.append(path)
            data = answers.get(path, b"")
            self.send_response(200 if path in answers else 404)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
            self.end_headers()
            return data

        def do_GET(self):
            self.wfile.write(self.do_HEAD())

        def log_message(self, *_):
            pass

    return ThreadingHTTPServer(("127.0.0.1", 0), Hub)


@pytest.mark.slow
def test_four_files_are_fetched_from_the_hub_and_no_other(folder, tmp_path):
    asked, commit = [], "c" * 40
    (folder / "pytorch_model.bin").write_bytes(b"code")
    script = "import zoo; print(zoo.load('user/net', device='cpu').folder.path)"
    with served(folder, asked, commit) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        place = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path)}
        for offline in ("0", "1"):
            done = subprocess.run(
                [sys.executable, "-c", script],
                env={**os.environ, **place, "HF_HUB_OFFLINE": offline},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            snapshot = Path(done.stdout.strip())
            assert snapshot.name == commit
            assert {path.name for path in snapshot.iterdir()} == {*FILES}
            if offline == "0":
                count = len(asked)
        hub.shutdown()
    assert len(asked) == count
    assert not any("pytorch_model" in path for path in asked)
