"""Every size has an upper end, and what is too large together is refused before it is made."""

import typing
from importlib import import_module

import pytest
from annotated_types import Le, Lt

from tasks.training.build import refuse_unfit_model
from zoo.cli.main import main
from zoo.compare.design.spec import Comparison
from zoo.config import registry
from zoo.config.compose import load
from zoo.config.options import fields
from zoo.errors import ConfigError

STEPS = "a number of steps takes time alone, as much as its user asks for"
UNBOUNDED = {
    **dict.fromkeys(("max_steps", "max_epochs", "validate_every", "patience"), STEPS),
    **dict.fromkeys(("accumulate", "log_every", "warmup", "sample_every", "lookahead"), STEPS),
    "nonfinite_limit": "a bound of what a run may lose",
    "seed": "the key of draws",
    "devices": "more than there are is refused",
    "label": "a name that may look like a number",
}
VERBS = {
    verb
    for task in registry.names("task")
    for verb in registry.resolve("task", task).verbs.values()
}
CLASSES = [
    registry.resolve(group, name)
    for group in (*registry.GROUPS, "engine")
    if group != "preset"
    for name in registry.names(group)
]
for verb in sorted(VERBS):
    module, _, attribute = verb.rpartition(".")
    CLASSES.append(getattr(import_module(module), attribute))
CLASSES = {f"{each.__module__}.{each.__name__}": each for each in [*CLASSES, Comparison]}


def ends(annotation, end=None):
    """The upper end of every whole number in a type, None for one that has none."""
    origin, members = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        marks = [m for m in members[1:] if isinstance(m, (Le, Lt))]
        yield from ends(members[0], marks[0] if marks else None)
    elif annotation is int:
        yield end
    elif origin is not typing.Literal:
        for member in members:
            yield from ends(member)


@pytest.mark.parametrize("name", CLASSES)
def test_whole_numbers_have_an_upper_end(name):
    endless = {option for option, (kind, _) in fields(CLASSES[name]).items() if None in ends(kind)}
    assert endless <= UNBOUNDED.keys()


def test_the_list_of_numbers_without_end_is_true():
    endless = {
        option
        for each in CLASSES.values()
        for option, (kind, _) in fields(each).items()
        if None in ends(kind)
    }
    assert endless == UNBOUNDED.keys()


def task_of(model):
    """The task that has this model by default."""
    tasks = registry.names("task")
    return next(task for task in tasks if load([f"task={task}"])[0].choices["model"] == model)


def largest(model, option):
    """The largest value of an option of whole numbers."""
    (end,) = {each.le for each in ends(fields(registry.resolve("model", model))[option][0])}
    return end


@pytest.mark.fault(3)
@pytest.mark.parametrize("model", registry.names("model"))
def test_a_depth_out_of_all_proportion_is_refused_at_once(model, capsys):
    assert main(["fit", f"task={task_of(model)}", "model.depth=1000000000"]) == 2
    assert "model.depth=1000000000 is refused" in capsys.readouterr().err


@pytest.mark.parametrize("model", registry.names("model"))
def test_what_no_machine_can_hold_is_refused_before_it_is_made(model):
    depth = min(largest(model, "depth"), 602)
    words = [f"task={task_of(model)}", f"model.depth={depth}"]
    words.append(f"model.width={largest(model, 'width')}")
    with pytest.raises(ConfigError, match="GB of memory, and this machine has"):
        refuse_unfit_model(load(words)[0])


@pytest.mark.parametrize(
    "words",
    [
        ["task=gnn", "data.nodes=1000000", "data.features=65536"],
        ["task=unet", "data.size=1024", "data.train=10000000"],
    ],
)
def test_data_that_no_machine_can_hold_is_refused_before_it_is_made(words):
    with pytest.raises(ConfigError, match="GB of memory, and this machine has"):
        load(words)[0].factory("data")().load()


@pytest.mark.slow
@pytest.mark.parametrize("model", registry.names("model"))
def test_the_deepest_model_is_built_without_memory(model):
    depth = largest(model, "depth") - (2 if model == "cnn" else 0)
    refuse_unfit_model(load([f"task={task_of(model)}", f"model.depth={depth}", "model.width=8"])[0])
