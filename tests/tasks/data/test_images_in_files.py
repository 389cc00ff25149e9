"""Pixels that lie in a file are those that would lie in memory, and a run on them is the same."""

import copy
import errno
import itertools
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_files import CLASSES, IMAGE, cells, pets, photo, write_parquet, write_tree
from image_shards import write_shards
from mask_files import write_masks
from second_device import second_device
from small_runs import rows, weights

from tasks.data import (
    decode,
    image_dataset,
    on_device,
    prepared_files,
    prepared_images,
    remembered,
)
from tasks.data.batches import ReadAhead, ShuffledBatches
from tasks.data.file_rows import FileRows, byte_counts, pieces
from tasks.data.on_device import OnDevice
from tasks.training.build import build_task
from zoo.cli.main import main
from zoo.config.compose import load as compose
from zoo.config.registry import build
from zoo.errors import DataError, ResourceError
from zoo.run_folder import RunFolder
from zoo.shard import Shard
from zoo.system.machine_memory import GPU_SHARE

SMALL = {"trainer.max_epochs": "null", "trainer.accelerator": "cpu", "logger": "none"}
SMALL |= {"trainer.validate_every": 3, "trainer.log_every": 1, "optimizer.warmup": 0}
SMALL |= {"optimizer.schedule": "constant"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "residual-zoo" / "images"


def odd(folder):
    """Rows of which two are broken, one has no image and two parts share one."""
    for split, count, start in ("train", 30, 0), ("test", 8, 29):
        images = cells(count, start)
        images[2], images[5] = {"bytes": b"junk", "path": "2.png"}, {"bytes": None, "path": None}
        columns = {"image": images, "label": [i % 2 for i in range(count)]}
        write_parquet(folder, split, {"image": IMAGE, "label": CLASSES}, **columns)


SOURCES = {
    "tables": ("images", pets, {}),
    "folders": ("images", lambda at: write_tree(at, {("train", "a"): 9, ("train", "b"): 9}), {}),
    "scaled": ("images", pets, {"mode": "grey", "size": 3}),
    "bad ones": ("images", odd, {"on_bad": "skip"}),
    "masks": ("masks", write_masks, {}),
    "values": ("masks", lambda at: write_masks(at, values=(0, 7, 255)), {"values": [7, 0]}),
}
SOURCES["values"][2]["ignore"] = [255]


def named(folder):
    """A table that names its images, which lie beside its folder."""
    beside = folder.with_name("images")
    beside.mkdir()
    images = []
    for number in range(20):
        path = str(beside / f"{number}.png")
        photo(number).save(path)
        images.append({"bytes": None, "path": path})
    features = {"image": IMAGE, "label": CLASSES}
    write_parquet(folder, "train", features, image=images, label=[0, 1] * 10)


SOURCES["paths"] = ("images", named, {})


def load(name, folder):
    data, write, options = SOURCES[name]
    if not folder.exists():
        write(folder)
    return build("data", data, path=str(folder), **options).load()


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_holds_what_memory_would(name, tmp_path, cache, monkeypatch):
    expected = load(name, tmp_path / "data")
    assert not cache.exists()
    monkeypatch.setattr(decode, "LARGE", 0)
    data = load(name, tmp_path / "data")
    assert isinstance(data.images, FileRows)
    for one, other in (data.images, expected.images), (data.targets, expected.targets):
        assert torch.equal(one[:], other)
    for key in "mean", "std", "classes", "skipped", "notes":
        assert getattr(data, key) == getattr(expected, key)
    assert data.digest() == expected.digest()
    assert data.summary() == expected.summary()
    for part, examples in data.parts.items():
        assert torch.equal(data.counts(examples), expected.counts(expected.parts[part]))
    blank, plain = data.metadata(), expected.metadata()
    assert torch.equal(blank["images"], plain["images"])
    if name == "bad ones":
        assert data.skipped == 4
        assert any("also in" in note for note in data.notes)


@pytest.mark.parametrize("name", ["bad ones", "scaled", "values"])
def test_what_is_wrong_is_wrong_in_a_file_too(name, tmp_path, cache, monkeypatch):
    data, write, _ = SOURCES[name]
    write(tmp_path / "data")
    options = {"bad ones": {}, "scaled": {}, "values": {"values": [7, 0]}}[name]
    if name == "scaled":
        images = [*cells(4), {"bytes": photo_bytes((9, 9)), "path": "large.png"}]
        features = {"image": IMAGE, "label": CLASSES}
        write_parquet(tmp_path / "data", "train", features, image=images, label=[0, 1] * 2 + [0])
    said = []
    for large in 2**40, 0:
        monkeypatch.setattr(decode, "LARGE", large)
        with pytest.raises(DataError) as error:
            build("data", data, path=str(tmp_path / "data"), **options).load()
        said.append(str(error.value))
    assert said[0] == said[1]
    assert not [*cache.glob("*/.*")]  # nothing is left half written


def photo_bytes(size):
    from image_files import encoded

    return encoded(photo(1, size))


@pytest.fixture
def small(monkeypatch):
    """No images are too few for a file, and files are known again at once."""
    monkeypatch.setattr(decode, "LARGE", 0)
    monkeypatch.setattr(remembered, "SMALL", 1)
    monkeypatch.setattr(remembered, "SETTLED", 0.0)


@pytest.mark.parametrize("name", ["folders", "paths", "tables"])
def test_images_are_prepared_once(name, small, tmp_path, cache, capsys, monkeypatch):
    first = load(name, tmp_path / "data")
    assert "images are prepared once" in capsys.readouterr().err
    (folder,) = cache.iterdir()
    before = {path.name: path.stat() for path in folder.iterdir()}
    assert before.keys() == {prepared_images.PIXELS, prepared_files.RECORD}
    assert load(name, tmp_path / "data").digest() == first.digest()
    assert {path.name: path.stat() for path in folder.iterdir()} == before
    assert not capsys.readouterr().err
    if name == "folders":  # another pixel is another content
        photo(7).save(tmp_path / "data/train/a/0.png")
    elif name == "paths":
        photo(77).save(tmp_path / "images/0.png")
    else:
        columns = {"image": cells(20, 1), "label": [0, 1] * 10}
        write_parquet(tmp_path / "data", "train", {"image": IMAGE, "label": CLASSES}, **columns)
    assert load(name, tmp_path / "data").digest() != first.digest()
    assert len([*cache.iterdir()]) == 2


def test_several_readers_prepare_images_once(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(decode, "LARGE", 0)
    write_tree(tmp_path / "data", {("train", "a"): 9, ("train", "b"): 9})
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: load("folders", tmp_path / "data").digest(), range(4))
        assert len({*found}) == 1
    assert capsys.readouterr().err.count("prepared once") == 1


@pytest.mark.parametrize("name", [prepared_images.PIXELS, prepared_files.RECORD])
def test_a_cut_file_of_the_cache_is_prepared_anew(name, small, tmp_path, cache, capsys):
    digest = load("tables", tmp_path / "data").digest()
    (folder,) = cache.iterdir()
    os.truncate(folder / name, 9)
    assert load("tables", tmp_path / "data").digest() == digest
    assert "is damaged" in capsys.readouterr().err


def test_any_damage_of_a_record_means_prepared_again(small, tmp_path, cache, capsys):
    """Also one that is JSON, of the right keys."""
    digest = load("tables", tmp_path / "data").digest()
    path = next(cache.iterdir()) / prepared_files.RECORD
    first, _, record = path.read_text().partition("\n")
    damaged = ["", first, record, f"{first}\n[]", f"{first}\n{record.replace('{}', '[]')}", "[" * 9]
    damaged += [f"{first}\n{record.replace('20', '10')}", "\0" * len(record), "\xff"]
    for text in damaged:
        path.write_text(text, encoding="latin1")
        assert load("tables", tmp_path / "data").digest() == digest
        assert "is damaged" in capsys.readouterr().err
        assert path.read_text() == f"{first}\n{record}"


def test_a_full_disk_is_known_before_an_image_is_written(small, tmp_path, cache, monkeypatch):
    def full(file, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ResourceError, match=r"the disk is full: .* are needed"):
        load("tables", tmp_path / "data")
    (folder,) = cache.iterdir()
    assert not [*folder.iterdir()]


def test_rows_of_a_file_are_indexed_as_a_tensor(tmp_path):
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 40), np.uint8))
    path = tmp_path / "rows.bin"
    path.write_bytes(values.numpy().tobytes())
    table = torch.arange(255, -1, -1, dtype=torch.uint8)
    meant = table[values[:, 4:34].int()].view(9, 3, 5, 2)
    rows = FileRows(path, (9, 3, 5, 2), 4, 40, table)
    assert (rows.shape, rows.ndim, len(rows), rows.numel()) == (meant.shape, 4, 9, 270)
    several = [slice(2, 5), slice(None), slice(None, None, 3), 4, -1, torch.tensor(3)]
    several += [torch.tensor([8, 0, 0, -2]), torch.tensor([], dtype=torch.long), slice(4, 4)]
    several += [torch.arange(9) % 3 == 0, torch.zeros(9, dtype=torch.bool), slice(-3, None, 2)]
    several += [torch.tensor([[1, -9], [8, 3]]), torch.tensor([4, 2], dtype=torch.int32), None]
    several += [torch.tensor([], dtype=torch.int32), [3, -1], np.int64(7), ..., True]
    for which in several:
        for one in rows, copy.deepcopy(rows), pickle.loads(pickle.dumps(rows)):
            assert torch.equal(one[which], meant[which]), which
    assert torch.equal(rows.to(torch.device("cpu")), meant)
    assert torch.equal(torch.cat([*pieces(rows)]), meant)
    assert torch.equal(byte_counts(rows), torch.bincount(meant.flatten(), minlength=256))
    wrong = [9, -10, torch.tensor([3, 9]), torch.ones(8, dtype=torch.bool), torch.tensor([0.5])]
    for which in wrong:
        for one in rows, meant:
            with pytest.raises(IndexError):
                one[which]
    os.truncate(path, 300)
    with pytest.raises(DataError, match="has been cut"):
        FileRows(path, (9, 40))[:]


