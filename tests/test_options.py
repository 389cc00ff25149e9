"""No option without effect: each one changes weights, batches, metrics or files of a run."""

import functools
import itertools

import pytest
from option_files import make_files
from option_list import BASE, FIGURES, HOME, NEEDS, VALUES, WITHOUT
from option_runs import SHORT, SMALL, Run, composed, difference
from option_values import choice, others

from tasks.run import prepare
from zoo import registry
from zoo.errors import ConfigError
from zoo.options import fields

GROUPS = [group for group in registry.GROUPS if group not in ("preset",)]
CASES = [
    (group, name, option)
    for group in GROUPS
    for name in registry.names(group)
    for option in registry.options(group, name)
]


def entry(table, group, name, option):
    """What a table says of an option, of this name or of all of a group, or None."""
    keys = (f"{group}.{name}.{option}", f"{group}.{option}")
    if isinstance(table, set):
        return any(key in table for key in keys)
    return next((table[key] for key in keys if key in table), None)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    make_files(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def tasks(group, name):
    """The tasks that may take a name, first those that have it by default."""
    if group == "task" or group in HOME:
        return [HOME.get(group, name)]
    every = sorted(registry.names("task"), key=lambda task: [*SMALL, task].index(task))
    own = [task for task in every if composed(f"task={task}").choices.get(group) == name]
    return [*own, *every]


@functools.cache
def home(group, name, files):
    """The words of a small run with a name, of the first task that takes it."""
    lost = []
    for task in tasks(group, name):
        words = [f"task={task}", "logger=none", *SHORT, *SMALL.get(task, [])]
        if group == "data":
            words = [word for word in words if not word.startswith("data")]
        words += [f"{group}={name}", *BASE.get(f"{group}.{name}", [])]
        words = [word.format(files) for word in words]
        try:
            prepare(Run(words, files).config)
        except ConfigError as error:
            lost.append(str(error))
        else:
            return words
    pytest.fail(f"no task takes {group}={name}: {lost}")


@functools.cache
def base(words, place):
    return Run(words, place)


def tried(group, name, option, files, fresh):
    """What becomes of a small run under other values of an option: `[(value, stage)]`.

    Of values that are found by type some are refused; of given ones each must count.
    """
    stages = ("start", "training", "figures")
    stages = stages[: 3 if entry(FIGURES, group, name, option) else 2]
    target = registry.resolve(group, name)
    needed = [word.format(files) for word in entry(NEEDS, group, name, option) or []]
    words = (*home(group, name, files), *needed)
    one = base(words, fresh())
    annotation = fields(target)[option][0]
    given = entry(VALUES, group, name, option)
    default = one.config.sections[group][option]
    for value in given or others(target, option, annotation, default):
        value = value.format(files) if isinstance(value, str) else value
        found = difference(one, Run(words, fresh(), **{f"{group}.{option}": value}), stages)
        if given or found != "ConfigError":
            yield value, found
            if found and not given and not choice(annotation):
                return


@pytest.fixture
def fresh(tmp_path):
    numbers = itertools.count()
    return lambda: tmp_path / str(next(numbers))


@pytest.mark.parametrize(("group", "name", "option"), CASES)
def test_every_option_counts(group, name, option, files, fresh):
    reason = entry(WITHOUT, group, name, option)
    found = list(tried(group, name, option, files, fresh))
    assert found, "no other value was found"
    lost = [value for value, stage in found if stage is None]
    if reason:
        assert len(lost) == len(found), f"it counts after all: {found}"
    elif entry(VALUES, group, name, option) or choice(
        fields(registry.resolve(group, name))[option][0]
    ):
        assert not lost, f"without effect: {lost}"
    else:
        assert len(lost) < len(found), f"without effect: {lost}"
