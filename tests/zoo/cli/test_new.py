"""Skeletons of one's own: they run as they are written, and nothing that exists is lost."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.cli import new
from zoo.cli.main import main
from zoo.config import registry

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "tasks/README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder):
    """Every file below a folder with its content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written():
    """The files in the rooms of the zoo that may be those of a skeleton."""
    rooms = [ROOT / name for name in ("zoo", "tasks", "configs", "tests")]
    return {path for room in rooms for path in room.rglob("*tides*")}


def environment(folder):
    """The variables of an environment in a folder that sees all packages of this one."""
    home = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    above = [path for path in sys.path if path.endswith("site-packages")]
    (site / "above.pth").write_text(
        "".join(f"import site; site.addsitedir({p!r})\n" for p in above)
    )
    paths = {"PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    quiet = {"PIP_NO_INDEX": "1", "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **paths, **quiet}


def done(words, folder, env):
    """What a command of a shell prints; it must succeed."""
    run = subprocess.run(words, shell=True, cwd=folder, env=env, capture_output=True, text=True)
    assert run.returncode == 0, f"{words}\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}"
    return run.stdout


def test_the_worked_example_of_the_page_runs_as_it_stands_there(tmp_path):
    """From `new` over data of one's own to a comparison, in an environment of its own."""
    env, printed = environment(tmp_path), ""
    for language, text in BLOCK.findall(PAGE):
        if language == "python":
            source = tmp_path / "lab/src/lab/data/wine.py"
            above, mark, _ = source.read_text().partition("class Wine:\n")
            assert mark
            source.write_text(above + text)
        elif language == "yaml":
            (tmp_path / "lab/src/lab/configs/data/wine.yaml").write_text(text)
        else:
            printed += done(f"set -e\n{text}", tmp_path, env)
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/wine-*/result.json")]
    assert [(each["connection"], each["depth"]) for each in results] == [("rezero", 16)]
    assert results[0]["examples"] == {"train": 100, "val": 40, "test": 38}
    assert "wine, depth 16" in printed
    assert len([*tmp_path.glob("runs/compare-*/report.html")]) == 1


def test_skeletons_of_a_package_pass_their_tests_as_written(outside):
    """Also where the package is found by its metadata alone."""
    for kind in ("connection", "model", "data"):
        assert main(["new", kind, "tides", "package=lab"]) == 0
    about = outside / "path" / "lab-0.1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[zoo.configs]\nlab = lab.configs\n")
    paths = os.pathsep.join(map(str, (ROOT, about.parent, outside / "lab" / "src")))
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    assert "6 passed" in done(f"{sys.executable} -m pytest -q lab", outside, env)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of this checkout with a skeleton of every kind in it."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("zoo", "tasks", "configs", "tests"):
        leave = shutil.ignore_patterns("__pycache__", "old_runs")
        shutil.copytree(ROOT / name, root / name, ignore=leave)
    shutil.copy(ROOT / "pyproject.toml", root)
    env = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    before = files(root)
    printed = [
        json.loads(done(f"{sys.executable} -m zoo --json new {kind} {name}", root, env))
        for kind, name in (("connection", "momenta"), ("model", "tides"), ("data", "stripes"),
                           ("task", "spirals"))
    ]  # fmt: skip
    return root, env, before, printed


def test_what_was_written_is_listed_and_all_else_is_as_before(checkout):
    root, _, before, printed = checkout
    after = {p: text for p, text in files(root).items() if "__pycache__" not in p.parts}
    listed = [name for record in printed for name in record["written"]]
    assert {str(path.relative_to(root)) for path in after.keys() - before.keys()} == {*listed}
    assert before == {path: after[path] for path in before}
    assert "tasks/spirals/task.py" in listed
    assert "tests/tasks/spirals/test_spirals_task.py" in listed


def test_skeletons_of_the_zoo_keep_its_laws(checkout):
    root, env, _, printed = checkout
    here = f"{sys.executable} -m"
    made = [name for record in printed for name in record["written"] if name.endswith(".py")]
    python = " ".join(made)
    done(f"{here} ruff check {python} && {here} ruff format --check {python}", root, env)
    names = "momenta or tides or stripes or spirals"
    tests = [name for name in made if "/test_" in name]
    laws = ["tests/zoo/config/test_registry.py", "tests/test_laws.py"]
    words = f'-n 0 -q -x -p no:cacheprovider -k "{names}" {" ".join([*tests, *laws])}'
    (passed,) = re.findall(r"(\d+) passed", done(f"{here} pytest {words}", root, env))
    assert int(passed) > 50


