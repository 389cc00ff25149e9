"""A worker and a parent of stub cells, for tests of leases and kills: python stub_compare.py.

The words of a parent: its folder, the number of cells, the share of kills, and the engine.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

from tasks.worker.main import die_with_parent
from zoo.compare.execution.engine import Terms
from zoo.compare.execution.engines.local import LocalEngine
from zoo.compare.execution.job import Job
from zoo.compare.execution.schedule import Tally, run_all
from zoo.compare.execution.store import Store
from zoo.config import registry


def worker(kills):
    """Answers requests; some, drawn by chance, kill it before or after the result is written.

    Runs that come together are noted in the file `together` beside their folders, and one among
    them whose name begins with `fatal` kills it.
    """
    die_with_parent()
    draws = random.Random(os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        if runs := request.get("runs"):
            names = [run["config"]["name"] for run in runs]
            with (Path(runs[0]["folder"]).parent / "together").open("a") as file:
                file.write(f"{' '.join(names)}\n")
            if any(name.startswith("fatal") for name in names):
                os.kill(os.getpid(), signal.SIGKILL)
            print(json.dumps({"runs": [reply(run) for run in runs]}), flush=True)
            continue
        if draws.random() < kills / 2:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = reply(request)
        if draws.random() < kills / 2 and "error" not in answer:
            os.kill(os.getpid(), signal.SIGKILL)
        print(json.dumps(answer), flush=True)


def reply(request):
    """The answer to the request of one run, whose result is written."""
    folder = Path(request["folder"])
    folder.mkdir()
    name = request["config"]["name"]
    if name.startswith("bad"):
        return {"error": "it is bad", "code": 3}
    if name.startswith("huge"):
        return {"error": "no memory", "code": 6}
    if name.startswith("endless"):
        signal.pause()
    (folder / "result.json").write_text(json.dumps({"status": "done", "name": name}))
    return {"status": "done"}


def parent(path, names, workers, kills, seconds, together=1, make=LocalEngine):
    """Runs the cells of some names in a folder and notes every result that is kept.

    Args:
        path: of the folder.
        names: of the cells.
        workers: jobs at a time.
        kills: share of the jobs whose worker dies.
        seconds: after which a run is taken to hang.
        together: the most runs that a worker does at once.
        make: makes the engine from its terms.
    """
    store = Store(Path(path))
    commit = store.commit

    def noted(cell, folder):
        commit(cell, folder)
        with (store.path / "kept").open("a") as file:
            file.write(f"{cell}\n")

    store.commit = noted
    program = (__file__, "worker", str(kills))
    engine = make(Terms(store.logs, workers, seconds, program))
    store.clean_up()
    try:
        jobs = [Job(name, {"name": name}, together=together) for name in names]
        tally = Tally.of(jobs, store)
        run_all(tally.left, tally, store, engine, lambda tally: None)
    finally:
        engine.close()
    return tally


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(float(sys.argv[2]))
    else:
        path, count, kills = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
        names = [f"cell{i}" for i in range(count)]
        make = registry.resolve("engine", sys.argv[4]) if sys.argv[4:] else LocalEngine
        found = parent(path, names, 2, kills, 60.0, make=make)
        print(json.dumps({"done": found.done, "failed": found.failed}))
