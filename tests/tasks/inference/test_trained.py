"""Trained runs in Python: `zoo.load` in all five tasks, and the script that the README shows."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_runs import words
from torch_geometric.data import Data

import zoo
from tasks.data.graphs.csbm import CSBM
from tasks.data.images.digits import Digits
from zoo.cli.main import main
from zoo.errors import CheckpointError, ConfigError, DataError
from zoo.run_folder import RunFolder

ROOT = Path(__file__).parents[3]
TASKS = ("cnn", "unet", "transformer", "gnn", "diffusion")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `runs/TASK` of every task; the graph has 64 features."""
    place = tmp_path_factory.mktemp("trained")
    for task in TASKS:
        more = ["data.features=64"] if task == "gnn" else []
        more += [f"run.dir={place / 'runs' / task}", "trainer.max_steps=4"]
        assert main(["fit", *words(task, *more)]) == 0
    return place


def load(place, task, **options):
    return zoo.load(place / "runs" / task, **options)


def test_the_script_of_the_readme_runs(place, monkeypatch, capsys):
    page = (ROOT / "zoo" / "README.md").read_text(encoding="utf-8")
    section = page.partition("## A trained run\n")[2].partition("\n## ")[0]
    script = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    assert len(section.splitlines()) <= 35
    assert len(script.splitlines()) <= 30
    monkeypatch.chdir(place)
    exec(script, {})
    said = capsys.readouterr().out
    assert "torch.Size([60, 2])" in said
    assert "torch.Size([4, 1, 8, 8])" in said


@pytest.mark.parametrize("weights", ["last", "best"])
@pytest.mark.parametrize("task", TASKS)
def test_weights_are_those_of_the_checkpoint(place, task, weights):
    state = torch.get_rng_state()
    net = load(place, task, weights=weights)
    assert torch.equal(torch.get_rng_state(), state)
    assert not net.module.training
    assert net.task == task
    assert net.result["status"] == "done"
    saved = place / "runs" / task / "checkpoints"
    content = torch.load(saved / f"{weights}.ckpt", weights_only=True)
    expected = content["weights"] if weights == "best" else content["state_dict"]
    expected = {name.removeprefix("model."): value for name, value in expected.items()}
    found = net.module.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert isinstance(net, torch.nn.Module)
    assert not any(part.training for part in net.modules())
    assert {*net.state_dict()} == {f"module.{name}" for name in found}  # once each
    assert net.to("cpu") is net


def test_labels_of_the_test_part_are_those_that_were_counted(place):
    net, data = load(place, "cnn"), Digits().load()
    assert net.classes == data.classes
    images = data.images[data.test]
    shares = net(images)
    assert torch.allclose(shares.sum(1), torch.ones(len(images)))
    accuracy = (shares.argmax(1) == data.labels[data.test]).float().mean().item()
    assert accuracy == pytest.approx(net.result["metrics"]["test/accuracy"])
    by_hand = net.module(*net.prepare(images[:5]))
    assert by_hand.requires_grad
    torch.testing.assert_close(by_hand.detach().softmax(1), shares[:5])
    pictures = [Image.fromarray(image[0].numpy()) for image in images[:5]]
    for same in (images[:5].numpy(), list(images[:5]), pictures):
        torch.testing.assert_close(net(same), shares[:5])
    torch.testing.assert_close(net(pictures[0]), shares[:1])


def test_images_are_scaled_as_predict_scales_them(place, tmp_path, capsys):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    net = load(place, "cnn")
    by_array, by_picture = net(pixels[None, None]), net(Image.open(tmp_path / "a.png"))
    torch.testing.assert_close(by_array, by_picture)
    assert main(["predict", f"from={place / 'runs' / 'cnn'}", f"path={tmp_path}"]) == 0
    label, share = capsys.readouterr().out.split()[1:3]
    assert label == net.classes[by_array.argmax()]
    assert float(share) == pytest.approx(by_array.max().item(), abs=1e-3)


def test_maps_of_classes_have_the_size_of_their_images(place):
    net = load(place, "unet")
    shares = net(torch.randint(256, (2, 1, 20, 30), dtype=torch.uint8))
    assert shares.shape == (2, len(net.classes), 20, 30)
    assert torch.allclose(shares.sum(1), torch.ones(2, 20, 30))
    with pytest.raises(DataError, match="one size a call"):
        net([Image.new("L", (9, 7)), Image.new("L", (8, 7))])


