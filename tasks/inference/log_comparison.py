"""Two logs of the same run, compared number by number."""

from __future__ import annotations

from typing import Any

from zoo.report import DIFFERS, Report
from zoo.run_folder import RunFolder

Key = tuple[int, str]  # of a number in a log: the step of its row, and its name
Numbers = dict[Key, float | None]
CLOCK = "train/steps_per_second"
DIGESTS = {  # what a run began with, in the order in which it is made
    "data": "data_digest",
    "branches": "branch_digest",
    "start": "start_digest",
    "first batches": "order_digest",
}


def logged_numbers(folder: RunFolder, last: int) -> Numbers:
    """The numbers of a log up to a step, without speed; None for one that stands there twice."""
    numbers: Numbers = {}
    for row in folder.rows():
        keys = [(row["step"], name) for name in row if name not in ("step", CLOCK)]
        for key in keys if row["step"] <= last else ():
            twice = key in numbers and key[1] != "epoch"  # rows of a step share it
            numbers[key] = None if twice else row[key[1]]
    return numbers


def compare_logs(
    then: dict[str, Any],
    now: dict[str, Any],
    old: Numbers,
    new: Numbers,
    last: int,
    changed: dict[str, Any],
) -> Report:
    """Returns what is equal in a run and its repetition, and what is not.

    Args:
        then: the result of the run.
        now: of its repetition.
        old: the numbers of the run's log; a name that only the new one has does not count.
        new: of its repetition.
        last: the step up to which both go.
        changed: the conditions that are not the same, each with its values then and now.
    """
    digests = {
        name: then[key] == now[key] for name, key in DIGESTS.items() if then.get(key) is not None
    }
    names = {name for _, name in old}
    only_new = [key for key in new if key not in old and key[1] in names]
    keys = sorted([*old, *only_new], key=lambda key: key[0])
    pairs = [difference(key, old.get(key), new.get(key)) for key in keys]
    differing = [pair for pair in pairs if pair["then"] != pair["now"]]
    record = {
        "equal": all(digests.values()) and not differing,
        "steps": last,
        "digests": digests,
        "numbers": len(old),
        "different": len(differing),
        "first": differing[0] if differing else None,
        "largest": max(differing, key=lambda pair: pair["relative"]) if differing else None,
        "changed": changed,
    }
    return Report(record, table(record), 0 if record["equal"] else DIFFERS)


def difference(key: Key, then: float | None, now: float | None) -> dict[str, Any]:
    """A number of both logs and how far they are apart, as a share of the larger one.

    A number that only one of them has differs by the whole.
    """
    if then is None or now is None:
        relative = 1.0
    else:
        relative = abs(then - now) / (max(abs(then), abs(now)) or 1.0)
    return {"step": key[0], "name": key[1], "then": then, "now": now, "relative": relative}


def table(record: dict[str, Any]) -> str:
    """What is equal and what is not, in lines to read."""
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
    return "\n".join(f"{name:<20}{text}" for name, text in rows)


def cause(record: dict[str, Any]) -> str:
    """The likely reason why two logs differ."""
    if not record["digests"].get("data", True):
        return "the data is not that of the run"
    if record["changed"]:
        return f"not the same {', '.join(record['changed'])}"
    if record["first"] and record["first"]["name"] == "train/lr":
        return "the run was trained longer than it began, so by another schedule"
    return "code that has changed, or a GPU without trainer.deterministic=true"