def test_images_on_the_device_are_brought_there_once_for_all_runs_and_not_read_ahead(
    small, tmp_path, monkeypatch
):
    write_masks(tmp_path / "data", 20, size=(8, 8))
    words = ["task=unet", f"data.path={tmp_path / 'data'}", *RUNS["unet"].split()]
    config, loaded = compose(words)[0], []

    def load(source):
        loaded[:] = loaded or [source.load()]
        return loaded[0]

    tasks = [build_task(config, load) for _ in range(2)]
    tasks[0].setup("fit")
    assert isinstance(tasks[0].train_loader(), ReadAhead)
    data, brought = build_task(config, load).data, []
    data.there = OnDevice()
    monkeypatch.setattr(image_dataset, "room_on", lambda device: 1e9)
    monkeypatch.setattr(FileRows, "to", lambda rows, _: brought.append(rows) or rows[:])
    for task, stage in itertools.product(tasks, ("fit", "evaluate")):
        task.setup(stage)
    assert brought == [data.images, data.masks]
    assert isinstance(task.train_loader(), ShuffledBatches)


def test_workers_that_share_a_gpu_share_what_data_may_take_of_it(monkeypatch):
    memory = SimpleNamespace(total_memory=2**34)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    cpu, gpu = map(torch.device, ("cpu", "cuda"))
    assert (on_device.room_on(cpu), on_device.room_on(gpu)) == (0, 2**32)
    monkeypatch.setenv(GPU_SHARE, "0.25")
    assert (on_device.room_on(cpu), on_device.room_on(gpu)) == (0, 2**30)