def test_text_goes_on_as_the_verb_goes_on(place, capsys):
    net = load(place, "transformer")
    words = [f"from={place / 'runs' / 'transformer'}", "prompt=def f", "tokens=11", "seed=3"]
    capsys.readouterr()
    assert main(["sample", *words]) == 0
    assert capsys.readouterr().out == "def f" + net("def f", tokens=11, seed=3) + "\n"
    (tokens,) = net.prepare("for one in two:")
    assert "".join(net.classes[token] for token in tokens[0]) == " in two:"
    assert net.module(tokens).shape == (1, 8, len(net.classes))


def test_nodes_of_the_own_graph_and_of_another_one(place, tmp_path, capsys):
    run, net = place / "runs" / "gnn", load(place, "gnn")
    options = net.config["data"]
    graph = CSBM(**options).load()
    accuracy = (net().argmax(1) == graph.y)[graph.test].float().mean().item()
    assert accuracy == pytest.approx(net.result["metrics"]["test/accuracy"])
    torch.testing.assert_close(net(graph), net())
    assert net.classes == ("0", "1")
    other = CSBM(**options | {"nodes": 30, "train": 5, "val": 5, "seed": 1}).load()
    np.savez(tmp_path / "other.npz", x=other.x, edge_index=other.edge_index)  # has no labels
    for path, shares in ((None, net()), (tmp_path / "other.npz", net(other))):
        given = [f"path={path}"] if path else []
        assert main(["predict", f"from={run}", *given]) == 0
        lines = (run / "predictions" / "nodes.csv").read_text().splitlines()
        assert lines[0] == "node,label,probability"
        found = [line.split(",") for line in lines[1:]]
        assert [int(node) for node, _, _ in found] == [*range(len(shares))]
        assert [label for _, label, _ in found] == [str(int(n)) for n in shares.argmax(1)]
        chances = torch.tensor([float(share) for _, _, share in found])
        torch.testing.assert_close(chances, shares.max(1).values, atol=1e-5, rtol=0)
    np.savez(tmp_path / "other.npz", x=other.x[:, 1:], edge_index=other.edge_index)
    assert main(["predict", f"from={run}", f"path={tmp_path / 'other.npz'}"]) == 3
    assert "x has 63 features, the run's graph 64" in capsys.readouterr().err


def test_images_are_those_of_the_verb(place):
    net, run = load(place, "diffusion"), place / "runs" / "diffusion"
    made = net(3, seed=2, steps=4)
    assert made.dtype == torch.uint8
    assert main(["sample", f"from={run}", "count=3", "seed=2", "steps=4"]) == 0
    written = [
        np.asarray(Image.open(run / "samples" / "images-2" / f"0000{n}.png")) for n in range(3)
    ]
    assert np.array_equal(np.stack(written), made[:, 0])


@pytest.mark.parametrize(
    ("task", "inputs", "options", "error", "said"),
    [
        ("cnn", torch.zeros(2, 1, 8, 8), {}, DataError, "float32 of shape"),
        ("cnn", torch.zeros(2, 3, 8, 8, dtype=torch.uint8), {}, DataError, "where C=1"),
        ("cnn", [], {}, DataError, "no image"),
        ("cnn", "a.png", {}, DataError, "is a str"),
        ("transformer", "日本", {}, ConfigError, "none of the"),
        ("transformer", "a", {"tokens": 0}, ConfigError, "tokens=0 is refused"),
        ("transformer", "a", {"topk": 3}, ConfigError, "did you mean top_k"),
        ("diffusion", 0, {}, ConfigError, "count=0 is refused"),
        ("diffusion", 1, {"label": "7"}, ConfigError, "knows no classes"),
        ("gnn", torch.zeros(3, 64), {}, DataError, "has no x"),
        ("gnn", Data(torch.ones(3, 64), torch.rand(2, 3)), {}, DataError, "edge_index is .*float"),
    ],
)
def test_wrong_inputs_are_named(place, task, inputs, options, error, said):
    with pytest.raises(error, match=said):
        load(place, task)(inputs, **options)


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("nothing", {}, CheckpointError, "there is no run"),
        ("runs", {}, CheckpointError, "name a run folder, such as"),
        ("runs/cnn", {"weights": "first"}, ConfigError, "give last or best"),
        ("runs/cnn", {"device": "abacus"}, ConfigError, "device=abacus"),
    ],
)
def test_what_cannot_be_loaded_is_named(place, name, options, error, said):
    with pytest.raises(error, match=said):
        zoo.load(place / name, **options)


def test_a_run_of_before_is_used_with_its_data(place, tmp_path):
    """Graph runs had no outline in their checkpoints."""
    old = RunFolder(tmp_path)
    old.create()
    run = place / "runs" / "gnn"
    (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    del content["outline"]
    torch.save(content, old.checkpoints / "last.ckpt")
    torch.testing.assert_close(zoo.load(tmp_path)(), load(place, "gnn")())
    assert zoo.load(tmp_path).result == {}
