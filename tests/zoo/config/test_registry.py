"""The YAML files are the registration: they agree with the classes, and only ours are built."""

import inspect
import re
import subprocess
import sys

import pytest
import torch
import yaml
from other_package import installed

from zoo.config import catalogue, registry
from zoo.config.yaml_file import read_yaml
from zoo.connection import Connection, Site
from zoo.errors import ConfigError

NAMED = [
    (group, name)
    for group in (*registry.GROUPS, "engine")
    if group != "preset"
    for name in registry.names(group)
]


@pytest.mark.parametrize(("group", "name"), NAMED)
def test_yaml_lists_every_option_with_the_constructors_default(group, name):
    parameters = inspect.signature(registry.resolve(group, name)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert registry.options(group, name) == defaults


@pytest.mark.parametrize(("group", "name"), NAMED)
def test_defaults_pass_their_own_check(group, name):
    options = registry.options(group, name)
    assert registry.check(group, name, options) == options


@pytest.mark.parametrize("name", registry.names("connection"))
def test_every_connection_is_described(name):
    entry = next(entry for entry in catalogue.group("connection") if entry["name"] == name)
    assert all(entry[label.lower()] for label in catalogue.FIELDS)
    assert re.search(r"arXiv:|doi:|https://", entry["source"])


@pytest.mark.parametrize("name", registry.names("connection"))
def test_connections_are_built_without_yaml(name):
    rule = registry.resolve("connection", name)(Site(width=4))
    assert isinstance(rule, Connection)
    assert rule.close(rule.open(torch.ones(2, 4))).shape == (2, 4)


@pytest.fixture
def lab(tmp_path):
    """A package of somebody else with its folder of configurations."""
    package = tmp_path / "lab"
    (package / "configs" / "connection").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "rules.py").write_text(
        "from zoo.connections.additive import Residual\n"
        "class Half(Residual):\n"
        "    def write(self, state, y, mix):\n"
        "        return state + y / 2\n"
    )
    with installed(package):
        yield package


def test_another_package_adds_a_connection(lab):
    (lab / "configs" / "connection" / "half.yaml").write_text("class: lab.rules.Half\n")
    assert "half" in registry.names("connection")
    rule = registry.build("connection", "half", Site(width=2))
    assert rule.write(torch.ones(2), torch.ones(2), None).tolist() == [1.5, 1.5]
    from zoo.config.compose import load

    config, _ = load(["task=gnn", "connection=half"])
    assert config.choices["connection"] == "half"


@pytest.mark.fault(5)
@pytest.mark.parametrize(
    "dotted", ["os.system", "zoo.connections.additive.Residual", "builtins.eval"]
)
def test_a_file_names_only_classes_of_its_own_package(lab, dotted):
    (lab / "configs" / "connection" / "bad.yaml").write_text(f"class: {dotted}\n")
    with pytest.raises(ConfigError, match="outside lab"):
        registry.resolve("connection", "bad")


@pytest.mark.parametrize(
    "dotted", ["lab.rules.Residual", "lab.rules.nothing", "lab.rules.__name__"]
)
def test_a_file_names_only_classes_that_are_defined_there(lab, dotted):
    (lab / "configs" / "connection" / "bad.yaml").write_text(f"class: {dotted}\n")
    with pytest.raises(ConfigError, match="no class"):
        registry.resolve("connection", "bad")


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\n\tb: 2\n", ":2"),
        ("a: 1\na: 2\n", "given twice"),
        ("<<<<<<< ours\na: 1\n=======\na: 2\n", "broken YAML"),
        ("", "no mapping"),
        ("- 1\n", "no mapping"),
        ("a: !!python/object/apply:os.system ['true']\n", "broken YAML"),
    ],
)
def test_broken_yaml_is_named_by_file_and_line(tmp_path, text, words):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_yaml(path)
    assert "broken.yaml" in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="broken YAML"):
        read_yaml(path)


def preset_defaults(name):
    return read_yaml(registry.find("preset", name)).get("defaults", [])


def task_of(preset):
    """The first task that a preset is for; one without a list is for every task."""
    bound = read_yaml(registry.find("preset", preset)).get("preset", {})
    return bound.get("tasks", registry.names("task"))[0]


@pytest.mark.parametrize("name", registry.names("preset"))
def test_presets_compose(name):
    from zoo.config.compose import load

    config, _ = load([f"task={task_of(name)}", f"preset={name}"])
    file = read_yaml(registry.find("preset", name))
    for group, options in file.items():
        if group not in ("defaults", "preset"):
            assert options.items() <= config.sections[group].items()


RULED = [  # presets that choose a rule
    name
    for name in registry.names("preset")
    if any("override /connection" in entry for entry in preset_defaults(name))
]


