"""Tokens that are prepared once, and folders of tokens that others have prepared."""

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tasks.data import prepared_files, remembered
from tasks.data.text import prepared, sources, tokenize
from tasks.data.text.dataset import Text, token_type
from tasks.data.text.joined import JoinedTokens
from tasks.data.text.tokenizers import NumberTokenizer
from tasks.transformer.task import SequentialWindows
from zoo.cli.main import main
from zoo.config.registry import build
from zoo.errors import ConfigError, DataError, ResourceError
from zoo.run_folder import RunFolder

SAMPLE = "Fjällräven ¿ 犬と猫 😀 and plain words.\n" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test, and no text too small for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tokenize, "LARGE", 0)
    return tmp_path / "cache" / "residual-zoo" / "text"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sample.txt"
    path.write_text(SAMPLE, encoding="utf-8")
    return path


def load(path, **options):
    return build("data", "text", path=str(path), **options).load()


@pytest.mark.parametrize("kind", ["characters", "bytes", "bpe"])
def test_a_text_is_prepared_once(kind, file, cache, capsys):
    first = load(file, tokens=kind)
    (folder,) = cache.iterdir()
    assert "tokens are prepared once" in capsys.readouterr().err
    before = {path.name: path.stat() for path in folder.iterdir()}
    assert before.keys() == {prepared.TOKENS, prepared_files.RECORD}
    again = load(file, tokens=kind)
    assert {path.name: path.stat() for path in folder.iterdir()} == before
    assert not capsys.readouterr().err
    assert again.sha256() == again.digest() == first.digest()  # the kept one is that of the file
    assert again.sizes == first.sizes


@pytest.mark.parametrize("size", [2**15, 2**15 + 1, 2**16, 2**16 + 1])
def test_the_digest_is_that_of_numbers_with_a_sign(size):
    """As it was before tokens of 16 bits without a sign, so that older runs go on."""
    numbers = torch.tensor([0, size - 1, 5, 1, 2, 3])
    text = Text(numbers.to(token_type(size)), (4, 1, 1), NumberTokenizer(size), "here")
    assert text.tokens.tolist() == numbers.tolist()
    signed = torch.int16 if size <= 2**15 else torch.int32
    same = Text(numbers.to(signed), (4, 1, 1), NumberTokenizer(size), "here")
    assert text.digest() == same.digest()


@pytest.mark.fault(19)
@pytest.mark.parametrize("name", [prepared.TOKENS, prepared_files.RECORD])
def test_a_cut_file_of_the_cache_is_prepared_anew(name, file, cache, capsys):
    whole = load(file, tokens="bpe", vocabulary=300).digest()
    path = next(cache.iterdir()) / name
    path.write_bytes(path.read_bytes()[:-3])
    capsys.readouterr()
    assert load(file, tokens="bpe", vocabulary=300).sha256() == whole
    assert f"{path} is damaged" in capsys.readouterr().err


