"""Runs whose processes another program starts: who they are, and that they fail as one."""

import contextlib
import io
import os
import signal

import pytest
from forked import start, torchrun_places
from small_domains import words

from tasks.training.trainer import TrainerOptions
from zoo.cli.main import main
from zoo.errors import ConfigError
from zoo.run_folder import RunFolder
from zoo.system.launch import Launch, is_first, launch

TORCHRUN = {"RANK": 3, "LOCAL_RANK": 1, "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2}
SRUN = {"SLURM_PROCID": 2, "SLURM_STEP_NUM_TASKS": 6, "SLURM_STEP_NUM_NODES": 2}
KNOWN = {*TORCHRUN, *SRUN, "GROUP_WORLD_SIZE", "SLURM_STEP_TASKS_PER_NODE"}


@pytest.fixture
def given(monkeypatch):
    """Sets the variables of a launcher, and no others."""

    def put(variables):
        for name in KNOWN:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return put


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({}, Launch()),
        ({"LOCAL_RANK": 1}, Launch(rank=1)),
        (TORCHRUN, Launch("torchrun", 3, 4, 2, 2)),
        ({**TORCHRUN, "GROUP_WORLD_SIZE": 2}, Launch("torchrun", 3, 4, 2, 2)),
        ({**SRUN, "SLURM_STEP_TASKS_PER_NODE": "3(x2)"}, Launch("srun", 2, 6, 3, 2)),
        ({**SRUN, **TORCHRUN}, Launch("torchrun", 3, 4, 2, 2)),
        ({**SRUN, "SLURM_STEP_NUM_TASKS": 1}, Launch()),  # of its own processes
    ],
)
def test_the_environment_says_which_process_this_is(variables, place, given):
    given(variables)
    assert launch() == place
    assert is_first() == (place.rank == 0)


@pytest.mark.parametrize(
    "variables",
    [{**TORCHRUN, "GROUP_WORLD_SIZE": 3}, {**SRUN, "SLURM_STEP_TASKS_PER_NODE": "4,2"}],
)
def test_machines_with_unequal_numbers_are_refused(variables, given):
    given(variables)
    with pytest.raises(ConfigError, match="the same number on every machine"):
        launch()


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("a1", "a1"), ("gpu[07-09,12]", "gpu07"), ("a[3],b1", "a3"), ("x,y", "x")],
)
def test_the_first_machine_of_srun_is_found_by_all(nodes, first, monkeypatch):
    from zoo.system.meeting import name_first_machine

    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_STEP_NODELIST", nodes)
    ports = set()
    for taken in range(40_000, 40_100):  # of `srun` that run at a time on that machine
        monkeypatch.setenv("SLURM_SRUN_COMM_PORT", str(taken))
        monkeypatch.delenv("MASTER_PORT", raising=False)
        name_first_machine()
        ports.add(int(os.environ["MASTER_PORT"]))
    assert os.environ["MASTER_ADDR"] == first
    assert len(ports) == 100
    assert max(ports) < 32_768
    monkeypatch.setenv("MASTER_PORT", "7")
    name_first_machine()
    assert os.environ["MASTER_PORT"] == "7"


def test_auto_is_every_gpu_or_one_process_on_the_cpu(given, monkeypatch):
    given({})
    auto = TrainerOptions(max_steps=1, devices="auto", accelerator="cpu")
    assert (auto.processes, auto.on) == (1, "1 cpu (trainer.devices=auto)")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    auto = TrainerOptions(max_steps=1, devices="auto")
    assert (auto.processes, auto.on) == (4, "4 gpu (trainer.devices=auto)")
    given(TORCHRUN)
    found = TrainerOptions(max_steps=1)
    assert (found.devices, found.nodes) == (2, 2)
    assert found.on == "4 gpu on 2 machines (torchrun)"


def planted(kind):
    """In process 1 the third loss of the graph network sends a signal, or finds no memory."""
    from tasks.gnn.task import NodeClassification

    loss, calls = NodeClassification.loss, iter(range(10**6))

    def struck(self, *given):
        if os.environ["RANK"] == "1" and next(calls) == 2:
            if kind == "memory":
                raise MemoryError("out of memory")
            signal.raise_signal(signal.SIGTERM)
        return loss(self, *given)

    NodeClassification.loss = struck


def rank(commands, place, out):
    """One process of some runs, each of them under a torchrun of its own."""
    from zoo.system import meeting

    os.environ.update(place)
    os.cpu_count = lambda: 2
    for number, (plant, command) in enumerate(commands):
        os.environ["TORCHELASTIC_RESTART_COUNT"] = str(number)  # keeps their meetings apart
        meeting.stores.clear()
        if plant:
            planted(plant)
        told = io.StringIO()
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(told):
            code = main(command)
        errors = [line for line in told.getvalue().splitlines() if "error" in line]
        with out.open("a") as file:
            print(code, *errors, sep="|", file=file)
    os._exit(0)


def test_processes_end_alike_and_say_why_once(tmp_path):
    def fit(name, *more):
        return ["fit", *words("gnn", "trainer.max_steps=50", *more), f"run.dir={tmp_path / name}"]

    common = {
        "one process": (2, None, ["compare", "task=gnn"], "torchrun starts the processes of a run"),
        "number": (2, None, fit("number", "trainer.devices=3"), "there is a device for each"),
        "missing": (3, None, fit("missing"), "process 1: "),
        "other": (3, None, fit("other"), "process 1 has read other data"),
        "signal": (143, "signal", fit("signal"), ""),
        "lost": (6, "memory", fit("lost"), "process 1 of 2 was lost (out of memory)"),
    }
    commands = [[(plant, command) for _, plant, command, _ in common.values()] for _ in range(2)]
    commands[1][2] = None, ["fit", "task=gnn", "data=npz", f"data.path={tmp_path / 'none.npz'}"]
    commands[1][3] = None, fit("other", "data.train=100")
    told = [tmp_path / f"{number}.txt" for number in range(2)]
    places = torchrun_places(2)
    ranks = [start(rank, *each) for each in zip(commands, places, told, strict=True)]
    for process in ranks:
        process.join()
    first, second = (file.read_text().splitlines() for file in told)
    for (code, _, _, said), one, other in zip(common.values(), first, second, strict=True):
        assert other == str(code)
        assert one.startswith(str(code))
        assert one.count("zoo: error:") == (1 if said else 0)
        assert said in one
    assert RunFolder(tmp_path / "signal").result()["status"] == "interrupted"
    assert RunFolder(tmp_path / "lost").result()["status"] == "failed"
