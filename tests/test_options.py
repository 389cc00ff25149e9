"""No option without effect: each one changes weights, batches, metrics or files of a run."""

import functools
import itertools
import shutil
from importlib import import_module
from typing import Literal, get_args, get_origin

import pytest
from option_files import make_files
from option_list import BASE, FIGURES, HOME, NEEDS, SILENT, SLOW, SYNONYMS, VALUES, VERBS, WITHOUT
from option_runs import SHORT, SMALL, Run, composed, difference, used
from option_values import choice, others

from tasks.training.build import refuse_unfit_model
from tasks.training.contract import refuse_lacking_source
from zoo.cli.main import main
from zoo.config import registry
from zoo.config.options import fields
from zoo.errors import ConfigError


def entry(table, group, name, option):
    """What a table says of an option, of this name or of all of a group, or None."""
    keys = (f"{group}.{name}.{option}", f"{group}.{option}", f"{group}.{name}")
    if isinstance(table, set):
        return any(key in table for key in keys)
    return next((table[key] for key in keys if key in table), None)


def again(group, name, option):
    """Whether the option is one that the ordinary run has tried with another name."""
    if group == "long":  # the classes of the connections, in another place
        return name not in ("attention", "highway")
    target, names = registry.resolve(group, name), registry.names(group)
    first = [other for other in names[:1] if group == "optimizer" and other != name]
    parents = [other for other in names if registry.resolve(group, other) in target.__mro__[1:]]
    return any(option in registry.options(group, other) for other in (*first, *parents))


GROUPS = [group for group in registry.GROUPS if group not in ("preset",)]
CASES = [
    pytest.param(group, name, option, marks=pytest.mark.slow)
    if entry(SLOW, group, name, option) or again(group, name, option)
    else (group, name, option)
    for group in GROUPS
    for name in registry.names(group)
    for option in registry.options(group, name)
]


