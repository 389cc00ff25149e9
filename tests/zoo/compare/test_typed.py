"""What a comparison reads of JSON has the types of its fields, or is refused in one line."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from zoo.cli.main import main
from zoo.compare.analysis.record import Declared
from zoo.compare.analysis.results import KEYS, Result
from zoo.compare.analysis.runs import Run
from zoo.compare.execution.costs import Cost, read_costs
from zoo.compare.typed import typed
from zoo.errors import DataError

OLD = Path(__file__).parents[2] / "old_runs" / "comparison"
WRONG = ["wrong", 0.5]  # no field has this type
ANYTHING = {"depth"}  # fields that take every value


def written(kind):
    """A row of each kind as an earlier version wrote it."""
    record = json.loads((OLD / "compare.json").read_text())
    result = json.loads(next(OLD.glob("cells/*/result.json")).read_text())
    cost = next(iter(json.loads((OLD / "costs.json").read_text()).values()))
    rows = {Run: record["cells"][0], Declared: record["declared"], Cost: cost}
    return rows.get(kind) or {key: result[key] for key in KEYS if key in result}


@pytest.mark.parametrize("kind", [Run, Declared, Result, Cost])
def test_every_value_has_the_type_of_its_field(kind):
    row = written(kind)
    whole = dataclasses.asdict(typed(kind, row))
    assert {key: whole[key] for key in row} == row
    for key in row.keys() - ANYTHING:
        with pytest.raises(ValueError, match=f"has {key}"):
            typed(kind, {**row, key: WRONG})
    with pytest.raises(ValueError, match="has unknown mood"):
        typed(kind, {**row, "mood": "good"})
    with pytest.raises(ValueError, match="is no object but"):
        typed(kind, [row])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "0.5"}, "has value = '0.5', which should be a valid"),
        ({"value": float("nan")}, "has value = 'nan'"),
        ({"pair": True}, "has pair = 'True', which should be a valid integer"),
        ({"pair": 1.0}, "has pair = '1.0', which should be a valid integer"),
        ({"status": "good"}, "has status = 'good', which should be 'waiting'"),
        ({"events": [{"step": 1, "kind": "spike"}]}, "has no events.0.value"),
        ({"events": [{"step": 1, "kind": "x", "value": 1}]}, "has events.0.kind = 'x'"),
    ],
)
def test_nothing_is_converted(change, message):
    with pytest.raises(ValueError, match=message):
        typed(Run, written(Run) | change)


def test_whole_numbers_and_texts_stay_as_they_were_written():
    run = typed(Run, written(Run) | {"seconds": 2, "arm": "\udcff"})
    assert type(run.seconds) is int
    assert run.arm == "\udcff"  # a byte of the command line that is no text


@pytest.mark.parametrize(
    ("file", "change", "code", "message"),
    [
        ("compare.json", {"name": 3}, 2, "the record has name = '3'"),
        ("compare.json", {"homes": "x"}, 2, "the record has homes = 'x'"),
        ("compare.json", {"declared": {"pairs": ["0"]}}, 2, "declared has pairs.0 = '0'"),
        (
            "compare.json",
            {"declared": {"published": {"gnn": {"a": {"deep": 0.5}}}}},
            2,
            "declared has published.gnn.a.deep",
        ),
        ("compare.json", {"cells": [{"id": "0" * 20}]}, 2, "run 00000000000000000000 has no place"),
        ("result.json", {"metrics": {"test/accuracy": "high"}}, 3, "the result has metrics.test/a"),
        ("result.json", {"primary": None}, 3, "the result has primary = 'None'"),
    ],
)
def test_a_wrong_value_in_a_folder_is_told_in_one_line(
    file, change, code, message, tmp_path, capsys
):
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    path = next(folder.rglob(file))
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert main(["report", str(folder)]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert str(path.parent) in error


@pytest.mark.parametrize("text", ["{", "[]", '{"a": {"seconds": "long"}}', "\udcff"])
def test_broken_costs_are_told(text, tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(DataError, match="the costs are broken"):
        read_costs(path)