@pytest.mark.fault(27)
def test_a_full_disk_is_one_line_and_leaves_nothing_half(file, cache, monkeypatch):
    flushed = os.fsync

    def full(number):
        if "tokens" in os.readlink(f"/proc/self/fd/{number}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        flushed(number)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(ResourceError, match=r"the disk is full.* -- .*tokens\.bin -- free"):
            load(file)
    assert not [path for folder in cache.iterdir() for path in folder.iterdir()]
    assert load(file).sizes


def test_a_text_that_changes_between_its_readings_is_not_kept(file, cache, monkeypatch):
    survey = tokenize.Survey.of

    def then_changed(*args):
        found = survey(*args)
        file.write_text(SAMPLE.replace("plain", "brown"), encoding="utf-8")
        return found

    monkeypatch.setattr(tokenize.Survey, "of", then_changed)
    with pytest.raises(DataError, match="has changed while it was read"):
        load(file, tokens="bytes")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_several_readers_prepare_a_text_once(file, capsys):
    """Threads: the lock holds between any two that opened its file, as between processes."""
    with ThreadPoolExecutor(3) as readers:
        texts = [*readers.map(load, [file] * 3)]
    assert len({text.sha256() for text in texts}) == 1
    assert capsys.readouterr().err.count("prepared once") == 1


def test_a_large_file_that_has_not_changed_is_not_read_again(file, cache, monkeypatch):
    monkeypatch.setattr(remembered, "SMALL", 100)
    monkeypatch.setattr(remembered, "SETTLED", 0.0)
    first = load(file)
    with monkeypatch.context() as reading:
        reading.setattr(sources, "read_text", lambda *args: pytest.fail("it is read"))
        assert load(file).digest() == first.digest()
    stat = file.stat()
    file.write_text(SAMPLE.replace("plain", "plane"), encoding="utf-8")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # an old date hides no change
    assert file.stat().st_size == stat.st_size
    assert load(file).digest() != first.digest()


def test_a_file_that_was_just_written_is_read_again(file, monkeypatch):
    monkeypatch.setattr(remembered, "SMALL", 100)
    assert remembered.stamp([file]) == ""


def test_byte_pairs_that_a_text_cannot_fill_are_said(file):
    data = load(file, tokens="bpe", vocabulary=50257)
    (note,) = data.notes
    assert f"too short for more than {len(data.tokenizer)} of data.vocabulary=50257 symbols" in note
    assert not load(file, tokens="bpe", vocabulary=260).notes


# Tokens of others.


@pytest.fixture
def bins(tmp_path):
    """A folder as nanoGPT writes it, and its tokens."""
    folder = tmp_path / "bins"
    folder.mkdir()
    draws = np.random.default_rng(0)
    tokens = {"train": draws.integers(50257, size=500), "val": draws.integers(50257, size=81)}
    tokens["train"][7] = 50256
    for part, numbers in tokens.items():
        numbers.astype(np.uint16).tofile(folder / f"{part}.bin")
    return folder, tokens


def test_tokens_of_nanogpt_are_read_where_they_lie(bins, cache):
    folder, tokens = bins
    data = load(folder, tokens="bpe", vocabulary=50257)
    assert data.sizes == (500, 41, 40)  # the halves of val.bin
    for part, places in data.parts.items():
        whole = tokens["train"] if part == "train" else tokens["val"]
        start = {"train": 0, "val": 0, "test": 41}[part]
        expected = whole[start : start + len(places)].tolist()
        assert data.tokens[places.start : places.stop].tolist() == expected
        for starts, length in SequentialWindows(places, 5):
            windows = data.tokens[starts[:, None] + torch.arange(length)]
            first = (starts - places.start).tolist()
            assert windows.tolist() == [expected[at : at + length] for at in first]
    joined = torch.cat([torch.from_numpy(each.astype(np.int32)) for each in tokens.values()])
    same = Text(joined, data.sizes, data.tokenizer, "here")
    assert data.digest() == same.digest()
    assert not cache.exists()


def test_a_test_file_is_the_test_part(bins):
    folder, _ = bins
    np.arange(30, dtype=np.uint16).tofile(folder / "test.bin")
    data = load(folder, tokens="bpe", vocabulary=50257)
    assert data.sizes == (500, 81, 30)
    places = data.parts["test"]
    assert data.tokens[places.start : places.stop].tolist() == list(range(30))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "train.bin holds numbers, not characters -- .*data.vocabulary=NUMBER"),
        ({"tokens": "bpe", "vocabulary": 50256}, "token 50256 is none of 50256 symbols .*=50257"),
        ({"tokens": "bytes"}, "is none of 256 symbols .*data.tokens=bpe data.vocabulary=50257"),
        ({"tokens": "bpe", "text": "x"}, "data.text=x, but a folder of tokens has no rows"),
        ({"tokens": "bpe", "val": 0.2}, "data.val=0.2, but the parts of tokens are files"),
    ],
)
def test_wrong_options_for_tokens_are_one_line(options, words, bins):
    with pytest.raises(ConfigError, match=words):
        load(bins[0], **options)


def test_numbers_of_16_bits_that_are_read_as_wider_ones_are_said_to_be(bins):
    with pytest.raises(
        DataError, match=r"162 bytes are no whole .* data\.vocabulary=65536 or less"
    ):
        load(bins[0], tokens="bpe", vocabulary=65537)
    np.arange(80, dtype=np.uint16).tofile(bins[0] / "val.bin")
    with pytest.raises(ConfigError, match=r"is none of 65537 .* data\.vocabulary=65536 or less"):
        load(bins[0], tokens="bpe", vocabulary=65537)


def test_a_file_of_tokens_is_no_text(bins):
    with pytest.raises(DataError, match=f"holds tokens, not text .*data.path={bins[0]}$"):
        load(bins[0] / "train.bin", tokens="bpe")


