"""The verb `export`: files of other programs that give what the trained net gives."""

import json
import shutil
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_runs import shrink, words

import zoo
from tasks.inference.export import torch_graph
from tasks.inference.export.difference import of_weights, steps
from tasks.inference.export.formats import FORMATS
from tasks.inference.export.torch_graph import traced
from tasks.recovery.loading import load_last
from tasks.recovery.tensor_files import save_checkpoint
from zoo.cli.main import main
from zoo.errors import ConfigError, DataError, ZooError

TASKS = ("cnn", "unet", "transformer", "gnn", "diffusion")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a tiny run of a task, trained once."""
    place = tmp_path_factory.mktemp("runs")

    def trained(task, *more):
        folder = place / "-".join([task, *more]).replace("/", "_")
        if not folder.exists():
            with pytest.MonkeyPatch.context() as patch:
                shrink(patch)
                given = words(task, *more, "trainer.max_steps=2", "trainer.accelerator=cpu")
                assert main(["fit", *given, f"run.dir={folder}"]) == 0
        return folder

    return trained


def export(capsys, folder, *more, code=0):
    capsys.readouterr()
    assert main(["--json", "export", f"from={folder}", *more]) == code
    said = capsys.readouterr()
    assert (said.err.count("\n") == 1) == (code not in (0, 7))
    return json.loads(said.out) if said.out else said.err


def of_onnx(path, *inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    arrays = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
    return torch.from_numpy(session.run(None, arrays)[0])


def other_inputs(net, number=7):
    """Inputs of a size that the export did not check."""
    signature = net.signature()
    return signature.drawn(signature.sizes(number))


def about_of(path):
    """What a file of weights says of its net."""
    with safe_open(path, "pt") as content:
        return json.loads(content.metadata()["zoo"])


def same_answers(folder, path):
    """A file read without the zoo gives what the run's net gives."""
    net = zoo.load(folder, device="cpu")
    inputs = other_inputs(net)
    with torch.no_grad():
        expected = net.signature().of(net.module)(*inputs)
        if path.suffix == ".pt2":
            actual = torch.export.load(path).module()(*inputs)
        elif path.suffix == ".onnx":
            actual = of_onnx(path, *inputs)
        else:
            actual = net.signature().of(zoo.load_net(path))(*inputs)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


CASES = [(task, kind) for task in TASKS for kind in FORMATS]
FAST = [("cnn", "safetensors"), ("cnn", "torch_export")]  # the others take seconds each


