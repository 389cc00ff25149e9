"""The first steps of a run once more, and whether its log comes out as it was."""

from __future__ import annotations

import contextlib
import logging
import signal
import tempfile
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer

from tasks.fast_callback import FastCallback
from tasks.recovery.ranks import is_first
from tasks.training.build import build_task, build_trainer_options
from tasks.training.result import machine, versions
from tasks.training.run import refuse_changes
from tasks.training.train import train
from tasks.training.trainer import Steps
from zoo.config import registry
from zoo.config.compose import from_file
from zoo.config.config import Config
from zoo.errors import CheckpointError, ConfigError, Diverged
from zoo.report import DIFFERS, Report
from zoo.run_folder import RunFolder

log = logging.getLogger("zoo")

Place = tuple[int, str]  # a number of a log: the step of its row, and its name
CHANGEABLE = ("data.path", "trainer.accelerator", "trainer.devices")
CLOCK = "train/steps_per_second"
DIGESTS = {  # what a run began with, in the order in which it is made
    "data": "data_digest",
    "branches": "branch_digest",
    "start": "start_digest",
    "first batches": "order_digest",
}


class Until(FastCallback):
    """Ends a run after a step as a signal does, without its final evaluation.

    Args:
        step: the last one.
    Attributes:
        reached: whether it was taken.
    """

    def __init__(self, step: int):
        self.step = step
        self.reached = False

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step and not self.reached:
            self.reached = True
            signal.raise_signal(signal.SIGUSR1)


class Verify:
    """Trains the first steps of a run again and compares its log, number by number.

    The run is only read; the new one lies in a temporary folder. Compared are the rows of
    `metrics.jsonl` but for `train/steps_per_second`, and the digests of the data, of the branches
    as they are drawn, of the branches after their init rule and of the first training batches.

    Args:
        steps: that are compared, with the validations among them.
    """

    def __init__(self, steps: Steps = 100):
        self.steps = steps

    def __call__(self, config: Config, where: str) -> Report | None:
        """The comparison; None in all but the first process.

        Errors:
            ConfigError: other options than the run's, or no row among so few steps.
            CheckpointError: the run has no result or no log.
            DataError: the data is not there.
        """
        folder = RunFolder(Path(where))
        refuse_changes(config, folder, CHANGEABLE)
        record = folder.result()
        if not record:
            fix = f"continue it: fit from={where}"
            raise CheckpointError("the run has not come to an end", where, fix)
        until = Until(self.last_step(folder))
        with tempfile.TemporaryDirectory(prefix="zoo-verify-") as place:
            fresh = RunFolder(Path(place))
            fresh.create()
            repeat(config, fresh if is_first() else None, until)
            if not is_first():
                return None
            then, now = (numbers(each, until.step) for each in (folder, fresh))
            changed = differing_conditions(record, config, folder)
            return compared(record, fresh.result(), then, now, until.step, changed)

    def last_step(self, folder: RunFolder) -> int:
        """The step of the last row that is compared."""
        steps = [row["step"] for row in folder.rows()]
        if not steps:
            raise CheckpointError("the run has no log", str(folder.path), "name another run")
        if min(steps) > self.steps:
            what = f"the first row of the log is of step {min(steps)}"
            raise ConfigError(what, f"steps={self.steps}", f"give steps={min(steps)} or more")
        return max(step for step in steps if step <= self.steps)


def repeat(config: Config, folder: RunFolder | None, until: Until) -> None:
    """Trains a run from its start to a step; what it says of itself is left out."""
    config.choices["logger"] = "none"
    config.sections["logger"] = registry.options("logger", "none")
    training, task = build_trainer_options(config), build_task(config)
    training.beside.append(until)
    log.disabled = True
    try:
        with contextlib.suppress(Diverged):  # its rows are a log as well
            report = train(config, training, task, folder, None, pictures=False)
            if report and report.code and not until.reached:  # by a signal from outside
                raise SystemExit(report.code)
    finally:
        log.disabled = False


