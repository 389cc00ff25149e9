"""Planted faults: a copy of the project with one wrong line, and whether its tests notice."""

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
FOLDERS = ("zoo", "tasks", "configs", "tests")  # of a copy


@dataclass(frozen=True)
class Fault:
    """One wrong line.

    Args:
        what: what it would mean to a user.
        file: that it stands in.
        old: the sound text, which the file holds once.
        new: the faulty text in its place.
        tests: arguments of pytest: those that must notice it.
    """

    what: str
    file: str
    old: str
    new: str
    tests: list[str]

    def __str__(self) -> str:
        return f"{Path(self.file).stem}: {self.what}"


def faults() -> list[Fault]:
    """The list of `planted_faults.yaml`."""
    areas = yaml.safe_load((ROOT / "tests" / "planted_faults.yaml").read_text(encoding="utf-8"))
    return [Fault(**fault) for area in areas.values() for fault in area]


def copy_project(target: Path) -> None:
    """Copies what the tests need to an empty folder."""
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", target)


def faulty(fault: Fault, root: Path) -> str:
    """The text of the file with its fault.

    Errors:
        ValueError: the sound text does not stand there exactly once, or the fault changes nothing.
    """
    text = (root / fault.file).read_text(encoding="utf-8")
    if text.count(fault.old) != 1 or fault.new == fault.old:
        raise ValueError(f"{fault.file} holds {text.count(fault.old)} times: {fault.old}")
    return text.replace(fault.old, fault.new)


@contextlib.contextmanager
def planted(fault: Fault, root: Path):
    """The copy at `root` with a fault, which is mended afterwards."""
    file = root / fault.file
    sound, wrong = file.read_text(encoding="utf-8"), faulty(fault, root)
    file.write_text(wrong, encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(sound, encoding="utf-8")


def outcome(tests: list[str], root: Path) -> str:
    """`passed` or `failed`, as these tests of the copy at `root` end; its modules are imported.

    Errors:
        RuntimeError: they did not run, for example since there is none of a name.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.setdefault("ZOO_DATA", str(ROOT.parent / "shared" / "data"))
    words = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--rootdir", str(root)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *tests],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    if done.returncode not in (0, 1):
        said = f"{done.stdout}{done.stderr}"
        raise RuntimeError(f"pytest {' '.join(tests)} ended with {done.returncode}: {said}")
    return "failed" if done.returncode else "passed"
