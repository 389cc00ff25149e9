"""Runs that are killed at planned places and go on until they are done.

As a program it is one life of a run of several processes: python kills.py BLOW WORDS...
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path

from forked import places, start

ROOT = Path(__file__).parents[2]
PLACES = {  # what is called there; a blow falls before or after one of the calls
    "batch": "tasks.recovery.checkpoints.Checkpointer.on_train_batch_end",
    "step": "tasks.recovery.checkpoints.Checkpointer.end_step",
    "row": "tasks.training.metrics_logger.MetricsLogger.row",
    "offer": "tasks.training.best_weights.BestWeights.update",
    "validation": "tasks.training.module.Task.validation_step",
    "evaluation": "tasks.training.evaluate.evaluate",
    "write": "os.fsync",
    "pickle": "torch._C.PyTorchFileWriter.write_record",
    "rename": "pathlib.Path.replace",
    "link": "os.link",
    "sums": "tasks.recovery.checksums.write_sums",
    "save": "tasks.recovery.tensor_files.save_checkpoint",
    "aside": "tasks.recovery.tensor_files.set_aside",
    "back": "tasks.recovery.tensor_files.copy_checkpoint",
    "load": "tasks.recovery.loading.load_checkpoint",
    "weights": "tasks.training.train.save_weights",
    "edit": "tasks.recovery.rollback.rewrite_for_return",
    "figures": "tasks.training.train.draw",
    "forget": "zoo.run_folder.RunFolder.forget_after",
    "config": "zoo.run_folder.RunFolder.write_config",
    "result": "zoo.run_folder.RunFolder.write_result",
    "create": "zoo.run_folder.RunFolder.create",
}
FILES = [f"{name}.{kind}" for name in ("last", "best") for kind in ("ckpt", "safetensors")]
LOST = "lost="  # begins the word that plants a loss of NaN in a batch, counted from 0
NAN = float("nan")
TIMES = ("seconds", "seconds_per_step", "peak_memory_bytes")  # of a result


@dataclass(frozen=True)
class Blow:
    """A signal that a run sends to itself.

    Args:
        place: one of the places.
        call: that it falls at, from 0 on.
        after: whether the call has ended by then.
        number: of the signal.
        times: that it is sent.
        rank: of the process that it hits.
    """

    place: str
    call: int = 0
    after: bool = False
    number: int = signal.SIGKILL
    times: int = 1
    rank: int = 0


def around(place, before, after):
    """Calls something before and after every call of what a place stands for."""
    from importlib import import_module

    *module, owner, name = PLACES[place].split(".")
    try:
        home = getattr(import_module(".".join(module)), owner) if module else import_module(owner)
    except AttributeError:
        home = import_module(".".join([*module, owner]))
    inner = getattr(home, name)

    def outer(*args, **options):
        before()
        result = inner(*args, **options)
        after()
        return result

    homes = {home, *(m for m in list(sys.modules.values()) if vars(m).get(name) is inner)}
    for each in homes:  # also where the name was imported
        setattr(each, name, outer)


def fall(blow):
    """Plans a blow in this process."""
    calls = iter(range(10**9))
    due = [None]

    def strike(after):
        due[0] = due[0] if after else next(calls)
        if after == blow.after and due[0] == blow.call:
            for _ in range(blow.times):
                os.kill(os.getpid(), blow.number)

    if int(os.environ.get("LOCAL_RANK", 0)) == blow.rank:
        around(blow.place, lambda: strike(False), lambda: strike(True))


def lose(number):
    """Plants a loss of NaN in a batch of images."""
    from tasks.cnn.task import ImageClassification
    from tasks.diffusion.task import Denoising
    from tasks.unet.task import Segmentation

    def planted(loss):
        return lambda self, batch, *rest: (
            loss(self, batch, *rest) * (NAN if batch[0] == number else 1.0)
        )

    for each in (ImageClassification, Denoising, Segmentation):
        each.loss = planted(each.loss)


def life(words, blow, told, counts, rank):
    """One process of a run: until it ends or the blow falls.

    Args:
        words: of the command line.
        blow: that falls, or None.
        told: the file for what it prints.
        counts: the file for the number of calls of every place, or None.
        rank: the variables of one of several processes.
    """
    import torch

    os.environ.update(rank)

    from zoo.cli.main import main

    torch.set_num_threads(1)
    import tasks.inference.use  # noqa: F401  (all places are there)

    for word in words:
        if word.startswith(LOST):
            lose(int(word.removeprefix(LOST)))
    words = [word for word in words if not word.startswith(LOST)]

    for place in PLACES if counts else ():
        counted = Path(f"{counts}.{place}")
        around(place, lambda: None, lambda counted=counted: counted.open("a").write("x"))
    if blow:
        fall(blow)
    out, err = contextlib.redirect_stdout, contextlib.redirect_stderr
    with told.open("a") as stream, out(stream), err(stream):
        code = main(["fit", *words])
    os._exit(code)


def checkpoint(step):
    """As much of a checkpoint as is looked at."""
    import torch

    state = {"weight": torch.full((100,), float(step))}
    return {"state_dict": state, "callbacks": {}, "data_digest": "", "global_step": step}


def third(folder, blow):
    """Writes a third checkpoint until the blow falls."""
    import tasks.recovery.tensor_files as files

    fall(blow)
    files.save_checkpoint(checkpoint(3), folder / "last.ckpt", folder / "previous.ckpt")


TWO = ["trainer.devices=2", "trainer.accelerator=cpu"]


KNOWN = {0, 130, 143, -9, -2, -15}  # ends of a process
LONELY = 6  # and of one that lost another
PATIENCE = 30  # seconds of a process after another one fell, as torchrun has them


def lived(words, blow, told, counts=None, world=1):
    """The exit code of a life in a process of its own, or of the first of several."""
    ranks = [{}] if world == 1 else places(world)
    given = [(None if n else counts, rank) for n, rank in enumerate(ranks)]
    lives = [start(life, words, blow, told, *each) for each in given]
    left = {process.sentinel: process for process in lives}
    while left:
        fallen = any(process.exitcode for process in lives)
        ended = wait(left, PATIENCE if fallen else None)
        for sentinel in ended:
            left.pop(sentinel).join()
        for process in left.values() if fallen and not ended else ():
            process.kill()
    codes = [process.exitcode for process in lives]
    known = KNOWN | ({LONELY} if world > 1 else set())
    assert known.issuperset(codes), f"{codes}:\n{told.read_text()[-3000:]}"
    return codes[0]


def launched(words, blow, told, world):
    """The exit code of a life in processes of which the first starts the others."""
    given = json.dumps(asdict(blow) if blow else None)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with told.open("a") as stream:
        command = [sys.executable, __file__, given, *words]
        return subprocess.run(command, env=env, stdout=stream, stderr=stream).returncode


def world_of(words):
    """The processes of a run."""
    return 2 if TWO[0] in words else 1


def whole(words, home, counts=None):
    """A run that nothing stops, in the folder `whole` of a home."""
    run = home / "run"
    given = [*words, f"run.dir={run}"]
    assert lived(given, None, home / "whole.txt", counts, world_of(words)) == 0
    return run.rename(home / "whole")


def chain(words, home, blows, live=lived):
    """A run that goes on after every blow, in the folder `run` of a home.

    Args:
        words: of the command line.
        home: with the folder.
        blows: that fall, one in each life.
        live: gives the exit code of a life.

    Returns:
        How each of its lives ended.
    """
    run, codes = home / "run", []
    shutil.rmtree(run, ignore_errors=True)
    told = home / "told.txt"
    kept = [word for word in words if word.startswith(LOST)]
    blows = iter(blows)
    while not codes or codes[-1] != 0:
        begun = (run / "config.yaml").is_file()
        given = [f"from={run}", *kept] if begun else [*words, f"run.dir={run}"]
        codes.append(live(given, next(blows, None), told, world=world_of(words)))
        assert len(codes) < 20, codes
    return codes


def unequal(home):
    """The names of the files in which the run of a home differs from its whole run."""
    found = []
    back = ["rollback.ckpt"] if (home / "whole/checkpoints/rollback.ckpt").exists() else []
    files = [f"checkpoints/{file}" for file in [*FILES, *back]]
    for name in ("config.yaml", "metrics.jsonl", *files):
        one, two = ((home / which / name).read_bytes() for which in ("whole", "run"))
        if name == "metrics.jsonl":
            one, two = (re.sub(rb', "[^"]*seconds?": [^,}]+', b"", text) for text in (one, two))
        if one != two:
            found.append(name)
    results = [json.loads((home / w / "result.json").read_text()) for w in ("whole", "run")]
    for result in results:
        for name in TIMES:
            result.pop(name)
    found += [line for w in ("whole", "run") for line in wrong_sums(home / w / "checkpoints")]
    found += ["result.json"] if results[0] != results[1] else []
    found += [path.name for path in (home / "run").rglob(".*.tmp*")]
    return found


def wrong_sums(folder):
    """The names in a folder's SHA256SUMS that lack, stand twice or have another digest."""
    from tasks.recovery.checksums import digest, read_sums

    files = (path for kind in ("*.ckpt", "*.safetensors") for path in folder.glob(kind))
    right = [(digest(path), path.name) for path in files]
    return [f"SHA256SUMS: {line}" for line in set(read_sums(folder)) ^ set(right)]


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    life(sys.argv[2:], Blow(**given) if given else None, Path(os.devnull), None, {})