def named(path):
    """The class that a dotted path names."""
    module, _, attribute = path.rpartition(".")
    return getattr(import_module(module), attribute)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    make_files(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("tasks.data.raw.KNOWN", {})  # the small files have digests of their own
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
            config = Run(words, files).config
            refuse_lacking_source(config)
            refuse_unfit_model(config)
        except ConfigError as error:
            lost.append(str(error))
        else:
            return words
    pytest.fail(f"no task takes {group}={name}: {lost}")


SOUND = {}  # runs by their words, with which others are compared


def sound(words, fresh):
    """The run of some words, taken once for all tests."""
    if words not in SOUND:
        SOUND[words] = Run(words, fresh())
    return SOUND[words]


def tried(group, name, option, files, fresh):
    """What becomes of a small run under other values of an option: `[(value, stage)]`.

    Of values that are found by type some are refused; of given ones each must count.
    """
    stages = ("start", "training", "figures")
    stages = stages[: 3 if entry(FIGURES, group, name, option) else 2]
    target = registry.resolve(group, name)
    needed = [word.format(files) for word in entry(NEEDS, group, name, option) or []]
    words = (*home(group, name, files), *needed)
    one = sound(words, fresh)
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


def alone(group, name, option, files, fresh):
    """What becomes of runs under other values where what the option needs is left out."""
    target = registry.resolve(group, name)
    kind, default = fields(target)[option]
    words = home(group, name, files)
    if group == "optimizer":
        words = (*words, "optimizer.schedule=constant")
    values = list(entry(VALUES, group, name, option) or others(target, option, kind, default))
    for value in values if choice(kind) else values[:1]:
        value = value.format(files) if isinstance(value, str) else value
        changed = Run(words, fresh(), **{f"{group}.{option}": value})
        yield difference(sound(tuple(words), fresh), changed, ("start", "training"))


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


def needy(group, name, option):
    return entry(NEEDS, group, name, option) and not option.endswith(("_split", "on_bad"))


NEEDY = [case for case in CASES if needy(*getattr(case, "values", case))]  # slow ones too


@pytest.mark.parametrize(("group", "name", "option"), NEEDY)
def test_an_option_without_what_it_needs_is_refused_or_listed(group, name, option, files, fresh):
    silent = None in alone(group, name, option, files, fresh)
    assert silent == (entry(SILENT, group, name, option) is not None)


def test_the_lists_name_options_that_are_there():
    known = {f"{g}.{n}" for g in GROUPS for n in registry.names(g)}
    options = {(g, n, o) for g in GROUPS for n in registry.names(g) for o in registry.options(g, n)}
    known |= {f"{g}.{n}.{o}" for g, n, o in options} | {f"{g}.{o}" for g, _, o in options}
    assert {*BASE, *NEEDS, *SILENT, *VALUES, *WITHOUT, *FIGURES, *SLOW} <= known


LONG = pytest.param("long", marks=pytest.mark.slow)  # the classes of the connections


@pytest.mark.parametrize("group", ["connection", "init", LONG, "norm", "optimizer"])
def test_every_name_counts(group, files, fresh):
    words = home("task", "unet" if group == "long" else "gnn", files)
    words = [*words, *(["norm=pre"] if group == "init" else [])]
    runs = {}
    for name in registry.names(group):
        one = Run(words, fresh())
        one.config = one.config.with_choice(group, name)
        runs.setdefault(one.start, {})[name] = one
    for start, alike in [*runs.items()]:  # what begins alike is trained
        if len(alike) > 1:
            del runs[start]
            for name, one in alike.items():
                runs.setdefault(one.training, {})[name] = one
    assert [list(names) for names in runs.values() if len(names) > 1] == SYNONYMS.get(group, [])


def test_the_seed_counts(files, fresh):
    words = home("task", "gnn", files)
    assert difference(sound((*words,), fresh), Run(words, fresh(), seed=1), ["start"])


@pytest.mark.parametrize("word", ["run.id=mine", "run.dir=runs/gnn-residual-mine"])
def test_a_run_lies_where_it_is_told(word, tmp_path, files, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["fit", *home("task", "gnn", files), word]) == 0
    assert (tmp_path / "runs" / "gnn-residual-mine" / "result.json").is_file()


@functools.cache
def trained(task, files, verb):
    """The folder of a small finished run that a verb can use."""
    words = [*home("task", task, files), "trainer.ema=null"]
    if verb == "sample" and task == "diffusion":  # it must have learned to tell classes apart
        words += ["model.conditional=true", "optimizer.lr=0.1"]
    place = files / f"run-{task}-{verb}"
    assert main(["fit", *words, f"run.dir={place}"]) == 0
    return place


VERB_CASES = [
    (task, verb, option)
    for task in registry.names("task")
    for verb, path in registry.resolve("task", task).verbs.items()
    for option, (kind, _) in fields(named(path)).items()
    if not (get_origin(kind) is Literal and len(get_args(kind)) == 1)  # nothing to choose
]


@pytest.mark.parametrize(("task", "verb", "option"), VERB_CASES)
def test_every_option_of_a_verb_counts(task, verb, option, files, tmp_path, capsys):
    words, given = VERBS.get(f"{task}.{verb}", ([], {}))
    words = [word.format(files) for word in words]
    target = named(registry.resolve("task", task).verbs[verb])
    annotation, default = fields(target)[option]
    values = [given[option]] if option in given else others(target, option, annotation, default)

    def outcome(number, *more):
        place = tmp_path / str(number) / "run"
        shutil.copytree(trained(task, files, verb), place)
        more = [word.format(files, run=place) for word in more]
        return used(place, verb, [*words, *more])

    first, found = outcome(0), []
    for number, value in enumerate(values, 1):
        try:
            found.append(outcome(number, f"{option}={value}") != first)
        except ConfigError:
            continue
        if found[-1] and not choice(annotation):
            break
    assert found, "no other value was found"
    assert all(found) if choice(annotation) else any(found)
