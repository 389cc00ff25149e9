"""Faults that the tests must notice: each is planted in a copy of the project.

All of them, one after the other: `python -m pytest -m mutants tests/test_planted_faults.py -n 0`;
one of an area with `-k`. A test that passes is a fault that was noticed, so the score is pytest's
last line. Another fault is an entry of `planted_faults.yaml`, with the tests that notice it.
"""

import ast
import re

import pytest
from planting import ROOT, Fault, copy_project, faults, faulty, outcome, planted

FAULTS = faults()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project."""
    folder = tmp_path_factory.mktemp("project") / "copy"
    copy_project(folder)
    return folder


@pytest.mark.mutants
def test_the_tests_pass_without_a_fault(project):
    assert outcome(sorted({test for fault in FAULTS for test in fault.tests}), project) == "passed"


@pytest.mark.mutants
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_noticed(fault, project):
    with planted(fault, project):
        assert outcome(fault.tests, project) == "failed", f"nobody noticed: {fault.what}"


def test_the_list_is_up_to_date():
    """The sound text stands once in its file, the faulty one can be read, the tests exist."""
    for fault in FAULTS:
        ast.parse(faulty(fault, ROOT))
        assert fault.tests, fault.what
        for test in fault.tests:
            file, _, name = re.sub(r"\[.*", "", test).partition("::")
            assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_every_fault_is_listed_once():
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)
    assert len({str(fault) for fault in FAULTS}) == len(FAULTS)


SOUND = "def double(x):\n    return 2 * x  # twice\n"
TEST = "from sums import double\n\n\ndef test_double():\n    assert double(3) == 6\n"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [("2 * x", "3 * x", "failed"), ("2 * x", "x + x", "passed"), ("# twice", "# two", "passed")],
)
def test_a_fault_without_effect_is_told_from_one_that_is_noticed(old, new, found, tmp_path):
    (tmp_path / "sums.py").write_text(SOUND)
    (tmp_path / "test_sums.py").write_text(TEST)
    fault = Fault("it is wrong", "sums.py", old, new, ["test_sums.py::test_double"])
    with planted(fault, tmp_path):
        assert outcome(fault.tests, tmp_path) == found
    assert (tmp_path / "sums.py").read_text() == SOUND


def test_a_test_that_is_not_there_is_no_notice(tmp_path):
    (tmp_path / "test_sums.py").write_text("")
    with pytest.raises(RuntimeError, match="test_triple ended with 4"):
        outcome(["test_sums.py::test_triple"], tmp_path)


@pytest.mark.parametrize(("old", "new"), [("4 * x", "x"), ("x", "y"), ("2 * x", "2 * x")])
def test_a_fault_whose_text_does_not_stand_there_once_is_refused(old, new, tmp_path):
    (tmp_path / "sums.py").write_text(SOUND)
    fault = Fault("it is wrong", "sums.py", old, new, [])
    with pytest.raises(ValueError, match=r"sums\.py"), planted(fault, tmp_path):
        pass
    assert (tmp_path / "sums.py").read_text() == SOUND