@pytest.mark.fault(19)
def test_broken_files_of_tokens_are_named(bins):
    folder, _ = bins
    val = folder / "val.bin"
    for content, words in (b"123", "3 bytes are no whole number of tokens"), (b"", "is empty"):
        val.write_bytes(content)
        with pytest.raises(DataError, match=rf"{words}.*val\.bin"):
            load(folder, tokens="bpe", vocabulary=50257)
    val.unlink()
    with pytest.raises(DataError, match=r"no val\.bin"):
        load(folder, tokens="bpe", vocabulary=50257)


def test_tokens_are_known_again_until_a_file_changes(bins, cache, monkeypatch):
    folder, tokens = bins
    monkeypatch.setattr(remembered, "SMALL", 100)
    monkeypatch.setattr(remembered, "SETTLED", 0.0)
    first = load(folder, tokens="bpe", vocabulary=50257)
    assert len([*(cache.parent / "known").iterdir()]) == 1
    assert load(folder, tokens="bpe", vocabulary=50257).digest() == first.sha256()
    tokens["train"][8] = 50300
    tokens["train"].astype(np.uint16).tofile(folder / "train.bin")
    with pytest.raises(ConfigError, match="token 50300"):
        load(folder, tokens="bpe", vocabulary=50257)


def test_a_small_gpt2_learns_tokens_goes_on_and_continues_them(bins, tmp_path, capsys):
    words = ["task=transformer", "preset=gpt2", f"data.path={bins[0]}", "model.depth=1"]
    words += ["model.width=8", "model.heads=2", "model.context=8", "trainer.accumulate=1"]
    words += ["logger=none", "trainer.accelerator=cpu", "optimizer.warmup=1"]
    run = tmp_path / "run"
    assert main(["fit", *words, f"run.dir={run}", "trainer.max_steps=2"]) == 0
    result = RunFolder(run).result()
    assert result["parameters"] > 8 * 50257
    assert "test/perplexity" in result["metrics"]
    assert "test/bits_per_character" not in result["metrics"]  # nobody knows the characters
    assert main(["fit", f"from={run}", "trainer.max_steps=3"]) == 0
    capsys.readouterr()
    assert main(["--json", "sample", f"from={run}", "prompt=464 11", "tokens=3"]) == 0
    numbers = [int(word) for word in json.loads(capsys.readouterr().out)["text"].split()]
    assert numbers[:2] == [464, 11]
    assert len(numbers) == 5
    assert max(numbers) < 50257
    assert main(["--json", "sample", f"from={run}", "tokens=3"]) == 0  # as `fit` proposes
    assert len(json.loads(capsys.readouterr().out)["text"].split()) == 3
    assert main(["sample", f"from={run}", "prompt=The cat"]) == 2
    assert "'The' is no number of a token below 50257" in capsys.readouterr().err


MEASURE = """
import sys, threading, time
from tasks.data.text import tokenize
from tasks.data.text.sources import TextFile
tokenize.LARGE = 0
def own():
    line = next(line for line in open("/proc/self/status") if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024
import tqdm
before = most = own()
def watch():
    global most
    while True:
        most = max(most, own())
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
TextFile(sys.argv[1], tokens=sys.argv[2], vocabulary=1000).load()
print(max(most, own()) - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_memory_does_not_grow_with_the_text(kind, tmp_path):
    """MiB of its own that a process takes for texts of 4 and 24 MB of the same 20,000 words."""
    if not sys.platform.startswith("linux"):
        pytest.skip("memory is read from /proc")
    draws = np.random.default_rng(0)
    words = ["".join(draws.choice([*"etaoinshrdlu"], draws.integers(2, 9))) for _ in range(20_000)]
    took = {}
    for size in (4, 24):
        path = tmp_path / f"{size}.txt"
        with path.open("w") as out:
            for _ in range(size * 10):
                out.write(" ".join(draws.choice(words, 16_000)) + "\n")
        given = [sys.executable, "-c", MEASURE, str(path), kind]
        took[size] = float(subprocess.run(given, capture_output=True, check=True).stdout)
    assert took[24] < took[4] + 20


def test_joined_tokens_are_one_row():
    files = [torch.arange(5), torch.arange(5, 9), torch.arange(9, 20)]
    row = JoinedTokens(files)
    assert torch.cat([*row.split(3)]).tolist() == list(range(20)) == [*range(len(row))]
    for first, last in (0, 5), (5, 9), (10, 20):
        assert row[first:last].tolist() == list(range(first, last))
        assert row[torch.arange(first, last)[:, None]].tolist() == [[i] for i in range(first, last)]