def differing_conditions(then: dict[str, Any], config: Config, folder: RunFolder) -> dict[str, Any]:
    """Versions, parts of the machine and options that are not those of a run: before and now.

    Args:
        then: the result of the run; None stands for what it did not note.
        config: of its repetition.
        folder: of the run.
    """
    stored = from_file(str(folder.path / "config.yaml"), {}).sections["trainer"]
    before = then["versions"] | then["machine"] | stored
    here = versions() | machine() | config.sections["trainer"]
    return {key: [before.get(key), here[key]] for key in here if before.get(key) != here[key]}


def numbers(folder: RunFolder, last: int) -> dict[Place, float | None]:
    """The numbers of a log up to a step, without what the clock says; None for one given twice."""
    found: dict[Place, float | None] = {}
    for row in folder.rows():
        places = [(row["step"], name) for name in row if name not in ("step", CLOCK)]
        for place in places if row["step"] <= last else ():
            twice = place in found and place[1] != "epoch"  # rows of a step share it
            found[place] = None if twice else row[place[1]]
    return found


def compared(
    then: dict[str, Any],
    now: dict[str, Any],
    old: dict[Place, float | None],
    new: dict[Place, float | None],
    last: int,
    changed: dict[str, Any],
) -> Report:
    """What is equal, and what is not.

    Args:
        then: the result of the run.
        now: of its repetition.
        old: the numbers of the run's log; a name that only the new one has does not count.
        new: of its repetition.
        last: the step up to which both go.
        changed: the conditions that are not the same.
    """
    digests = {
        name: then[key] == now[key] for name, key in DIGESTS.items() if then.get(key) is not None
    }
    names = {name for _, name in old}
    lacking = [place for place in new if place not in old and place[1] in names]
    places = sorted([*old, *lacking], key=lambda place: place[0])
    found = [difference(place, old.get(place), new.get(place)) for place in places]
    differing = [each for each in found if each["then"] != each["now"]]
    record = {
        "equal": all(digests.values()) and not differing,
        "steps": last,
        "digests": digests,
        "numbers": len(old),
        "different": len(differing),
        "first": differing[0] if differing else None,
        "largest": max(differing, key=lambda each: each["relative"]) if differing else None,
        "changed": changed,
    }
    return Report(record, table(record), 0 if record["equal"] else DIFFERS)


def difference(place: Place, then: float | None, now: float | None) -> dict[str, Any]:
    """A number of both logs and how far they are apart, as a share of the larger one.

    A number that only one of them has differs by the whole.
    """
    if then is None or now is None:
        relative = 1.0
    else:
        relative = abs(then - now) / (max(abs(then), abs(now)) or 1.0)
    return {"step": place[0], "name": place[1], "then": then, "now": now, "relative": relative}


def table(record: dict[str, Any]) -> str:
    """What is equal and what is not, for people."""
    rows = [(name, "equal" if same else "differs") for name, same in record["digests"].items()]
    count = f"{record['different']} of {record['numbers']} numbers differ"
    log_says = count if record["different"] else f"equal, {record['numbers']} numbers"
    rows.append((f"log to step {record['steps']}", log_says))
    for which in ("first", "largest") if record["different"] else ():
        rows.append(
            (
                f"{which} difference",
                "{name} at step {step}: {then} then, {now} now, "
                "{relative:.1e} of the larger".format(**record[which]),
            )
        )
    for name, (then, now) in record["changed"].items():
        rows.append((name, f"{'unknown' if then is None else then} then, {now} now"))
    if not record["equal"]:
        rows.append(("likely cause", cause(record)))
    return "\n".join(f"{name:<20}{said}" for name, said in rows)


def cause(record: dict[str, Any]) -> str:
    """Why a log may not have come out again."""
    if not record["digests"].get("data", True):
        return "the data is not that of the run"
    if record["changed"]:
        return f"not the same {', '.join(record['changed'])}"
    if record["first"] and record["first"]["name"] == "train/lr":
        return "the run was trained longer than it began, so by another schedule"
    return "code that has changed, or a GPU without trainer.deterministic=true"