def test_a_process_reads_its_own_rows_ahead(tmp_path, monkeypatch):
    path = tmp_path / "rows.bin"
    path.write_bytes(bytes(60))
    rows, asked = FileRows(path, (20, 3)), []
    monkeypatch.setattr(os, "posix_fadvise", lambda file, start, size, _: asked.append(start // 3))
    batches = ShuffledBatches(torch.arange(20), 7, 0)
    for rank in range(3):
        next(iter(ReadAhead(batches, [rows], Shard(rank, 3))))
        batches.number = 0
        assert asked == batches.batch(1)[Shard(rank, 3, 7).index()].tolist()
        asked.clear()


RUNS = {
    "cnn": "data=images model.depth=8 model.width=4 data.batch_size=5 task.crop=1 task.flip=true "
    "task.mixup=0.2 task.cutmix=1.0",
    "diffusion": "data=images model.depth=1 model.width=4 task.timesteps=20 data.batch_size=5 "
    "data.test=0.2 task.frechet_samples=4 task.sample_every=0",
    "unet": "data=masks model.depth=1 model.width=4 data.batch_size=3",
}


def fit(folder, task, path, *more):
    given = [f"{key}={value}" for key, value in SMALL.items()]
    words = ["fit", f"task={task}", f"data.path={path}", *RUNS[task].split(), *given, *more]
    assert main([*words, f"run.dir={folder}"]) == 0
    return RunFolder(folder).result()


@pytest.mark.parametrize("task", ["cnn", pytest.param("diffusion", marks=pytest.mark.slow), "unet"])
def test_a_run_from_a_file_is_the_run_in_memory(task, tmp_path, monkeypatch):
    """Also one that ends in the middle of an epoch and goes on."""
    if task == "unet":
        write_masks(tmp_path / "data", 20, size=(8, 8))
    else:
        pets(tmp_path / "data", 24)
    monkeypatch.setattr("tasks.diffusion.frechet.STEPS", 2)
    expected = fit(tmp_path / "memory", task, tmp_path / "data", "trainer.max_steps=7")
    monkeypatch.setattr(decode, "LARGE", 0)
    fit(tmp_path / "file", task, tmp_path / "data", "trainer.max_steps=4")
    assert main(["fit", f"from={tmp_path / 'file'}", "trainer.max_steps=7"]) == 0
    result = RunFolder(tmp_path / "file").result()
    for key in "metrics", "data_digest", "chance", "curves":
        assert result[key] == expected[key]
    trained, others = weights(tmp_path / "file"), weights(tmp_path / "memory")
    assert trained.keys() == others.keys()
    assert all(torch.equal(trained[key], others[key]) for key in trained)
    assert rows(tmp_path / "file")[-1] == rows(tmp_path / "memory")[-1]


MEASURE = """
import sys
from tasks.data.images.sources import Images
from tasks.training.process_memory import forget_peak_memory
import datasets, PIL.Image, torch, tqdm
def own(key):
    line = next(line for line in open("/proc/self/status") if line.startswith(key))
    return int(line.split()[1]) / 1024
import threading, time
before = most = own("RssAnon")
def watch():
    global most
    while True:
        most = max(most, own("RssAnon"))
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
from tasks.data import decode
decode.LARGE = 0
data = Images(sys.argv[1]).load()
data.digest()
print(max(most, own("RssAnon")) - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(tmp_path):
    """MiB of its own that a process takes to prepare and read 10,000 and 60,000 images.

    In memory these would be 29 and 176.
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("memory is read from /proc")
    took = {}
    for count in (10_000, 60_000):
        folder = write_shards(tmp_path / str(count), count)
        given = [sys.executable, "-c", MEASURE, str(folder)]
        took[count] = float(subprocess.run(given, capture_output=True, check=True).stdout)
    assert took[60_000] < took[10_000] + 60


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, 1])
@pytest.mark.parametrize("task", sorted(RUNS))
def test_a_run_from_a_file_on_a_second_device(task, share, tmp_path, monkeypatch):
    """Whether the file fits into its memory or not, as the run whose images lie there."""
    write = write_masks if task == "unet" else pets
    write(tmp_path / "data", 24)
    monkeypatch.setattr("tasks.diffusion.frechet.STEPS", 2)
    monkeypatch.setattr(on_device, "SHARE", share)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)  # wants a driver
    again = {"trainer.accelerator": "auto", "trainer.max_steps": 4}
    given = [f"{key}={value}" for key, value in again.items()]
    with second_device():
        expected = fit(tmp_path / "memory", task, tmp_path / "data", *given)
        monkeypatch.setattr(decode, "LARGE", 0)
        result = fit(tmp_path / "file", task, tmp_path / "data", *given)
    assert result["machine"]["gpus"] == ["second device"]
    assert result["metrics"] == expected["metrics"]
