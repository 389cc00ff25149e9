"""Diagnoses of a run while it trains: what they raise, and that they leave no trace."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from forked import speak, start
from matplotlib.figure import Figure
from PIL import Image
from read_wandb import records, uploaded
from small_runs import rows, weights
from tiny_runs import MIXED, shrink, words

from tasks.training import health
from tasks.training.health import Health
from tasks.training.loggers import NoLogger
from tasks.training.pace import Pace
from zoo.cli.main import main
from zoo.compare.design.cell import result_keys
from zoo.config.compose import load
from zoo.diagnosis.diagnose import Diagnosis
from zoo.diagnosis.finding import Finding
from zoo.run_folder import RunFolder

RUNS = {  # random draws of every kind, running statistics, and options that surround a step
    "gnn": "model.dropout=0.5 task.drop_edge=0.3 norm=pre model.norm=batch",
    "cnn": f"connection=stochastic_depth task.cutmix=1.0 task.flip=true {MIXED}",
    "transformer": "model.dropout=0.2 trainer.ema=0.9 model.checkpoint=true",
    "unet": "model.dropout=0.2 trainer.on_nonfinite=skip connection=reversible",
    "diffusion": "model.dropout=0.2 trainer.accumulate=2",
}
SLOW = ("unet", "transformer", "diffusion")
DEEP = ["connection=plain", "model.depth=56", "model.width=4", "trainer.validate_every=50"]


def fit(run, *given, code=0):
    where = [] if any(word.startswith("from=") for word in given) else [f"run.dir={run}"]
    assert main(["fit", *given, *where]) == code
    return run


def record(run):
    return RunFolder(run).result()["health"]


def assert_same(one, other):
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=0)
    assert rows(one) == rows(other)
    assert RunFolder(one).result()["metrics"] == RunFolder(other).result()["metrics"]


@pytest.mark.parametrize(
    "task", [pytest.param(t, marks=pytest.mark.slow) if t in SLOW else t for t in RUNS]
)
def test_a_run_that_is_looked_at_is_the_same_to_the_last_bit(task, tmp_path, monkeypatch):
    shrink(monkeypatch)
    given = words(task, RUNS[task])
    plain = fit(tmp_path / "plain", *given, "trainer.max_steps=4")
    seen = fit(tmp_path / "seen", *given, "trainer.max_steps=2", "diagnostics=health")
    fit(seen, f"from={seen}", "trainer.max_steps=4")
    assert {0, 2} <= {*record(seen)["steps"]}
    assert not record(seen)["failure"]
    assert_same(seen, plain)
    assert "health" not in RunFolder(plain).result()


@pytest.mark.slow
def test_a_compiled_run_is_so_too(tmp_path):
    given = ["fit", *words("cnn", RUNS["cnn"], "trainer.max_steps=12"), "trainer.compile=true"]
    for name in ("none", "health"):
        log = tmp_path / f"{name}.txt"
        process = start(speak, [*given, f"diagnostics={name}", f"run.dir={tmp_path / name}"], log)
        process.join()
        assert process.exitcode == 0, log.read_text()
    assert {0, 10} <= {*record(tmp_path / "health")["steps"]}
    assert not record(tmp_path / "health")["failure"]
    assert_same(tmp_path / "health", tmp_path / "none")


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """A run whose gradients explode from the start on."""
    run = tmp_path_factory.mktemp("sick") / "run"
    given = [*words("cnn", *DEEP, "trainer.max_steps=2"), "diagnostics=health"]
    given.remove("logger=none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        shrink(patch)
        patch.setattr(Figure, "savefig", lambda _, path: Image.new("RGB", (2, 2)).save(path))
        fit(run, *given)
        return fit(run, f"from={run}", "trainer.max_steps=3", "logger=none")


def test_a_finding_is_raised_once(sick):
    (found,) = record(sick)["findings"]
    assert {0, 2} <= {*record(sick)["steps"]}
    assert (found["cause"], found["where"]) == ("exploding_gradients", "model.body.sites.0")
    assert (found["step"], found["last_step"]) == (0, 2)
    assert found["value"] > found["limit"] == 1000
    lines = [line for line in (sick / "log.txt").read_text().splitlines() if "exploding" in line]
    assert len(lines) == 1
    assert f"WARNING step 0: {found['cause']} at {found['where']}: " in lines[0]
    assert [path.name for path in (sick / "figures").glob("health*")] == ["health_000000.png"]


def test_wandb_has_its_alert_and_its_figure(sick):
    (first,) = (sick / "wandb").glob("offline-run*/*.wandb")
    alerts = [each.alert for each in records(first) if each.WhichOneof("record_type") == "alert"]
    assert [(alert.title, alert.level) for alert in alerts] == [("exploding_gradients", "WARN")]
    assert "at model.body.sites.0: it grows to" in alerts[0].text
    assert any("figures/health/path" in row for row in uploaded(first)["history"])


FOUND = Finding("dead_units", "body.1", 0.75, 0.5, "75 % are zero everywhere", "lower the rate")
LATER = Finding("dead_units", "body.2", 0.75, 0.5, "75 % are zero everywhere", "lower the rate")


@pytest.fixture
def check(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(health.log, "propagate", True)
    caplog.set_level("INFO", "zoo")
    check = Health()
    check.begin(RunFolder(tmp_path), NoLogger(), every=1, figures=True)
    return check


def test_another_place_is_new_and_what_went_away_is_said_at_the_end(check, tmp_path, caplog):
    for step, findings in ((0, [FOUND]), (10, [FOUND, LATER]), (20, [LATER])):
        check.note(step, Diagnosis(findings, None), RunFolder(tmp_path))
    check.on_train_end(None, None)
    cure = "75 % are zero everywhere -- lower the rate"
    assert caplog.messages == [
        f"step 0: dead_units at body.1: {cure}",
        f"step 10: dead_units at body.2: {cure}",
        "dead_units at body.1 was last seen at step 10",
    ]
    again = Health()
    again.load_state_dict(json.loads(json.dumps(check.state_dict())))
    assert again.record() == check.record()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_value_that_is_not_finite_is_null_in_the_record(value, check, tmp_path):
    folder, found = RunFolder(tmp_path), replace(FOUND, value=value)
    check.note(0, Diagnosis([found, LATER], None), folder)
    folder.write_result(check.record())
    assert [each["value"] for each in record(tmp_path)["findings"]] == [None, 0.75]
    again = Health()
    again.load_state_dict({**check.state_dict(), "findings": [{**asdict(found), "step": 0}]})
    folder.write_result(again.record())  # of a checkpoint that has it as it was
    assert record(tmp_path)["findings"][0]["value"] is None


def test_a_look_that_fails_is_the_last_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    def lost(*_):
        raise MemoryError("no room\nfor it")

    monkeypatch.setattr(health, "diagnose", lost)
    run = fit(tmp_path, *words("gnn", "trainer.max_steps=12"), "diagnostics=health")
    said = capsys.readouterr().err
    assert (
        said.count("zoo: step 0: diagnostics are off for this run: MemoryError: no room for it")
        == 1
    )
    assert record(run) == {"steps": [], "findings": [], "failure": "MemoryError: no room for it"}
    assert RunFolder(run).result()["status"] == "done"


@pytest.mark.parametrize("share", [0.01, 0.2])
@pytest.mark.parametrize("cost", [0.3, 6.0, 70.0])
def test_looks_take_their_share_of_the_time_beside_the_fixed_ones(share, cost):
    pace, now, looks = Pace(share), 0.0, []
    pace.begin(0, now)
    for step in range(20_000):  # of a second each
        if pace.fixed(step) or pace.affords(now):
            looks.append(step)
            now += cost
            pace.spent(cost)
        now += 1.0
    fixed = [0, 10, 100, 1000, 10_000]
    assert {*fixed} <= {*looks}
    assert cost * (len(looks) - len(fixed)) <= share * now
    assert len(looks) * cost >= min(share * now - cost, len(fixed) * cost)


def test_a_cell_has_the_same_address_with_and_without():
    plain, seen = (load(["task=gnn", *more])[0] for more in ([], ["diagnostics=health"]))
    assert plain.plain() != seen.plain()
    assert result_keys(plain) == result_keys(seen)


def test_the_page_of_fit_has_it(capsys):
    assert main(["fit", "diagnostics=health", "--help"]) == 0
    said = capsys.readouterr().out
    assert "diagnostics=health" in said
    assert "diagnostics.share=0.01" in said


@pytest.mark.parametrize(("rate", "said"), [(10, True), (0.01, False)])
def test_the_verb_sees_the_first_step_of_the_configured_optimiser(rate, said, capsys):
    assert main(["diagnose", *words("gnn"), f"optimizer.lr={rate}"]) == 0
    assert ("step_too_large" in capsys.readouterr().out) is said
