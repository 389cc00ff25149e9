"""What was damaged is told, kept and gone on without: a checkpoint, or the digest of a good one."""

import shutil

import pytest
from kills import Blow, checkpoint, lived, wrong_sums
from small_runs import flipped, rows, weights
from tiny_runs import words
from torch import equal

from tasks.recovery.loading import load_checkpoint, load_last
from tasks.recovery.tensor_files import save_checkpoint
from zoo.cli.main import main


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run of four steps in one piece and one of three, each with all of its checkpoints."""
    home = tmp_path_factory.mktemp("home")
    for steps in (3, 4):
        more = (
            f"trainer.max_steps={steps}",
            "trainer.save_minutes=0",
            f"run.dir={home / str(steps)}",
        )
        assert main(["fit", *words("gnn", *more)]) == 0
    return home


def flip_digest(folder):
    """One bit in the digest of `last.ckpt`."""
    path = folder / "SHA256SUMS"
    lines = path.read_text().splitlines(keepends=True)
    other = [chr(ord(each[0]) ^ 1) + each[1:] if "last.ckpt" in each else each for each in lines]
    path.write_text("".join(other))


def flip_checkpoint(folder):
    """One bit in `last.ckpt`."""
    flipped(folder / "last.ckpt")


@pytest.mark.parametrize("damage", [flip_digest, flip_checkpoint])
def test_a_run_that_goes_on_without_a_checkpoint_keeps_it(damage, home, tmp_path, capsys):
    run = shutil.copytree(home / "3", tmp_path / "run")
    folder = run / "checkpoints"
    doubted = []
    for steps in (4, 5, 6):
        if steps < 6:
            damage(folder)
            doubted.append((folder / "last.ckpt").read_bytes())
        (folder / ".last.ckpt.tmp1").touch()
        capsys.readouterr()
        assert main(["fit", f"from={run}", f"trainer.max_steps={steps}"]) == 0
        told = capsys.readouterr().err
        assert told.count("last.ckpt: it or its line in SHA256SUMS is damaged") == (steps < 6)
        assert told.count(f"the doubted file is kept as {folder}/last.ckpt.doubted") == (steps < 6)
        assert (folder / "last.ckpt.doubted").read_bytes() == doubted[-1]
        assert not list(folder.glob(".*"))
        kept = [load_checkpoint(folder / f"{name}.ckpt") for name in ("previous", "last")]
        assert [each["global_step"] for each in kept] == [steps - 1, steps]
        if steps == 4:
            assert rows(run) == rows(home / "4")
            assert all(map(equal, weights(run).values(), weights(home / "4").values()))
    assert doubted[0] != doubted[1]


KILLS = [Blow("aside", 0, True), Blow("back"), Blow("sums", 0), Blow("sums", 1)]


@pytest.mark.parametrize("blow", KILLS)
def test_a_kill_on_the_way_loses_neither_file(blow, home, tmp_path):
    run, told = shutil.copytree(home / "3", tmp_path / "run"), tmp_path / "told.txt"
    flip_digest(run / "checkpoints")
    doubted = (run / "checkpoints" / "last.ckpt").read_bytes()
    given = [f"from={run}", "trainer.max_steps=3"]
    assert [lived(given, each, told) for each in (blow, None)] == [-9, 0]
    assert (run / "checkpoints" / "last.ckpt.doubted").read_bytes() == doubted
    assert rows(run) == rows(home / "3")
    assert wrong_sums(run / "checkpoints") == []


def test_a_flipped_bit_anywhere_in_the_digests_costs_one_checkpoint_at_most(tmp_path, capsys):
    for step in (1, 2):
        save_checkpoint(checkpoint(step), tmp_path / "last.ckpt", tmp_path / "previous.ckpt")
    sums = (tmp_path / "SHA256SUMS").read_bytes()
    taken = {"last.ckpt": 0, "previous.ckpt": 0}
    for place in range(len(sums)):
        changed = bytearray(sums)
        changed[place] ^= 1 << place % 8
        (tmp_path / "SHA256SUMS").write_bytes(changed)
        found, path = load_last(tmp_path)
        taken[path.name] += 1
        assert found["global_step"] == {"last.ckpt": 2, "previous.ckpt": 1}[path.name]
        assert ("damaged" in capsys.readouterr().err) == (path.name == "previous.ckpt")
    assert taken["previous.ckpt"] >= 64
