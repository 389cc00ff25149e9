"""Classes of another package that lack part of what a run asks for: one line, and no folder."""

import pytest
from other_package import installed

from tasks.training import protocols
from tasks.training.contract import BESIDE
from tasks.training.lacking import lacking, members
from zoo.cli.main import main
from zoo.config import registry
from zoo.run_folder import RunFolder

DATA = """
from tasks.data.graphs.dataset import Graph
from tasks.data.graphs.csbm import CSBM
class Bare: pass
class Silent:
    def load(self): return CSBM().load()
class Liar:
    def load(self) -> Graph: return [1, 2]
class Own:
    def __init__(self, **made): self.__dict__.update(made)
class Empty:
    def load(self) -> Own: return Own()
class Halved:
    def load(self) -> Own:
        say = lambda: "x"
        return Own(parts={"train": [0], "val": [1]}, notes=[], summary=say, digest=say)
class Pathless:
    def __init__(self, path: str): pass
    def load(self) -> Own: return Own()
class Asking:
    def load(self, path) -> Own: return Own()
class Barren(Halved):
    def load(self) -> Own:
        made = super().load()
        made.parts["test"] = [2]
        return made
class Listed(Halved):
    def load(self) -> Own:
        made = super().load()
        made.parts = [[0], [1], [2]]
        return made
"""
TASKS = """
from typing import ClassVar
from tasks.gnn.task import NodeClassification
from tasks.training.module import Task
from lab.data import Own
class Stranger:
    def __init__(self, *args, drop_edge: float = 0.0): pass
class Unsaid(NodeClassification):
    data_type = object
class Worded(NodeClassification):
    primary = "accuracy"
class Idle(Task):
    data_type = Own
    def __init__(self, *args, drop_edge: float = 0.0): pass
class Owning(NodeClassification):
    data_type = Own
    verbs: ClassVar[dict[str, str]] = {}
class Alike(NodeClassification):
    pass
class Lossless(NodeClassification):
    def loss(self, batch, shard): return None
class Uncounted(NodeClassification):
    def eval_sums(self, batch): return {"loss": super().eval_sums(batch)["loss"]}
class Promising(NodeClassification):
    primary = ("fame", True)
class Unloaded(NodeClassification):
    def loader(self, part): return []
class Endless(NodeClassification):
    def batches_per_pass(self): return None
class Unmade(NodeClassification):
    def __init__(self, make_model, data, optimizer, seed, drop_edge: float = 0.0): pass
"""
MODELS = """
from torch import nn
from zoo.models.gnn import GNN
class Flat(nn.Module):
    def __init__(self, *args, **more): super().__init__()
class Closed(nn.Module):
    def __init__(self, depth: int = 1, *, features, classes, norm_placement): super().__init__()
class Plain:
    def __init__(self, *args, depth: int = 1, **more): pass
"""
REST = {  # kinds beside those, and a class of each that lacks something
    "connection": "class Unwritten(Connection): pass\nclass Foreign:\n    def write(self): pass",
    "norm": "class Halfway(Placement):\n    post = None",
    "init": "class Inert: pass",
    "optimizer": "class Stuck: pass",
    "logger": "class Mute(NoLogger):\n    row = None",
    "diagnostics": "class Blind(NoDiagnostics):\n    record = None",
}
IMPORTS = """
from tasks.training.diagnostics import NoDiagnostics
from tasks.training.loggers import NoLogger
from zoo.connection import Connection
from zoo.norm import Placement
"""
LACKS = {
    "no load": (["data=bare"], "lab.data.Bare lacks load"),
    "a load that says nothing": (["data=silent"], "lab.data.Silent lacks the class that load"),
    "a load that gives something else": (["data=liar"], "lab.data.Liar lacks what its load"),
    "data without members": (["task=owning", "data=empty"], "lacks parts, notes, summary, digest"),
    "data without a part": (["task=owning", "data=halved"], "lab.data.Own lacks test in parts"),
    "parts in a list": (["task=owning", "data=listed"], "lacks train, val, test in parts"),
    "data that cannot be made": (
        ["task=owning", "data=pathless"],
        "Pathless lacks a default",
    ),
    "a load that asks": (["task=owning", "data=asking"], "lab.data.Asking lacks a load that takes"),
    "data without what the task reads": (["task=owning", "data=barren"], "lab.data.Own lacks x"),
    "a task without a loss": (["task=lossless"], "lab.tasks.Lossless lacks one number"),
    "sums without a count": (
        ["task=uncounted"],
        "lab.tasks.Uncounted lacks loss and count in eval_sums",
    ),
    "a metric that is not there": (
        ["task=promising"],
        "lab.tasks.Promising lacks fame",
    ),
    "a task without batches": (["task=unloaded"], "lab.tasks.Unloaded lacks a batch from loader"),
    "a pass without end": (["task=endless"], "lab.tasks.Endless lacks a number of at least 1"),
    "a task that is not made": (
        ["task=unmade"],
        "lab.tasks.Unmade lacks the call",
    ),
    "a model without a rule": (
        ["model=closed"],
        "lab.models.Closed (Closed.__init__() got",
    ),
    "no task at all": (["task=stranger"], "lab.tasks.Stranger lacks the base class"),
    "a task that takes nothing": (["task=unsaid"], "lab.tasks.Unsaid lacks data_type"),
    "a metric without direction": (["task=worded"], "lab.tasks.Worded lacks primary"),
    "a task without methods": (["task=idle", "data=halved"], "lab.tasks.Idle lacks batches_per"),
    "a model without depth": (["model=flat"], "lab.models.Flat lacks the option depth"),
    "a model that is no module": (["model=plain"], "lab.models.Plain lacks the base class"),
    "a rule that writes nothing": (["connection=unwritten"], "Unwritten lacks write"),
    "a rule that is none": (["connection=foreign"], "lacks the base class zoo.connection.Conn"),
    "a placement without an end": (["norm=halfway"], "lab.norms.Halfway lacks post"),
    "an init that does nothing": (["init=inert"], "lab.inits.Inert lacks apply"),
    "an optimiser that builds none": (["optimizer=stuck"], "lab.optimizers.Stuck lacks build"),
    "a logger that takes no rows": (["logger=mute"], "lab.loggers.Mute lacks row"),
    "diagnostics without a record": (["diagnostics=blind"], "Blind lacks record"),
}


