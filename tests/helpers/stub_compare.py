"""A parent of stub cells, for tests of leases and kills: python stub_compare.py."""

import contextlib
import json
import sys
from pathlib import Path

import stub_worker

from zoo.compare.design.spec import Comparison
from zoo.compare.execution.engines.start import at_work, new_engine
from zoo.compare.execution.job import Job
from zoo.compare.execution.schedule import Tally, run_all
from zoo.compare.execution.store import Store


@contextlib.contextmanager
def engine_of(store, workers=2, kills=0.0, seconds=60.0, engine="local", **options):
    """An engine of stub workers, as a comparison starts and ends it."""
    comparison = Comparison(engine=engine, workers=workers, minutes=seconds / 60)
    comparison.engine_options = options
    program = (stub_worker.__file__, "worker", str(kills))
    with at_work(new_engine(comparison, store.logs, program)) as started:
        yield started


def parent(path, names, workers, kills, seconds, together=1, engine="local", **options):
    """Runs the cells of some names in a folder and notes every result that is kept."""
    store = Store(Path(path))
    commit = store.commit

    def noted(cell, folder):
        lost = commit(cell, folder)
        with (store.path / "kept").open("a") as file:
            file.write("" if lost else f"{cell}\n")
        return lost

    store.commit = noted
    store.clean_up()
    with (
        contextlib.closing(store),
        engine_of(store, workers, kills, seconds, engine, **options) as started,
    ):
        jobs = [Job(name, {"name": name}, together=together) for name in names]
        tally = Tally.of(jobs, store)
        run_all(tally.left, tally, store, started, lambda tally: None)
    return tally


if __name__ == "__main__":
    path, count, kills, engine, options = (*sys.argv[1:], "local", "{}")[:5]
    names, rest = [f"cell{i}" for i in range(int(count))], json.loads(options)
    found = parent(path, names, 2, float(kills), 60.0, engine=engine, **rest)
    print(json.dumps({"done": found.done, "failed": found.failed}))
