"""Two agents of torchrun on this machine: over loopback, and as two machines with a cable."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import until
from small_runs import ROOT, SMALL, rows, weights

from zoo.cli.main import main
from zoo.run_folder import RunFolder

pytestmark = pytest.mark.slow
SPACES = [f"zoo{os.getpid()}-{number}" for number in range(2)]
GIVEN = [
    *SMALL,
    "logger=none",
    "trainer.accelerator=cpu",
    "trainer.log_every=2",
    "model.norm=batch",
]


def ip(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True)


@contextlib.contextmanager
def namespaces():
    """Two network namespaces, joined by a pair of devices; skips where they cannot be made."""
    if not shutil.which("ip") or os.geteuid():
        pytest.skip("network namespaces need root and the command ip")
    try:
        with contextlib.suppress(FileExistsError):
            for name in SPACES:
                ip("netns", "add", name)
        ends = [f"zv{os.getpid() % 10**6}{end}" for end in "ab"]
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for number, (name, end) in enumerate(zip(SPACES, ends, strict=True)):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"10.99.0.{number + 1}/24", "dev", end)
            for device in (end, "lo"):
                ip("-n", name, "link", "set", device, "up")
        befores = [["ip", "netns", "exec", name] for name in SPACES]
        yield "10.99.0.1", befores, [{"GLOO_SOCKET_IFNAME": end} for end in ends]
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    finally:
        for name in SPACES:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)


@contextlib.contextmanager
def loopback():
    yield "127.0.0.1", [[], []], [{}, {}]


@pytest.fixture(params=[loopback, namespaces], ids=lambda each: each.__name__)
def network(request):
    with request.param() as made:
        yield made


def agents(network, home, *words):
    """The processes of two agents of torchrun, each with one process of a run."""
    address, befores, more = network
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for number, (before, variables) in enumerate(zip(befores, more, strict=True)):
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2"]
        torchrun += ["--nproc-per-node=1", f"--node-rank={number}"]
        torchrun += [f"--master-addr={address}", f"--master-port={port}"]
        with (home / f"agent{number}.txt").open("a") as told:
            yield subprocess.Popen(
                [*before, *torchrun, "-m", "zoo", "fit", *words],
                env={**os.environ, **variables, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdout=told,
                stderr=told,
            )


def ended(processes, home):
    """The exit codes of two agents; what they said is shown where a test fails."""
    codes = [process.wait(timeout=300) for process in processes]
    for file in sorted(home.glob("agent*.txt")):
        print(file.read_text()[-3000:])
    return codes


def test_two_machines_are_one_of_two_processes_and_go_on_in_one(network, tmp_path):
    """Bit for bit; a signal to the agents ends both processes, and one goes on."""
    run, long = tmp_path / "run", ["trainer.max_steps=100000"]
    both = [*agents(network, tmp_path, *GIVEN, f"run.dir={run}")]
    assert ended(both, tmp_path) == [0, 0]
    result = RunFolder(run).result()
    assert result["devices"] == {"processes": 2, "machines": 2, "kind": "cpu"}
    said = [(tmp_path / f"agent{number}.txt").read_text() for number in range(2)]
    assert [text.count("run folder") for text in said] == [1, 0]
    one = [sys.executable, "-m", "zoo", "fit", *GIVEN, f"run.dir={tmp_path / 'one'}"]
    subprocess.run([*one, "trainer.devices=2"], env=os.environ, check=True)
    assert rows(run) == rows(tmp_path / "one")
    first, second = weights(run), weights(tmp_path / "one")
    assert all(torch.equal(first[name], second[name]) for name in first)

    cut = tmp_path / "cut"
    both = [*agents(network, tmp_path, *GIVEN, *long, f"run.dir={cut}")]
    until(lambda: (cut / "metrics.jsonl").is_file() and Path(cut / "metrics.jsonl").read_text())
    for process in both:
        process.send_signal(signal.SIGTERM)
    ended(both, tmp_path)  # torchrun has an exit code of its own
    result = RunFolder(cut).result()
    assert result["status"] == "interrupted"
    steps = result["steps"] + 2
    assert main(["fit", f"from={cut}", f"trainer.max_steps={steps}"]) == 0
    assert RunFolder(cut).result()["steps"] == steps
