"""The wheel works when it is installed and run from another directory."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


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
    assert not (site / "tests").exists()


def test_the_readme_holds_the_catalogue():
    from zoo.config.catalogue import page

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("<!-- connections -->")[2].partition("<!-- /connections -->")[0]
    assert table.strip() == page(), "write the output of zoo.config.catalogue.page() there"


def test_the_files_that_the_readme_shows_are_there():
    linked = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    local = [name for name in linked if "://" not in name]
    assert len(local) > 5
    assert [name for name in local if not (ROOT / name).is_file()] == []