SLIPS = {
    "no kind": ([], "connection, model, data, task: one of them and a name"),
    "no name": (["task"], "write new KIND NAME [package=DIR]"),
    "two names": (["task", "tides", "winds"], "too many words"),
    "a kind of another name": (["dataset", "tides"], "unknown kind 'dataset'"),
    "a slip": (["conection", "tides"], "did you mean connection?"),
    "another key": (["task", "tides", "pakage=lab"], "did you mean package?"),
    "a path": (["task", "my/tides", "package=lab"], "a folder is given by package=DIR"),
    "a path above": (["task", "../tides", "package=lab"], "is no name"),
    "capitals": (["connection", "MyRule", "package=lab"], "did you mean my_rule?"),
    "a dash": (["connection", "my-rule", "package=lab"], "did you mean my_rule?"),
    "a number": (["model", "3d", "package=lab"], "'3d' is no name"),
    "a keyword": (["model", "lambda", "package=lab"], "'lambda' is no name"),
    "a word of YAML": (["model", "null", "package=lab"], "'null' is no name"),
    "no letters": (["model", "", "package=lab"], "'' is no name"),
    "letters of a terminal": (["model", "a\x1b[31m", "package=lab"], "is no name"),
    "a long name": (["model", "a" * 41, "package=lab"], "is no name"),
    "a registered name": (["task", "gnn", "package=lab"], "model 'gnn' is registered"),
    "a rule that is there": (["connection", "rezero"], "connection 'rezero' is registered"),
    "a room of the zoo": (["task", "training"], "it is there already -- "),
    "a file of the zoo": (["connection", "streams"], "it is there already -- "),
    "a class of the file": (["task", "task", "package=lab"], "Task means something else"),
    "another package": (["model", "tides", "package=torch"], "torch is another package"),
    "the zoo's package": (["model", "tides", "package=zoo"], "zoo is another package"),
    "a file for a folder": (["model", "tides", "package=file"], "a file is there"),
    "a file on the way": (["model", "tides", "package=file/lab"], "file"),
    "a folder of files": (["model", "tides", "package=full"], "files and no pyproject.toml"),
    "a package of its own": (["model", "tides", "package=other"], "no folder of configurations"),
    "broken TOML": (["model", "tides", "package=broken"], "cannot be read"),
    "a name for no package": (["model", "tides", "package=My.Lab"], "is no name of a package"),
    "an empty path": (["model", "tides", "package="], "the path is empty"),
}


@pytest.mark.parametrize("case", SLIPS)
def test_a_slip_is_one_line_and_nothing_is_written(case, outside, capsys):
    for name, text in {"full/a.py": "", "other/pyproject.toml": "[project]\nname = 'other'\n",
                       "broken/pyproject.toml": "[project\n", "file": ""}.items():  # fmt: skip
        (outside / name).parent.mkdir(exist_ok=True)
        (outside / name).write_text(text)
    there, words, hint = files(outside), *SLIPS[case]
    before = written()
    assert main(["new", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert hint in line
    assert line.isprintable()
    assert files(outside) == there
    assert written() == before


def test_nothing_that_exists_is_overwritten(outside, capsys):
    assert main(["new", "task", "tides", "package=lab"]) == 0
    (outside / "lab/src/lab/models/tides.py").write_text("# mine\n")
    before = files(outside)
    for kind in ("task", "model", "data"):
        assert main(["new", kind, "tides", "package=lab"]) == 2
        assert "it is there already -- lab/src/lab/" in capsys.readouterr().err
    assert main(["new", "connection", "tides", "package=lab"]) == 0  # of another kind
    assert files(outside).items() > before.items()


def test_where_one_file_cannot_be_written_none_is(outside, capsys):
    assert main(["new", "model", "tides", "package=lab"]) == 0
    (outside / "lab/src/lab/connections").write_text("a file where a folder should be")
    before = files(outside)
    assert main(["new", "connection", "winds", "package=lab"]) == 2
    assert files(outside) == before
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_package_that_is_there_is_extended_where_it_lies(outside, capsys):
    (outside / "mine" / "my_lab").mkdir(parents=True)
    project = '[project.entry-points."zoo.configs"]\nmine = "my_lab.settings"\n'
    (outside / "mine/pyproject.toml").write_text(project)
    (outside / "mine/my_lab/__init__.py").write_text("'mine'")
    assert main(["new", "connection", "tides", "package=mine"]) == 0
    assert (outside / "mine/my_lab/__init__.py").read_text() == "'mine'"
    assert (outside / "mine/pyproject.toml").read_text() == project
    settings = (outside / "mine/my_lab/settings/connection/tides.yaml").read_text()
    assert settings.startswith("class: my_lab.connections.tides.Tides\n")
    assert "python -m pip install --no-build-isolation -e mine" in capsys.readouterr().out


def test_an_installed_zoo_asks_for_a_package(outside, monkeypatch, capsys):
    monkeypatch.setattr(registry, "ZOO", outside / "site" / "zoo")
    assert main(["new", "model", "tides"]) == 2
    assert "add package=DIR" in capsys.readouterr().err


def test_every_kind_that_is_offered_has_its_files():
    for kind, groups in new.KINDS.items():
        there = {path.name for path in (new.TEMPLATES / kind).iterdir()}
        assert there == {f"{g}.{e}.txt" for g in groups for e in ("py", "yaml")} | {"test.py.txt"}
