"""What a comparison shows at W&B, read from the runs that it leaves offline."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import wandb
from conftest import until
from PIL import Image
from read_wandb import records, uploaded
from wandb_server import wandb_server

from tasks.training.wandb_logger import WandB
from zoo.compare.analysis.analyse import analysed
from zoo.compare.report.sources import read_source
from zoo.compare.report.wandb_layout import AXES, layout, sections
from zoo.compare.report.wandb_sync import Mirror, sync
from zoo.config.yaml_file import read_yaml

OLD = Path(__file__).parents[2] / "old_runs" / "comparison"
BY_DEPTH = {"stream": [1.0, 2.0], "gradient": [0.5, 0.25], "share": [0.1], "collapse": [0.9, 0.8]}
KEY = "0123456789abcdef" * 2 + "01234567"  # as a user's


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished comparison with figures, one of whose runs was probed."""
    folder = shutil.copytree(OLD, tmp_path_factory.mktemp("top") / "old")
    (folder / "figures").mkdir()
    for name in ("verdicts", "gaps", "gaps-2", "why", "score", "curves"):
        Image.new("RGB", (4, 4)).save(folder / "figures" / f"{name}.png")
    seen = {"reason": "", "seconds": 1.0, "batch": "a", "measure": "energy"}
    for cell in (folder / "cells").iterdir():
        (cell / "stream.json").write_text(json.dumps({**seen, "start": BY_DEPTH, "end": BY_DEPTH}))
    return folder


def record_of(folder):
    return analysed(read_source(folder).record, [folder])