@pytest.fixture
def lab(tmp_path):
    """A package with configurations for all classes above."""
    package = tmp_path / "lab"
    rest = {group: IMPORTS + text for group, text in REST.items()}
    for group, text in {"data": DATA, "task": TASKS, "model": MODELS, **rest}.items():
        module = group if group == "data" else f"{group}s"
        (package / "configs" / group).mkdir(parents=True)
        (package / f"{module}.py").write_text(text)
        for line in text.splitlines():
            name = line.removeprefix("class ").partition("(")[0].partition(":")[0]
            if line.startswith("class "):
                content = f"class: lab.{module}.{name}\n"
                if group == "task":
                    usual = registry.find("task", "gnn").read_text()
                    content = usual.replace(
                        "tasks.gnn.task.NodeClassification", f"lab.tasks.{name}"
                    )
                    if name in ("Stranger", "Idle", "Unmade"):  # with an option of their own
                        before, drop_edge, others = content.partition("drop_edge: 0.0")
                        content = before + drop_edge + "\n" + others[others.index("trainer:") :]
                if name in ("Plain", "Closed"):
                    content += "depth: 1\n"
                (package / "configs" / group / f"{name.lower()}.yaml").write_text(content)
    for folder in (package, package / "configs"):
        (folder / "__init__.py").touch()
    with installed(package):
        yield


@pytest.mark.parametrize("case", LACKS)
def test_a_lack_is_one_line_that_names_class_and_member(case, lab, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words, hint = LACKS[case]
    task = [] if words[0].startswith("task=") else ["task=gnn"]
    logger = [] if words[0].startswith("logger=") else ["logger=none"]
    assert main(["fit", *task, *words, *logger]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert hint in line
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("group", [*BESIDE, "task", "data"])
def test_every_class_of_the_zoo_has_what_its_kind_must_have(group):
    kinds = {**BESIDE, "task": protocols.TaskClass, "data": protocols.DataSource}
    for name in registry.names(group):
        found = registry.resolve(group, name)
        assert lacking(found, kinds[group]) == []
        for member in members(kinds[group]):  # and all of it is asked for
            less = type("Less", (found,), {member: None})
            assert lacking(less, kinds[group]) == [member]


def test_a_run_is_the_same_after_it_was_asked(lab, tmp_path, monkeypatch, capsys):
    """The task of another package, which is tried before its run, trains as ours does."""
    small = ["data.nodes=60", "data.train=20", "data.val=20", "model.depth=2", "model.dropout=0.5"]
    small += ["trainer.max_steps=3", "logger=none", "task.drop_edge=0.3"]
    for task in ("gnn", "alike"):
        assert main(["fit", f"task={task}", *small, f"run.dir={tmp_path / task}"]) == 0
    ours, theirs = (RunFolder(tmp_path / task).result() for task in ("gnn", "alike"))
    assert ours["metrics"] == theirs["metrics"]
