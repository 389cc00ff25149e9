"""The pages of `--help`: whole, true to the files, and quick because nothing heavy is imported."""

import inspect
import subprocess
import sys

import pytest

from zoo.cli.main import main, split
from zoo.cli.usage import USAGES
from zoo.cli.verbs import VERBS
from zoo.compare.design.script import Script
from zoo.compare.design.spec import Comparison
from zoo.config import registry, source_code
from zoo.config.options import as_word


def page(capsys, *words):
    assert main(words) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_every_verb_has_a_page_that_all_three_spellings_print(capsys):
    assert USAGES.keys() == VERBS.keys()
    for verb, usage in USAGES.items():
        text = page(capsys, verb, "--help")
        assert text == page(capsys, "-h", verb) == page(capsys, "help", verb)
        assert usage.about in text
        assert max(map(len, text.splitlines())) <= 100
        assert page(capsys, "--help").count(f"\n  {verb} ") == 1


@pytest.mark.parametrize("task", registry.names("task"))
def test_a_page_shows_every_option_of_a_task_with_the_value_that_show_gives(task, capsys):
    from zoo.config.compose import load
    from zoo.config.tree import flatten

    text = page(capsys, "fit", f"task={task}", "--help")
    config, _ = load([f"task={task}"])
    for key, value in flatten(config.plain()).items():
        key = key.removeprefix("choices.")
        if key != "trainer":
            assert any(
                line.startswith(f"  {key}={as_word(value)}") for line in text.splitlines()
            ), key


def test_a_page_shows_the_options_of_a_chosen_rule(capsys):
    text = page(capsys, "fit", "task=gnn", "connection=hyper", "--help")
    assert "  connection.streams=4" in text


def test_options_are_read_from_source_as_they_are_imported():
    targets = [Comparison, Script]
    for task in registry.names("task"):
        verbs = registry.resolve("task", task).verbs
        assert (source_code.constant(registry.class_path("task", task), "verbs") or {}) == verbs
        for dotted in verbs.values():
            module, _, name = dotted.rpartition(".")
            targets.append(getattr(__import__(module, fromlist=[name]), name))
    for target in targets:
        dotted = f"{target.__module__}.{target.__qualname__}"
        parameters = inspect.signature(target).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        assert source_code.defaults(dotted) == defaults
        assert source_code.meanings(source_code.docstring(dotted)).keys() == defaults.keys()


def test_no_page_imports_anything_heavy():
    code = (
        "import sys; from zoo.cli.main import main; from zoo.cli.verbs import VERBS\n"
        "for verb in VERBS: main([verb, 'task=cnn', '--help'])\n"
        "sys.exit(str([m for m in ('torch', 'numpy', 'hydra', 'pydantic') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "[]\n"


def test_the_examples_of_the_pages_are_accepted():
    from zoo.config.compose import load

    for verb, usage in USAGES.items():
        for words in usage.examples:
            _, named, rest = split([verb, *words.split()])
            assert named == verb
            if verb in ("fit", "show") and "from=FOLDER" not in rest:
                assert load(rest)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit", "task=gnn", "form=x"], "did you mean from?"),
        (["compare", "taks=gnn"], "did you mean task?"),
        (["fit", "task=GNN"], "did you mean gnn?"),
        (["fit", "help"], "VERB --help lists the keys"),
    ],
)
def test_a_slip_is_answered_with_the_one_word_that_was_meant(words, said, capsys):
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(said)


def test_a_page_says_what_follows_its_verb(capsys):
    assert page(capsys, "report", "--help").startswith("usage: python -m zoo report FOLDER ...")
    assert page(capsys, "list", "--help").startswith("usage: python -m zoo list [GROUP]\n")