@pytest.fixture(scope="module")
def sent(folder):
    """The runs of the comparison by their job types, and the artifacts of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_API_KEY", KEY)
        sync(record_of(folder), folder)
    files = [*folder.glob("wandb/offline-run-*/*.wandb")]
    until(lambda: all(uploaded(file)["ended"] for file in files))
    found = {}
    for file in files:
        known = [r.artifact for r in records(file) if r.WhichOneof("record_type") == "artifact"]
        (notes,) = {r.run.notes for r in records(file) if r.WhichOneof("record_type") == "run"}
        one = uploaded(file) | {"artifacts": known, "notes": notes}
        found.setdefault(one["job_type"], []).append(one)
    return found


def test_the_comparison_reads_verdicts_gaps_and_reasons_in_this_order(sent, folder):
    (run,) = sent["comparison"]
    (row,) = run["history"]
    kinds = {k.removesuffix("/_type"): v for k, v in row.items() if k.endswith("/_type")}
    shown = sorted(kinds)  # as W&B has them
    parts = dict.fromkeys(key.partition("/")[0] for key in shown)
    assert list(parts)[:3] == ["part1_verdicts", "part2_gaps", "part3_why"]
    assert [key for key in shown if key.startswith("part2")] == [
        "part2_gaps/picture", "part2_gaps/picture-2", "part2_gaps/table"
    ]  # fmt: skip
    assert kinds["part3_why/sentences"] == "table-file"
    assert kinds["part1_verdicts/picture"] == "image-file"
    assert not [key for key in row if "/" not in key and not key.startswith("_")]
    told = (folder / "wandb" / "layout.md").read_text()
    assert run["notes"] == told
    assert [told.index(key) for key in shown] == sorted(told.index(key) for key in shown)


def test_every_run_is_found_by_group_and_axes(sent, folder):
    assert {job: len(runs) for job, runs in sent.items()} == {
        "cell": 4, "comparison": 1, "report": 1
    }  # fmt: skip
    assert len({run["group"] for runs in sent.values() for run in runs}) == 1
    told = {tuple(run["config"][axis] for axis in AXES) for run in sent["cell"]}
    cells = read_source(folder).record.cells
    assert told == {tuple(getattr(cell, axis) for axis in AXES.values()) for cell in cells}


def test_a_run_has_its_own_configuration_beside_its_axes(sent, folder):
    for run in sent["cell"]:
        (address,) = run["ids"]
        own = read_yaml(folder / "cells" / address.partition("-")[2] / "config.yaml")
        assert run["config"].items() >= own.items()


def test_runs_are_of_their_folder_wherever_it_lies(sent, folder, tmp_path):
    record, groups = record_of(folder), set()
    for path in (shutil.copytree(folder, tmp_path / "moved"), tmp_path / "same", tmp_path / "same"):
        path.mkdir(exist_ok=True)
        groups.add(Mirror(record, path).group)
        assert Mirror(record, path).group in groups
        shutil.rmtree(path)
    assert len(groups) == 3  # two at one path, such as of two people, are not one
    assert sent["comparison"][0]["group"] in groups


def test_runs_that_an_earlier_version_sent_stay_in_their_group(folder, tmp_path):
    (tmp_path / "mirrored.json").write_text('["a", "b"]')
    mirror = Mirror(record_of(folder), tmp_path)
    assert mirror.sent.runs == ["a", "b"]
    moved = shutil.copytree(tmp_path, tmp_path.with_name("elsewhere"))
    assert mirror.group == Mirror(mirror.record, moved).group


@pytest.mark.parametrize(
    "content", ["", "3", "null", '{"key": "a"}', '{"key": 3, "runs": []}', '{"key": "", "runs": 1}']
)
def test_damaged_notes_on_what_was_sent_are_one_warning_and_stay(
    content, folder, tmp_path, caplog, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    notes = tmp_path / "mirrored.json"
    notes.write_text(content)
    sync(record_of(folder), tmp_path)
    (said,) = [line for line in caplog.messages if "W&B" in line]
    assert "mirrored.json is damaged" in said
    assert notes.read_text() == content
    assert not [*tmp_path.glob("wandb/offline-run-*")]


def named(runs, kind, used):
    """The artifacts of a kind that runs have logged, or used, by name and content."""
    return sorted(
        (a.name, a.digest) for run in runs for a in run["artifacts"]
        if a.type == kind and a.use_after_commit == used
    )  # fmt: skip


def test_artifacts_lead_from_runs_to_the_comparison_and_to_its_report(sent):
    assert len(named(sent["cell"], "cell", used=False)) == 4
    assert named(sent["comparison"], "cell", used=True) == named(sent["cell"], "cell", used=False)
    made = named(sent["comparison"], "comparison", used=False)
    assert len(made) == 1
    assert named(sent["report"], "comparison", used=True) == made
    (report,) = [a for a in sent["report"][0]["artifacts"] if a.type == "report"]
    assert {"report.md", "figures/gaps.png"} <= {c.path for c in report.manifest.contents}
    files = {c.path for run in sent["cell"] for a in run["artifacts"] for c in a.manifest.contents}
    assert files >= {"config.yaml", "metrics.jsonl", "result.json", "stream.json"}
    assert not [name for name in files if name.endswith((".ckpt", ".safetensors"))]


def test_no_key_of_the_user_is_in_a_file(sent, folder):
    for path in folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_what_was_sent_stays_and_the_comparison_is_sent_anew(sent, folder, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("wandb/offline-run-*")}
    sync(record_of(folder), folder)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("wandb/offline-run-*")}
    assert len(after) == len(before)
    kept = [name for name in before if after.get(name) == before[name]]
    assert len(kept) >= 4


def test_names_of_others_are_text_in_the_layout(folder):
    record = record_of(folder)
    hostile = "<b>x</b>|[y](http://z)\x1b[31m"
    record.places[0] = replace(record.places[0], family=hostile)
    told = layout(record, [*sections(record, folder / "figures")], hostile)
    assert "<b>" not in told
    assert "](" not in told
    assert "\x1b" not in told


def test_where_the_folder_takes_nothing_more_the_comparison_goes_on(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    other = shutil.copytree(folder, tmp_path / "other", ignore=shutil.ignore_patterns("wandb"))
    (other / "wandb").write_text("no folder")
    sync(record_of(other), other)
    assert (other / "wandb").read_text() == "no folder"


def test_a_log_that_is_broken_is_one_warning_and_what_was_sent_is_not_sent_again(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    other = shutil.copytree(OLD, tmp_path / "other")
    record = record_of(other)
    broken = other / "cells" / record.cells[-1].id / "metrics.jsonl"
    whole = broken.read_text()
    broken.write_text("no row\n")
    sync(record, other)
    (said,) = [line for line in caplog.messages if "W&B" in line]
    assert "a broken line" in said
    runs = json.loads((other / "mirrored.json").read_text())["runs"]
    assert runs
    assert broken.parent.name not in runs
    before = {*other.glob("wandb/offline-run-*")}
    broken.write_text(whole)
    sync(record, other)
    kept = {path for run in runs for path in before if path.name.endswith(run)}
    assert len(kept) == len(runs)
    assert kept <= {*other.glob("wandb/offline-run-*")}
    assert len(json.loads((other / "mirrored.json").read_text())["runs"]) == 4


def test_a_result_that_is_broken_is_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    other = shutil.copytree(OLD, tmp_path / "other")
    record = record_of(other)
    for path in other.glob("cells/*/result.json"):
        path.write_text("")
    sync(record, other)
    (said,) = [line for line in caplog.messages if "W&B" in line]
    assert "result.json cannot be read" in said


def test_a_run_that_cannot_begin_ends_none_beside_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("tasks.training.wandb_logger.START_SECONDS", 1)
    wandb.teardown()  # it keeps the settings of earlier runs
    one, other = WandB(mode="offline"), WandB(mode="online")
    for logger, name in ((one, "one"), (other, "other")):
        given = {"group": "g", "id": name, "tags": [], "together": True, "beside": True}
        (tmp_path / name).mkdir()
        logger.start(tmp_path / name, {}, given)
    assert other.run is None
    one.finish({"metrics": {}, "status": "done"}, {})
    assert not one.failed
    (said,) = [line for line in caplog.messages if "W&B" in line]
    assert "it is off for this run" in said


SEND = """
import sys
from pathlib import Path
from zoo.compare.analysis.analyse import analysed
from zoo.compare.report.sources import read_source
from zoo.compare.report.wandb_sync import sync
folder = Path(sys.argv[1])
sync(analysed(read_source(folder).record, [folder]), folder)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_a_server_is_told_what_was_used_at_once_or_by_the_printed_command(mode, tmp_path):
    folder = shutil.copytree(OLD, tmp_path / "old")
    with wandb_server() as (home, heard):
        surroundings = os.environ | {"WANDB_BASE_URL": home, "WANDB_API_KEY": KEY}
        command = [sys.executable, "-c", SEND, str(folder)]
        subprocess.run(command, env=surroundings | {"WANDB_MODE": mode}, check=True)
        if mode == "offline":
            assert not heard
            surroundings.pop("WANDB_MODE", None)
            command = [sys.executable, "-m", "wandb", "sync", str(folder / "wandb")]
            subprocess.run(command, env=surroundings, check=True)
    asked = Counter(name for name, _ in heard)
    assert asked["UseArtifact"] == 5  # four runs by the comparison, and it by its report
    assert len({given["name"] for name, given in heard if name == "UpsertBucket"}) == 6
