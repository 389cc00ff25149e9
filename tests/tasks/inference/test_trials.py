"""The comparisons that a diagnosis prints are ones that `compare` takes."""

import math
import shlex
from pathlib import Path

import pytest
import yaml

from tasks.inference.trials import TRIALS, command, fitted, knows, tenth, trials_of, verdicts
from zoo.compare.design.cell import result_keys
from zoo.compare.design.command import as_word
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.config import registry
from zoo.config.compose import load
from zoo.diagnosis.finding import CAUSES, Finding

TASKS = ("cnn", "unet", "transformer", "gnn", "diffusion")
ROOT = Path(__file__).parents[3]
SAID = {tenth: "a tenth", fitted: "fitted to the updates"}
NONE = {"bias_before_norm", "unused_parameters"}  # which no option of the zoo cures


def finding(cause, value=1.0):
    return Finding(cause, "", value, 0, "", "")


def trials(config, *causes, value=1.0):
    """The words of the comparisons that test the cures of some causes."""
    return [*trials_of([finding(cause, value) for cause in causes], config, [])]


def planned(words):
    """The cells of one pair of a comparison, and the axis that makes its arms."""
    _, options, axes = declare([*words, "pairs=1", "vary=nothing"])
    cells = plan(options, axes).cells
    (axis,) = [word.split("=") for word in words if "," in word and "[" not in word]
    assert len(cells) == 2
    return [cell.config for cell in cells], axis


def test_every_cause_has_a_trial_or_none_can_be():
    assert TRIALS.keys() | NONE == CAUSES.keys()
    assert not TRIALS.keys() & NONE


SLOW = [pytest.param(task, TRIALS, marks=pytest.mark.slow, id=task) for task in TASKS]
FAST = pytest.param("gnn", ("vanishing_gradients", "step_too_large"), id="two causes")


@pytest.mark.parametrize(("task", "causes"), [FAST, *SLOW])
def test_every_trial_is_a_comparison_of_the_net_with_its_cure(task, causes):
    config, _ = load([f"task={task}", "connection=plain", "trainer.max_steps=7"])
    config.sections["optimizer"]["decay_biases"] = True
    config.sections["trainer"]["precision"] = "16-mixed"
    made = trials(config, *causes)
    assert len(made) >= min(6, len(causes))
    for words in made:
        (before, cured), (key, values) = planned(words)
        for group, section in before.plain().items():
            assert group in ("task", "run") or section == config.plain()[group], (words, group)
        group, _, option = key.partition(".")
        changed = cured.sections[group][option] if option else cured.choices[group]
        assert str(changed).lower() == values.partition(",")[2]


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_so_is_every_second_choice(task):
    config, _ = load([f"task={task}", "trainer.max_steps=7"])
    for key, cure in {pair for pairs in TRIALS.values() for pair in pairs}:
        group, _, option = key.partition(".")
        present = config.sections[group].get(option) if option else config.choices[group]
        if (
            isinstance(cure, str)
            and as_word(present) != cure
            and knows(config, group, option, cure)
        ):
            (_, cured), _ = planned(
                [
                    f"task={task}",
                    "model.depth=2" if task != "cnn" else "model.depth=8",
                    f"{key}={as_word(present)},{cure}",
                ]
            )
            changed = cured.sections[group][option] if option else cured.choices[group]
            assert as_word(changed) == cure


def test_a_cure_that_the_net_has_is_not_tried_again():
    residual, _ = load(["task=cnn", "norm=pre"])
    (words,) = trials(residual, "vanishing_gradients", "decayed_norms", "unused_parameters")
    assert words[-1] == "init=default,fixup"  # its norms do not decay


def test_a_trial_is_of_the_net_itself_where_a_comparison_would_choose_another():
    net, _ = load(["task=diffusion", "connection=plain"])
    (words,) = trials(net, "vanishing_gradients")
    assert words == (
        *("task=diffusion", "model.depth=3", "model.width=16", "trainer.max_steps=600"),
        *("task.frechet_samples=500", "task.sample_every=200"),
        *("long=concat", "connection=plain,residual"),
    )


BOTH = ["trainer.max_epochs=2", "trainer.max_steps=250"]  # the second is the default
WARM = ["optimizer.warmup_epochs=1", "optimizer.warmup=50"]
PRESET = ["preset=camvid"]  # has a length in steps where the declaration has one in epochs
NETS = [*((task, []) for task in TASKS), ("transformer", [*BOTH, *WARM]), ("unet", PRESET)]


def test_the_baseline_of_a_trial_is_the_very_net_with_its_training():
    for task, more in NETS:
        config, _ = load([f"task={task}", "connection=plain", *more])
        for words in trials(config, "vanishing_gradients"):
            (before, _), _ = planned(words)
            assert result_keys(before) == result_keys(config), words


def test_a_rate_is_fitted_to_the_updates():
    config, _ = load(["task=cnn"])
    (large,), (small,) = (
        trials(config, cause, value=value)
        for cause, value in (("step_too_large", 0.5), ("step_too_small", 1e-8))
    )
    assert large[-1] == "optimizer.lr=0.1,0.0002"
    assert small[-1] == "optimizer.lr=0.1,10000.0"
    (lost,) = trials(config, "step_too_large", value=math.inf)
    assert lost[-1] == "optimizer.lr=0.1,0.01"


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
    (words,) = trials(config, "vanishing_gradients")
    assert (*words[:2], words[-1]) == ("task=cnn", "logger=none", "connection=plain,residual")
    assert {*words[2:-1]} == {
        "model.depth=14", "model.width=[8]", "optimizer.lr=0.02", "trainer.devices=2",
        "trainer.max_epochs=10",
    }  # fmt: skip


def test_verdicts_are_those_of_the_record():
    place = {"title": "gnn, depth 8", "contrasts": [
        {"arm": "b", "baseline": "a", "pairs": 8, "verdict": "b better",
         "gap": {"value": 0.25, "low": 0.125, "high": 0.5}},
        {"arm": "c", "baseline": "a", "pairs": 3, "verdict": "c ahead in 3 of 3",
         "gap": {"value": 0.25, "low": None, "high": None}},
        {"arm": "d", "baseline": "a", "pairs": 0, "verdict": "no pairs", "gap": None}]}  # fmt: skip
    assert [*verdicts({"places": [place]})] == [
        ["b against a", "b better", "0.25 (0.125 to 0.5)", "8", "gnn, depth 8"],
        ["c against a", "c ahead in 3 of 3", "0.25", "3", "gnn, depth 8"],
        ["d against a", "no pairs", "", "0", "gnn, depth 8"],
    ]


def test_names_of_cures_exist():
    for key, cure in {pair for pairs in TRIALS.values() for pair in pairs}:
        if key in ("connection", "norm", "init"):
            assert cure in registry.names(key)


def test_the_page_of_the_causes_has_them_with_what_tries_their_cures():
    text = (ROOT / "zoo/diagnosis/README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- causes -->\n")[2].partition("<!-- /causes -->")[0]
    rows = ["| cause | meaning | tried by |", "| --- | --- | --- |"]
    for cause, meaning in CAUSES.items():
        cures = [
            f"`{key}={cure}`" if isinstance(cure, str) else f"`{key}` {SAID[cure]}"
            for key, cure in TRIALS.get(cause, ())
        ]
        rows.append(f"| `{cause}` | {meaning} | {', '.join(cures)} |")
    assert table.splitlines() == rows