@pytest.mark.filterwarnings("ignore")  # of exporters and of sparse matrices
@pytest.mark.parametrize(
    ("task", "kind"),
    [pytest.param(*case, marks=[] if case in FAST else pytest.mark.slow) for case in CASES],
)
def test_a_file_gives_what_the_net_gives(task, kind, run, tmp_path, capsys):
    folder = run(task)
    record = export(capsys, folder, f"format={kind}", f"dir={tmp_path}")
    path = tmp_path / f"last{FORMATS[kind].suffix}"
    assert record["export"] == str(path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    same_answers(folder, path)
    code = ["trust=true"] if kind == "torch_export" else []
    assert export(capsys, folder, f"check={path}", *code)["agrees"]
    said = export(capsys, folder, f"format={kind}", f"dir={tmp_path}", code=2)
    assert "something lies there" in said


RULES = [
    *(
        f"cnn connection={rule} model.depth=10 model.width=[4,8]"
        for rule in ("plain", "residual", "hyper", "dense", "reversible", "highway", "delta")
    ),
    "unet long=concat model.depth=2",
    "transformer connection=mhc model.position=rotary model.value_residual=learned",
    *(f"gnn model.conv={conv}" for conv in ("gcn2", "sage", "gatv2", "gin", "gen")),
    "gnn model.jump=lstm norm=post model.norm=graph",
    "diffusion model.conditional=true connection=attention model.depth=2",
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("given", RULES)
def test_every_format_carries_every_kind_of_rule(given, kind, run, tmp_path, capsys):
    folder = run(*given.split())
    export(capsys, folder, f"format={kind}", f"dir={tmp_path}")
    same_answers(folder, tmp_path / f"last{FORMATS[kind].suffix}")


def test_the_net_is_built_from_its_file_alone(run, tmp_path, capsys):
    folder = run("cnn")
    path = export(capsys, folder, f"dir={tmp_path}", "weights=best")["export"]
    assert path.endswith("best.safetensors")
    net, trained = zoo.load_net(path), zoo.load(folder, weights="best", device="cpu")
    inputs = other_inputs(trained)
    assert torch.equal(net(*inputs), trained.module(*inputs))
    about = about_of(path)
    assert about["inputs"] == {"images": ["batch", 1, 8, 8]}
    assert about["config"]["model"]["depth"] == 8
    assert len(about["classes"]) == 10
    assert str(folder) not in json.dumps(about)
    assert {*about["config"]} == {"choices", "model", "norm", "connection"}


def test_a_net_that_its_weights_do_not_fill_is_not_drawn(run, tmp_path, capsys):
    """A file can name a net of any size: one layer of this one has 150 GB."""
    path = export(capsys, run("cnn"), f"dir={tmp_path}")["export"]
    about = about_of(path)
    about["config"]["model"]["width"] = [2**16]
    save_file(load_file(path), path, {"zoo": json.dumps(about)})
    with pytest.raises(DataError, match="another shape"):
        zoo.load_net(path)


ROTARY = ("transformer", "model.position=rotary", "model.context=16")


@pytest.mark.filterwarnings("ignore")
def test_a_graph_takes_every_length_up_to_the_context(run, tmp_path, capsys):
    folder = run(*ROTARY)
    record = export(capsys, folder, "format=torch_export", f"dir={tmp_path}")
    assert record["inputs"] == {"tokens": ["batch", "length"]}
    assert record["ranges"] == {"length": [1, 16]}
    graph = torch.export.load(tmp_path / "last.pt2").module()
    net = zoo.load(folder, device="cpu")
    signature = net.signature()
    for length in range(1, 17):
        (tokens,) = signature.drawn({"batch": 1, "length": length})
        torch.testing.assert_close(graph(tokens), net.module(tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_graph_says_which_small_images_it_refuses(run, tmp_path, capsys):
    folder = run("unet")
    record = export(capsys, folder, "format=torch_export", f"dir={tmp_path}")
    assert record["ranges"] == {"height": [4, None], "width": [4, None]}
    graph = torch.export.load(tmp_path / "last.pt2").module()
    with pytest.raises(AssertionError, match="Guard failed"):
        graph(torch.zeros(1, 1, 2, 2))
    assert graph(torch.zeros(1, 1, 4, 4)).shape[2:] == (4, 4)


def test_what_is_not_finite_is_not_exported(run, tmp_path, capsys):
    folder = shutil.copytree(run("cnn"), tmp_path / "run")
    checkpoint, path = load_last(folder / "checkpoints")
    checkpoint["state_dict"]["model.head.bias"][0] = torch.inf
    save_checkpoint(checkpoint, path)
    said = export(capsys, folder, code=5)
    assert "the trained net gives logits that are not finite" in said
    assert not any((folder / "export").iterdir())


def test_what_differs_is_not_written(run, tmp_path, capsys, monkeypatch):
    """An exporter that leaves the scale of one norm out (pytorch#169178 was of this kind)."""

    def faulty(signature, net):
        graph = traced(signature, net)
        name = next(n for n in graph.state_dict if n.endswith("running_var"))
        graph.state_dict[name].mul_(4)
        return graph

    folder = run("cnn")
    monkeypatch.setattr(torch_graph, "traced", faulty)
    said = export(capsys, folder, "format=torch_export", f"dir={tmp_path}", code=2)
    assert "a largest difference of" in said
    assert "it is not kept" in said
    assert not list(tmp_path.iterdir())


class Branching(torch.nn.Module):
    """A net whose path depends on values, which no graph holds."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


class Decomposing(torch.nn.Module):
    """A net with an operation that ONNX lacks."""

    def forward(self, x):
        return torch.linalg.svd(x).U


@pytest.mark.parametrize(
    ("kind", "net", "said"),
    [
        ("torch_export", Branching(), "Could not guard on data-dependent expression"),
        pytest.param("onnx", Decomposing(), r"\(aten\.\w*linalg_svd", marks=pytest.mark.slow),
    ],
)
def test_what_a_format_cannot_carry_is_said_in_one_line(kind, net, said, run):
    signature = zoo.load(run("cnn"), device="cpu").signature()
    with pytest.raises(ConfigError, match=f"format={kind} cannot carry this net .*{said}"):
        FORMATS[kind].written(signature, net, {})


def one_weight_changed(path, net):
    import onnx

    model = onnx.load(path)
    weight = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[0] += 0.1
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)


def transposed_kernel(path, net):
    weights = load_file(path)
    name = next(n for n, w in weights.items() if w.ndim == 4 and w.shape[2] > 1)
    weights[name] = weights[name].transpose(2, 3).contiguous()
    save_file(weights, path)


def norms_in_training(path, net):
    signature = net.signature()
    inputs = signature.drawn(signature.sizes(3))
    shapes = ({0: torch.export.Dim.AUTO},)
    torch.export.save(torch.export.export(net.module.train(), inputs, dynamic_shapes=shapes), path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("safetensors", transposed_kernel),
        pytest.param("torch_export", norms_in_training, marks=pytest.mark.slow),
        pytest.param("onnx", one_weight_changed, marks=pytest.mark.slow),
    ],
)
def test_a_faulty_file_from_elsewhere_is_seen(kind, fault, run, tmp_path, capsys):
    folder = run("cnn")
    path = tmp_path / f"last{FORMATS[kind].suffix}"
    export(capsys, folder, f"format={kind}", f"dir={tmp_path}")
    fault(path, zoo.load(folder, device="cpu"))
    code = ["trust=true"] if kind == "torch_export" else []
    record = export(capsys, folder, f"check={path}", *code, code=7)
    assert not record["agrees"]
    assert max(each["share"] for each in record["differences"]) > 1e-3
    assert main(["export", f"from={folder}", f"check={path}", *code]) == 7
    assert "DOES NOT AGREE" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_file_of_half_precision_has_the_rounded_weights_and_no_others(
    kind, run, tmp_path, capsys
):
    folder = run("cnn")
    last = folder / "checkpoints" / "last.safetensors"  # it says less of the net
    assert export(capsys, folder, f"check={last}")["agrees"]
    path = tmp_path / "half.safetensors"
    eps = torch.finfo(kind).eps

    def agreement(factor, code):
        weights = load_file(last)
        halves = {
            name: (w * factor).to(kind) if w.is_floating_point() else w
            for name, w in weights.items()
        }
        save_file(halves, path)
        return export(capsys, folder, f"check={path}", code=code)

    output, weights = agreement(1.0, 0)["differences"]
    assert 0 < output["share"] <= output["tolerance"] < 0.1
    assert weights["share"] == 0
    output, weights = agreement(1 + 3 * eps, 7)["differences"]
    assert weights["share"] > weights["tolerance"] > 0


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
def test_a_step_of_a_type_is_the_distance_to_its_next_number(kind):
    values = torch.tensor([1.0, 1.5, 0.1, 3e-5, 1000.0, 0.0]).to(kind)
    bits = values.view(torch.int32 if kind == torch.float32 else torch.int16)
    following = (bits + 1).view(kind).double() - values.double()
    torch.testing.assert_close(steps(values), following, rtol=0, atol=0)


def test_the_weight_that_is_shown_is_the_one_that_differs():
    net = {"count": torch.tensor(3), "w": torch.ones(2), "z": torch.ones(2)}
    other = {"count": torch.tensor(3), "w": torch.ones(2), "z": torch.tensor([1.0, 1.001])}
    assert of_weights(net, other).name == "z"
    halves = {"count": torch.tensor(3), "w": torch.ones(2).half() * 0.999, "z": torch.ones(2)}
    assert of_weights(net, halves).name == "w"
    off_by_one = halves | {"count": torch.tensor(4)}
    assert not of_weights(net, off_by_one).agrees
    assert of_weights(net, off_by_one).name == "count"


@pytest.fixture(scope="module")
def onnx_file(run, tmp_path_factory):
    """The graph of a tiny net, exported once."""
    folder = tmp_path_factory.mktemp("onnx")
    assert main(["export", f"from={run('cnn')}", "format=onnx", f"dir={folder}"]) == 0
    return folder / "last.onnx"


@pytest.mark.filterwarnings("ignore")
def test_only_what_reaches_the_output_of_a_graph_counts_for_its_precision(
    onnx_file, run, tmp_path, capsys
):
    import onnx

    same_answers(run("cnn"), onnx_file)
    model, path = onnx.load(onnx_file), tmp_path / "a.onnx"
    idle = onnx.helper.make_tensor("idle", onnx.TensorProto.BFLOAT16, [1], [0.0])
    model.graph.initializer.append(idle)
    onnx.save(model, path)
    output, weights = export(capsys, run("cnn"), f"check={path}")["differences"]
    assert output["tolerance"] == pytest.approx(1e-4)
    assert weights["share"] == 0
    one_weight_changed(path, None)
    output, weights = export(capsys, run("cnn"), f"check={path}", code=7)["differences"]
    assert output["tolerance"] == pytest.approx(1e-4)
    assert weights["tolerance"] == 0 < weights["share"]


@pytest.mark.filterwarnings("ignore")
def test_a_graph_in_half_precision_agrees_up_to_its_rounding(onnx_file, run, tmp_path, capsys):
    """Weights are kept as float16 and made float32 by the graph, as converters of others do."""
    import onnx

    for factor, code in ((1.0, 0), (1.002, 7)):
        model, path = onnx.load(onnx_file), tmp_path / "half.onnx"
        casts = []
        for weight in model.graph.initializer:
            values = onnx.numpy_helper.to_array(weight)
            if values.dtype == "float32":
                half, name = (values * factor).astype("float16"), weight.name
                weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
                casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=1))
        nodes = [*casts, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        onnx.save(model, path)
        (output,) = export(capsys, run("cnn"), f"check={path}", code=code)["differences"]
        assert 1e-4 < output["tolerance"] < 0.1
        assert output["share"] > 0


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("inner", [False, True])
def test_weights_outside_the_folder_of_an_onnx_file_are_not_read(
    sparse, inner, run, tmp_path, capsys
):
    import onnx

    (tmp_path / "secret").write_bytes(bytes(4))
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "own").write_bytes(bytes(4))
    path = tmp_path / "inside" / "a.onnx"
    refused = {"../secret": "its weights lie outside its folder (../secret)"}
    refused |= {"own": "weights of a sparse tensor lie in another file"} if sparse else {}
    for location, message in refused.items():
        weight = onnx.TensorProto(name="w", data_type=1, dims=[1], data_location=1)
        weight.external_data.add(key="location", value=location)
        graph = onnx.helper.make_graph([], "g", [], [])
        if sparse:
            places = onnx.helper.make_tensor("i", onnx.TensorProto.INT64, [1], [0])
            graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(weight, places, [1]))
        else:
            graph.initializer.append(weight)
        if inner:
            node = onnx.helper.make_node("If", ["c"], [], then_branch=graph, else_branch=graph)
            graph = onnx.helper.make_graph([node], "g", [], [])
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
        assert message in export(capsys, run("cnn"), f"check={path}", code=3)


def test_sizes_that_the_net_does_not_take_are_named(run, tmp_path, capsys):
    import onnx

    tokens = onnx.helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, [1, 17])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, 17])
    node = onnx.helper.make_node("Cast", ["tokens"], ["logits"], to=1)
    graph = onnx.helper.make_graph([node], "g", [tokens], [logits])
    version = [onnx.helper.make_opsetid("", 17)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=version, ir_version=9), tmp_path / "a.onnx"
    )
    said = export(capsys, run(*ROTARY), f"check={tmp_path / 'a.onnx'}", code=3)
    assert "its fixed sizes are none that the net takes (batch=1, length=17)" in said


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["format=tflite"], 2, "format='tflite' is refused"),
        (["format=diffusers"], 2, "format=diffusers is for runs of task=diffusion"),
        (["check={}/a.onnx", "format=onnx"], 2, "leave out format and dir"),
        (["trust=true"], 2, "trust=true is an option of check=FILE"),
        (["check={}/no.onnx"], 3, "no such file"),
        (["check={}/a.txt"], 2, ".txt is no format"),
        (["check={}/a.pt2"], 2, "can hold code"),
        (["check={}/a.pt2", "trust=true"], 3, "it cannot be read"),
        (["check={}/a.onnx"], 3, "it cannot be read"),
        (["check={}/a.safetensors"], 3, "it cannot be read"),
        (["check={}/other.safetensors"], 3, "is missing, unknown or of another shape"),
    ],
)
def test_mistakes_are_one_line(more, code, said, run, tmp_path, capsys):
    for suffix in ("txt", "pt2", "onnx", "safetensors"):
        (tmp_path / f"a.{suffix}").write_bytes(b"nothing of the kind")
    save_file({"w": torch.ones(1)}, tmp_path / "other.safetensors")
    assert said in export(capsys, run("cnn"), *(w.format(tmp_path) for w in more), code=code)


def test_without_the_libraries_of_onnx_their_extra_is_named(run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert 'pip install "residual-zoo[onnx]"' in export(capsys, run("cnn"), "format=onnx", code=2)


@pytest.mark.parametrize("about", ["{}", "[1", '{"config": 1, "model_args": 2}'])
def test_a_file_that_describes_no_net_is_named(about, tmp_path):
    save_file({"w": torch.ones(1)}, tmp_path / "a.safetensors", {"zoo": about})
    with pytest.raises(DataError, match=r"a\.safetensors"):
        zoo.load_net(tmp_path / "a.safetensors")


def test_a_file_names_no_class_of_its_own(run, tmp_path, capsys):
    path = export(capsys, run("cnn"), f"dir={tmp_path}")["export"]
    about = about_of(path)
    about["config"]["model"]["class"] = "os.system"
    save_file(load_file(path), path, {"zoo": json.dumps(about)})
    with pytest.raises(ZooError, match="class"):
        zoo.load_net(path)
