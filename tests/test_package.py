"""The wheel works when it is installed and run from another directory."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ledger import MARKS, claims
from ledger import table as ledger

from zoo.config import registry

ROOT = Path(__file__).parents[1]
PAGES = [path for path in ROOT.rglob("*.md") if not {".venv", "runs", "old_runs"} & {*path.parts}]


def test_wheel_runs_away_from_the_checkout(tmp_path):
    def run(*words, **options):
        done = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, timeout=300, **options
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    wheels, site = tmp_path / "wheels", tmp_path / "site"
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels), str(ROOT))
    (wheel,) = wheels.glob("*.whl")
    run("-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    where = {"cwd": elsewhere, "env": environment}
    assert str(site) in run("-c", "import zoo; print(zoo.__file__)", **where)
    words = ["-m", "zoo", "fit", "task=gnn", "trainer.max_steps=2", "logger=none"]
    assert "run folder: runs/gnn-residual-" in run(*words, **where)
    assert "wrote lab/pyproject.toml" in run(
        *words[:2], "new", "task", "tides", "package=lab", **where
    )
    assert not (site / "tests").exists()
    old = shutil.copytree(ROOT / "tests" / "old_runs" / "comparison", tmp_path / "old")
    run("-m", "zoo", "report", str(old), **where)
    assert "<bdi>residual</bdi>" in (old / "report.html").read_text()


def test_the_page_of_connections_holds_the_catalogue():
    from zoo.config.catalogue import page

    text = (ROOT / "zoo/connections/README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- connections -->")[2].partition("<!-- /connections -->")[0]
    assert table.strip() == page(), "write the output of zoo.config.catalogue.page() there"
    known = {f"`{name}`" for name in registry.names("connection")}
    which = text.partition("## Which rule for what")[2].partition("\n## ")[0]
    assert known == {word for word in re.findall(r"`[a-z_]+`", which) if word in known}


def test_the_front_page_holds_the_ledger_and_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition(MARKS[0])[2].partition(MARKS[1])[0]
    assert table.strip() == ledger(), "run python tests/helpers/ledger.py"
    assert len(claims()) <= 12
    assert len(text.splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_that_a_page_links_are_there(page):
    linked = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [n for n in linked if "://" not in n and not (page.parent / n).is_file()] == []