@pytest.mark.parametrize("preset", RULED)
@pytest.mark.parametrize("name", ["hyper", "residual", "scaled", "skip_init"])
def test_options_of_a_preset_are_not_for_another_rule(preset, name):
    from zoo.config.compose import load

    content = registry.read_yaml(registry.find("preset", preset))
    config, _ = load([f"task={task_of(preset)}", f"preset={preset}", f"connection={name}"])
    if {"override /connection": name} not in content["defaults"]:
        assert config.sections["connection"] == registry.options("connection", name)


def test_the_command_line_wins_over_a_file(tmp_path):
    from zoo.config.compose import load

    path = tmp_path / "mine.yaml"
    path.write_text("task: gnn\nconnection: plain\nseed: 4\n")
    config, _ = load([f"config={path}", "connection=hyper"])
    assert config.choices["connection"] == "hyper"
    assert config.seed == 4


def test_options_of_a_file_are_not_for_another_choice(tmp_path):
    from zoo.config.compose import load

    path = tmp_path / "mine.yaml"
    chosen = "task: gnn\nchoices: {connection: rezero}\nconnection: {alpha: 0.5}\n"
    path.write_text(chosen + "model: {depth: 9}\n")
    config, _ = load([f"config={path}", "model.depth=7", "connection=skip_init"])
    assert config.sections["connection"]["alpha"] == 0.0
    assert config.sections["model"]["depth"] == 7
    again, _ = load([f"config={path}", "connection=rezero"])
    assert again.sections["connection"]["alpha"] == 0.5
    assert again.sections["model"]["depth"] == 9


def test_a_name_can_be_registered_for_this_process():
    from zoo.connections.additive import Residual

    before = registry.names("connection")
    with pytest.raises(ConfigError, match="taken"):
        registry.register("connection", "residual", Residual)
    with pytest.raises(ConfigError, match="did you mean connection"):
        registry.register("conection", "mine", Residual)
    for _ in range(2):  # as when a cell of a notebook runs again
        registry.register("connection", "mine", Residual)
    try:
        assert set(registry.names("connection")) == {*before, "mine"}
        assert registry.build("connection", "mine", Site(width=2)).init_equals == "residual"
    finally:
        registry.homes().pop(registry.SESSION.pop(("connection", "mine")))
    assert registry.names("connection") == before


def test_branch_digest_takes_scalars():
    from zoo.seeding import branch_digest

    module = torch.nn.Module()
    module.scale = torch.nn.Parameter(torch.tensor(1.0))
    assert len(branch_digest(module)) == 64


IMPORTS = {
    "import zoo": ["torch", "hydra", "omegaconf", "pydantic", "yaml"],
    "from zoo.cli.main import main; main(['--help'])": ["torch", "hydra", "yaml"],
    "from zoo.cli.main import main; main(['list', 'connection'])": ["torch", "hydra"],
    "import zoo; zoo.Stack, zoo.mixing, zoo.redraw": [
        "hydra",
        "pytorch_lightning",
        "torch_geometric",
        "diffusers",
        "wandb",
        "matplotlib",
    ],
}


@pytest.mark.parametrize("code", IMPORTS)
def test_imports_stay_light(code):
    check = f"{code}\nimport sys\nprint([m for m in {IMPORTS[code]} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_config_knows_hydra_and_zoo_never_knows_tasks():
    import ast

    for path in registry.ZOO.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
        assert "tasks" not in names, path
        assert "pytorch_lightning" not in names, path
        assert path.parent.name == "config" or not names & {"hydra", "omegaconf"}, path


def test_show_is_enough_to_repeat_a_configuration(tmp_path, capsys):
    from zoo.cli.main import main
    from zoo.config.compose import load

    assert main(["show", "task=gnn", "preset=gcnii", "connection=hyper", "model.depth=5"]) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    again, _ = load([f"config={path}"])
    assert again.plain() == yaml.safe_load(path.read_text())
    changed, _ = load([f"config={path}", "connection=scaled", "seed=3"])
    assert changed.sections["connection"] == registry.options("connection", "scaled")
    assert changed.sections["model"]["depth"] == 5
    assert changed.seed == 3


@pytest.mark.parametrize(
    ("signature", "yaml_text", "words"),
    [
        ("self, site, half=0.5", "half: 0.5", "has no type"),
        ("self, site, half: float = 0.5", "", "is not listed"),
        ("self, site, half: float = 0.5", "half: 0.5\nquarter: 1", "unknown option"),
    ],
)
def test_a_rule_and_its_file_that_do_not_agree(lab, signature, yaml_text, words):
    (lab / "rules.py").write_text(
        "from zoo.connections.additive import Residual\n"
        "class Half(Residual):\n"
        f"    def __init__({signature}):\n"
        "        super().__init__(site)\n"
    )
    path = lab / "configs" / "connection" / "half.yaml"
    path.write_text(f"class: lab.rules.Half\n{yaml_text}\n")
    with pytest.raises(ConfigError, match=words):
        registry.check("connection", "half", registry.options("connection", "half"))
