"""`bench of=gpu`: the whole script with tiny nets, on a CPU where there is no GPU."""

import dataclasses
import json

import pytest
import torch
from second_device import second_device
from torch import nn

from tasks.bench.gpu import verb
from tasks.bench.gpu.clock import Net, timed
from tasks.bench.gpu.loops import loops
from tasks.bench.gpu.peers import PEERS
from tasks.bench.gpu.sizes import FULL, PUBLISHED, TINY, VARIANTS, peak_of
from tasks.bench.gpu.table import COMPARISON
from zoo.cli.main import main
from zoo.compare.design.spec import declare
from zoo.config import registry

RULES = {*registry.names("connection"), *VARIANTS}


def measured(capsys, folder, *words):
    assert main(["--json", "bench", "of=gpu", "size=tiny", f"dir={folder}", *words]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((folder / "gpu.json").read_text())
    return record, (folder / "gpu.md").read_text()


def of_each_kind(record):
    return {"fit": record["fit"], "nets": record["nets"], **record["rules"]}


def test_one_of_each_kind_is_measured_and_written(capsys, tmp_path, monkeypatch):
    chosen = {"fit": ["gnn"], "nets": ["GPT-2, plain PyTorch", "GPT-2, this project"]}
    chosen["nets"] += [f"GCNII, {name}" for name in ("PyG by edges", "this project")]
    chosen["eager"] = ["residual", "mhc", "reversible"]
    all_jobs = verb.jobs_of
    monkeypatch.setattr(
        verb, "jobs_of", lambda *a: [j for j in all_jobs(*a) if j[1] in chosen.get(j[0], [])]
    )
    record, text = measured(capsys, tmp_path)
    found = of_each_kind(record)
    assert {kind: list(found[kind]) for kind in chosen} == chosen
    loop = record["fit"]["gnn"]
    assert loop["ratio"] == pytest.approx(loop["fit_ms"] / loop["bare_ms"])
    assert (loop["blocks"], loop["steps_a_block"]) == (TINY.blocks, TINY.cycle)
    plain, ours, *graphs = record["nets"].values()
    assert [(each["unit"], each["tflops"]) for each in graphs] == [("nodes", None)] * 2
    assert plain["tflops"] * plain["ms"] == pytest.approx(ours["tflops"] * ours["ms"])
    for net in (plain, ours):
        assert net["rate"] == pytest.approx(1e3 * 16 / net["ms"])  # two texts of eight tokens
        assert net["share"] is None
    assert record["rules"]["eager"]["reversible"]["tflops"] is None
    share = found["eager"]["residual"]["ms"] / found["eager"]["mhc"]["ms"]
    assert f"| mhc | {share:.2f} |  | mHC 0.49 |" in text
    assert "| not here |  |  | MUDD 0.74 |" in text
    assert "left out for want of time: nothing" in text


def test_what_does_not_fit_into_the_time_is_named(capsys, tmp_path):
    record, text = measured(capsys, tmp_path, "minutes=1e-9")
    assert not any(of_each_kind(record).values())
    compiled = {"residual", *TINY.compiled}
    expected = {f"fit: {task}" for task in registry.names("task")}
    expected |= {f"eager: {name}" for name in RULES} | {f"compiled: {name}" for name in compiled}
    named = set(record["left_out"])
    nets = {name for name in named if name.startswith("nets: ")}
    assert {name.split(": ")[1].split(", ")[0] for name in nets} == {*PEERS}
    assert named - nets == expected
    assert f"left out for want of time: {record['left_out'][0]}, " in text


@pytest.mark.slow
def test_the_whole_script_runs_on_this_machine(capsys, tmp_path):
    record, _ = measured(capsys, tmp_path, "minutes=60")
    found = of_each_kind(record)
    assert record["left_out"] == []
    assert {*found["fit"]} == {*registry.names("task")}
    assert {*found["eager"]} == RULES
    assert {*found["compiled"]} == {"residual", *TINY.compiled}
    assert not any("failed" in each for kind in found.values() for each in kind.values())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_timed_by_its_events(capsys, tmp_path):
    record, _ = measured(capsys, tmp_path, "minutes=2")
    assert "events" in record["clock"]
    for name, found in record["nets"].items():
        assert 0 < found["range"][0] <= found["ms"] <= found["range"][1], name
        assert found["bytes"] > 0, name


def test_both_loops_run_on_a_second_device():
    with second_device():
        found = loops("gnn", TINY, torch.device("cuda"))
    assert found["fit_ms"] > 0 < found["bare_ms"]


@pytest.mark.parametrize("name", ["PyG by edges", "this project"])
def test_graph_nets_lie_on_a_second_device(name):
    with second_device():
        made = PEERS["GCNII"](TINY, torch.device("cuda"))[name]()
        made.step()
        assert {p.device.type for p in made.model.parameters()} == {"cuda"}


def net(**options):
    model = nn.Linear(3, 5, bias=False)
    x = torch.ones(7, 3)
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    return Net(model, sgd, lambda m: m(x).float().sum(), 7, "images", **options)


def test_operations_are_counted_before_a_net_is_prepared_and_warm_up_is_left_out():
    steps = []
    made = net(prepare=lambda model: steps.append("prepared"))
    made.model.register_forward_hook(lambda *_: steps.append("step"))
    found = timed(made, warmup=2, steps=3, peak=1.0)
    assert steps == ["step", "prepared", *["step"] * 5]
    assert found["tflops"] * found["ms"] == pytest.approx(2 * 2 * 7 * 3 * 5 / 1e9)  # both passes
    assert found["share"] == found["tflops"]


def test_a_part_that_fails_is_named_and_the_others_are_kept(capsys, tmp_path, monkeypatch):
    def fail(error):
        raise error

    jobs = [
        ("nets", "large", lambda: fail(torch.OutOfMemoryError("CUDA out of memory"))),
        ("nets", "odd", lambda: fail(RuntimeError("something else\nfurther"))),
        ("fit", "odd", lambda: fail(ValueError("no such"))),
        ("nets", "good", lambda: timed(net(), warmup=0, steps=1, peak=None)),
        ("nets", "killed", lambda: fail(KeyboardInterrupt())),
    ]
    words = ["bench", "of=gpu", "size=tiny", f"dir={tmp_path}"]
    monkeypatch.setattr(verb, "jobs_of", lambda *a: jobs)
    assert main(words) == 130
    nets = json.loads((tmp_path / "gpu.json").read_text())["nets"]  # of what came before
    assert nets["large"] == {"failed": "out of memory"}
    assert nets["odd"]["failed"] == "RuntimeError: something else"
    assert "in fail" in nets["odd"]["traceback"]
    assert nets["good"]["ms"] > 0
    capsys.readouterr()
    jobs.pop()
    assert main(words) == 1
    assert "| odd | ValueError: no such |" in capsys.readouterr().out
    del jobs[1:3]
    assert main(words) == 0


def test_the_comparison_that_is_proposed_is_one():
    *_, words = COMPARISON.partition(" compare ")
    declare(words.split())


def test_peaks_are_those_of_the_card_that_is_named():
    named = ["NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA A100-SXM4-80GB", "Tesla T4"]
    assert [peak_of(name) for name in named] == [989.0, 756.0, 312.0, None]


def test_the_published_numbers_are_of_a_net_as_large_as_ours():
    """85 million parameters in the blocks; rules of theirs that the zoo has bear our names."""
    sizes = dataclasses.asdict(FULL)["gpt"]
    assert sizes["depth"] * 12 * sizes["width"] ** 2 == pytest.approx(85e6, rel=0.01)
    assert PUBLISHED.keys() <= RULES


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_full_nets_want_a_gpu(capsys):
    assert main(["bench", "of=gpu"]) == 2
    error = capsys.readouterr().err
    assert "there is no GPU" in error
    assert "size=tiny" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["task=gnn"], ["size=huge"], ["minutes=0"], ["size=tiny", "dir=/proc/x"]]
)
def test_other_words_are_refused(words, capsys):
    assert main(["bench", "of=gpu", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1
