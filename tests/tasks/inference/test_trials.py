"""The comparisons that a diagnosis prints are ones that `compare` takes."""

import shlex

import pytest
import yaml

from tasks.inference.trials import TRIALS, command, knows, trial_of, trials_of, verdicts
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.config import registry
from zoo.config.compose import load
from zoo.diagnosis.finding import CAUSES, Finding

TASKS = ("cnn", "unet", "transformer", "gnn", "diffusion")
NONE = {"bias_before_norm", "unused_parameters"}  # which no option of the zoo cures


def finding(cause, value=1.0):
    return Finding(cause, "", value, 0, "", "")


def arms(words):
    """The option of the arms that some words of `compare` make, with its values."""
    _, options, axes = declare([*words, "pairs=1"])
    planned = plan(options, axes)
    key, _, values = words[-1].partition("=")
    assert [arm.values[0][0] for arm in planned.arms] == [key] * 2
    assert len({cell.place for cell in planned.cells}) == 1
    return planned, values


def test_every_cause_has_a_trial_or_none_can_be():
    assert TRIALS.keys() | NONE == CAUSES.keys()
    assert not TRIALS.keys() & NONE


@pytest.mark.parametrize("task", TASKS)
def test_every_trial_is_a_comparison_of_the_net_with_its_cure(task):
    config, _ = load([f"task={task}", "connection=plain", "trainer.max_steps=7"])
    config.sections["optimizer"]["decay_biases"] = True
    config.sections["trainer"]["precision"] = "16-mixed"
    trials = {tuple(trial_of(finding(cause), config)): cause for cause in TRIALS}
    trials.pop((), None)
    assert len(trials) >= 6
    for words in trials:
        planned, values = arms(words)
        before, cured = (cell.config for cell in planned.cells)
        assert before.plain() == {**config.plain(), "run": before.run}, words
        group, _, option = words[-1].partition("=")[0].partition(".")
        changed = cured.sections[group][option] if option else cured.choices[group]
        assert str(changed).lower() == values.partition(",")[2]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_so_is_every_second_choice(task):
    config, _ = load([f"task={task}"])
    for key, cure in {pair for pairs in TRIALS.values() for pair in pairs}:
        group, _, option = key.partition(".")
        if isinstance(cure, str) and knows(config, group, option, cure):
            arms([f"task={task}", f"{key}=null,{cure}" if key == "?" else f"{key}={cure},{cure}"])


def test_a_cure_that_the_net_has_is_not_tried_again():
    residual, _ = load(["task=cnn", "norm=pre"])
    assert trial_of(finding("vanishing_gradients"), residual)[-1] == "init=default,fixup"
    assert trial_of(finding("decayed_norms"), residual) == []  # they do not decay
    assert trial_of(finding("unused_parameters"), residual) == []


def test_a_trial_is_of_the_net_itself_where_a_comparison_would_choose_another():
    net = trial_of(finding("vanishing_gradients"), load(["task=diffusion", "connection=plain"])[0])
    assert net == ["task=diffusion", "model.depth=3", "model.width=16", "long=concat",
                   "connection=plain,residual"]  # fmt: skip


def test_a_rate_is_fitted_to_the_updates():
    config, _ = load(["task=cnn"])
    assert trial_of(finding("step_too_large", 0.5), config)[-1] == "optimizer.lr=0.1,0.0002"
    assert trial_of(finding("step_too_small", 1e-8), config)[-1] == "optimizer.lr=0.1,10000.0"


def test_two_findings_of_one_cure_are_one_trial():
    config, _ = load(["task=gnn", "connection=plain"])
    found = [finding(cause) for cause in ("vanishing_gradients", "collapsed_features")]
    ((words, causes),) = trials_of([*found, found[0]], config, ["pairs=3"]).items()
    assert causes == ["vanishing_gradients", "collapsed_features"]
    assert words[-1] == "pairs=3"
    assert shlex.split(command(words))[:4] == ["python", "-m", "zoo", "compare"]


def test_the_words_of_a_file_are_carried(tmp_path):
    file = tmp_path / "net.yaml"
    options = {"optimizer": {"lr": 0.02}, "model": {"width": [8], "depth": 14}}
    file.write_text(yaml.safe_dump({"task": "cnn", "connection": "plain", **options}))
    config, _ = load([f"config={file}", "seed=5", "logger=none", "trainer.devices=2"])
    words = trial_of(finding("vanishing_gradients"), config)
    assert words == ["task=cnn", "logger=none", "model.depth=14", "model.width=[8]",
                     "optimizer.lr=0.02", "trainer.devices=2", "connection=plain,residual"]  # fmt: skip


def test_verdicts_are_those_of_the_record():
    place = {"title": "gnn, depth 8", "contrasts": [
        {"arm": "b", "baseline": "a", "pairs": 8, "verdict": "b better",
         "gap": {"value": 0.25, "low": 0.125, "high": 0.5}},
        {"arm": "c", "baseline": "a", "pairs": 3, "verdict": "c ahead in 3 of 3",
         "gap": {"value": 0.25, "low": None, "high": None}},
        {"arm": "d", "baseline": "a", "pairs": 0, "verdict": "no pairs", "gap": None}]}  # fmt: skip
    assert [*verdicts({"places": [place]})] == [
        ["gnn, depth 8", "b against a", "8", "0.25 (0.125 to 0.5)", "b better"],
        ["gnn, depth 8", "c against a", "3", "0.25", "c ahead in 3 of 3"],
        ["gnn, depth 8", "d against a", "0", "", "no pairs"],
    ]


def test_names_of_cures_exist():
    for key, cure in {pair for pairs in TRIALS.values() for pair in pairs}:
        if key in ("connection", "norm", "init"):
            assert cure in registry.names(key)
