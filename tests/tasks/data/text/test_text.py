"""Texts: symbols, parts, files that are read in chunks, large ones, and what is refused."""

import itertools
import math

import numpy as np
import pytest
import torch
from small_texts import make_task, plain_text

from tasks.data.text import text_stream, tokenize
from tasks.data.text.dataset import RandomWindows, Text
from tasks.data.text.presets import Shakespeare
from tasks.data.text.pydoc import PyDoc
from tasks.data.text.sources import TextFile
from tasks.data.text.tokenizers import ByteTokenizer, CharTokenizer, NumberTokenizer, letters
from tasks.training.hooks import Passes
from tasks.training.optimizers import AdamW
from tasks.transformer.task import SequentialWindows
from zoo.config.registry import build
from zoo.errors import ConfigError, DataError
from zoo.shard import WHOLE, Shard, set_shard

SAMPLE = "Fjällräven ¿ 犬と猫 😀 and plain words.\n" * 40


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sample.txt"
    path.write_text(SAMPLE, encoding="utf-8")
    return path


def load(path, **options):
    return build("data", "text", path=str(path), **options).load()


def decoded(data, part):
    places = data.parts[part]
    return data.tokenizer.decode(data.tokens[places.start : places.stop].tolist())


def test_pydoc_is_the_text_of_help():
    from pydoc_data.topics import topics

    data = PyDoc().load()
    whole = "".join(decoded(data, part) for part in ("train", "val", "test"))
    assert whole == "\n".join(topics[name] for name in sorted(topics))
    assert data.sizes[1] == pytest.approx(0.05 * len(whole), abs=1)
    assert data.sizes[2] == pytest.approx(0.05 * len(whole), abs=1)
    assert len(data.tokenizer) == len(set(whole))
    assert data.digest() == PyDoc(batch_size=3).load().digest() != PyDoc(val=0.1).load().digest()


@pytest.mark.parametrize("kind", ["characters", "bytes"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 2**20])
def test_parts_of_a_file_in_chunks(kind, chunk, file, monkeypatch):
    """No character is lost or cut, wherever chunks and parts end."""
    monkeypatch.setattr(text_stream, "CHUNK", chunk)
    for val, test in [(0.1, 0.2), (0.101, 0.2), (0.1013, 0.2007)]:
        data = load(file, tokens=kind, val=val, test=test)
        parts = [decoded(data, part) for part in ("train", "val", "test")]
        assert "".join(parts) == SAMPLE
        assert len(parts[2]) == pytest.approx(test * len(SAMPLE), rel=0.1)


def test_a_part_begins_with_the_next_whole_character(tmp_path):
    text = "aä犬😀😀犬äa"  # of one to four bytes
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8")
    starts = [len(text[:i].encode()) for i in range(len(text) + 1)]
    for at in range(starts[-1] + 1):
        assert text_stream.character_start(path, at) == min(
            start for start in starts if start >= at
        )


@pytest.mark.parametrize("kind", ["characters", "bytes"])
def test_a_large_text_lies_in_a_file(kind, file, cache, monkeypatch):
    small = load(file, tokens=kind)
    assert not cache.exists()
    monkeypatch.setattr(tokenize, "LARGE", 100)
    assert load(file, tokens=kind).digest() == small.digest()
    folder = cache / "residual-zoo" / "text"
    assert [path.name.partition("-")[2] for path in folder.iterdir()] == [kind]
    file.write_text(SAMPLE + "more", encoding="utf-8")
    assert load(file, tokens=kind).digest() != small.digest()
    assert len(list(folder.iterdir())) == 2


def test_a_tokenizer_of_numbers_takes_no_memory():
    """A folder of the Hub may say any size; no memory holds a value for each of so many."""
    assert len(NumberTokenizer(10**15)) == 10**15


def test_characters_of_symbols():
    """Every character begins in one symbol, so lengths add up to the text."""
    for tokenizer in (CharTokenizer(SAMPLE), ByteTokenizer()):
        lengths = np.array(tokenizer.lengths)
        assert lengths[tokenizer.encode(SAMPLE)].sum() == len(SAMPLE)
        assert tokenizer.decode(tokenizer.encode(SAMPLE).tolist()) == SAMPLE


def test_letters_of_bytes_are_those_of_gpt2():
    """Radford et al. 2019, encoder.py: 256 different letters that print; space is Ġ."""
    assert len(set(letters())) == 256
    assert (letters()[0], letters()[10], letters()[32], letters()[65]) == ("Ā", "Ċ", "Ġ", "A")
    assert letters()[127:161] == [chr(256 + 33 + i) for i in range(34)]


def test_byte_pairs(file):
    pytest.importorskip("tokenizers")
    data = load(file, tokens="bpe", vocabulary=300)
    assert 256 < len(data.tokenizer) <= 300
    assert decoded(data, "train") + decoded(data, "val") + decoded(data, "test") == SAMPLE
    assert len(data.tokens) < len(SAMPLE.encode()) / 3
    lengths = torch.tensor(data.tokenizer.lengths)
    assert int(lengths[data.tokens.long()].sum()) == len(SAMPLE)
    again = load(file, tokens="bpe", vocabulary=300)
    assert again.digest() == data.digest()


@pytest.mark.parametrize("kind", ["characters", "bytes", "bpe"])
def test_metadata_reads_and_writes_as_the_text_did(kind, file):
    data = load(file, tokens=kind)
    restored = Text.from_metadata(data.metadata())
    assert restored.tokenizer.encode(SAMPLE).tolist() == data.tokenizer.encode(SAMPLE).tolist()
    assert restored.tokenizer.decode(data.tokens.tolist()) == SAMPLE


def test_byte_pairs_without_their_library(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(ConfigError, match="pip install tokenizers"):
        build("data", "text", path="x", tokens="bpe")


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"a", "part is empty"),
        (b"good text " * 9 + b"\xff more", "byte 90 is 0xff, not UTF-8"),
        (b"good text " * 9 + b"\xe4", "byte 90 is 0xe4, not UTF-8"),
        ("grün".encode("utf-16"), "byte 0 is 0xff, not UTF-8"),
    ],
)
def test_broken_files_are_named(content, words, tmp_path, monkeypatch):
    path = tmp_path / "broken.txt"
    path.write_bytes(content)
    for chunk in (3, 2**20):
        monkeypatch.setattr(text_stream, "CHUNK", chunk)
        with pytest.raises(DataError, match=words) as caught:
            load(path)
        assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_no_data_set():
    with pytest.raises(DataError, match=r"no such file -- input\.txt -- give"):
        load("input.txt")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give data.path=FILE"),
        ({"path": "x", "val": 0.5, "test": 0.5}, "leave nothing for training"),
        ({"path": "x", "tokens": "words"}, "data.tokens='words' is refused"),
        ({"path": "x", "vocabulary": 256}, "data.vocabulary=256 is refused"),
        ({"path": "x", "val": 0.0}, "data.val=0.0 is refused"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ConfigError, match=words):
        build("data", "text", **options)


def rows(folder, splits, **columns):
    """A folder in the Hub's layout."""
    from datasets import Dataset

    for split, texts in splits.items():
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_dict({"text": texts, **columns}).to_parquet(path)


def test_rows_of_a_data_set(tmp_path):
    splits = {"train": ["one", "two\n", "", "four"], "validation": ["five"], "test": ["six"]}
    rows(tmp_path / "set", splits)
    data = load(tmp_path / "set")
    assert decoded(data, "train") == "one\ntwo\n\nfour\n"
    assert (decoded(data, "val"), decoded(data, "test")) == ("five\n", "six\n")


def test_splits_that_are_not_there_are_shares(tmp_path):
    rows(tmp_path / "set", {"train": [str(i) for i in range(10)]}, other=["x"] * 10)
    data = load(tmp_path / "set", val=0.2, test=0.1)
    assert decoded(data, "train") == "".join(f"{i}\n" for i in range(7))
    assert (decoded(data, "val"), decoded(data, "test")) == ("7\n8\n", "9\n")
    other = load(tmp_path / "set", text="other", val=0.2, test=0.1)
    assert set(decoded(other, "train")) == {"x", "\n"}
    with pytest.raises(ConfigError, match="no text column 'txt'"):
        load(tmp_path / "set", text="txt")
    rows(tmp_path / "one", {"train": ["all in one row"]})
    with pytest.raises(DataError, match="1 rows are too few"):
        load(tmp_path / "one")


# Windows.


@pytest.mark.parametrize(("size", "context"), [(21, 5), (20, 5), (6, 5), (1000, 7)])
def test_every_token_but_the_first_is_a_target_once(size, context):
    places = range(100, 100 + size)
    targets = []
    for starts, length in SequentialWindows(places, context):
        targets += (starts[:, None] + torch.arange(1, length + 1)).flatten().tolist()
    assert targets == list(places)[1:]


def test_windows_of_a_limited_evaluation_are_spread():
    batches = list(SequentialWindows(range(1000), 10, 7))
    starts = torch.cat([starts for starts, _ in batches])
    assert len(starts) <= 7
    assert starts[0] == 0
    assert starts[-1] > 800
    assert set(starts.diff().tolist()) == {150}


def test_batches_follow_from_their_number():
    first = list(zip(range(30), RandomWindows(50, 8, seed=1), strict=False))
    for (_, expected), batch in zip(
        first[20:], RandomWindows(50, 8, seed=1, number=20), strict=False
    ):
        assert torch.equal(expected, batch)
    seen = torch.cat([batch for _, batch in first])
    assert (int(seen.min()), int(seen.max())) == (0, 49)
    assert not torch.equal(RandomWindows(50, 8, seed=2).batch(0), first[0][1])


# The task.


def measured(task, part):
    """As the trainer does it."""
    task.setup("test")
    task.on_validation_epoch_start()
    with torch.no_grad():
        for index, batch in enumerate(Passes(task.loader, part)):
            task.validation_step(batch, index)
    task._trainer = type("One", (), {"world_size": 1})()
    return task.metrics(part)


def test_shakespeare_is_cut_as_nanogpt_does(tmp_path):
    """Of 1,115,394 characters int(0.9 * n) are for training; validation and test halve the rest."""
    path = tmp_path / "input.txt"
    path.write_text(("To be, or not to be: that is the question.\n" * 26_000)[:1_115_394])
    data = Shakespeare(str(path)).load()
    assert data.sizes == (1_003_854, 55_770, 55_770)


@pytest.mark.parametrize("size", [10, 20, 100, 1000])
def test_round_shares_are_cut_where_they_say(size):
    """0.9 of 100 is 90, although 1 - 0.05 - 0.05 is a little less than 0.9 in floating point."""
    for val, test in itertools.product([0.05, 0.1, 0.2, 0.3], repeat=2):
        expected = size * (100 - round(100 * val) - round(100 * test)) // 100
        assert text_stream.part_starts(size, val, test)[0] == expected


def test_shakespeare_is_found_in_its_folder(tmp_path):
    (tmp_path / "input.txt").write_text(
        "First Citizen:\nBefore we proceed any further, hear me.\n" * 9
    )
    whole, again = (Shakespeare(str(p)).load() for p in (tmp_path / "input.txt", tmp_path))
    assert again.digest() == whole.digest()
    assert again.sizes == whole.sizes
    with pytest.raises(DataError, match="no such file"):
        Shakespeare(str(tmp_path / "..")).load()


@pytest.mark.parametrize("tokenizer", [None, ByteTokenizer()])
def test_metrics_of_a_uniform_model(tokenizer):
    """Its loss is the logarithm of the vocabulary; bits count characters, not bytes."""
    data = plain_text("äöü€" * 30, tokenizer)
    task = make_task(data)
    torch.nn.init.zeros_(task.model.stem.token.weight)
    metrics = measured(task, "val")
    nats = math.log(len(data.tokenizer))
    targets = data.parts["val"][1:]
    characters = sum(data.tokenizer.lengths[data.tokens[position]] for position in targets)
    assert metrics["loss"] == pytest.approx(nats)
    assert metrics["perplexity"] == pytest.approx(len(data.tokenizer))
    expected = nats * len(targets) / math.log(2) / characters
    assert metrics["bits_per_character"] == pytest.approx(expected)


def test_loss_is_that_of_windows_read_one_by_one():
    data = plain_text("the quick brown fox jumps over the lazy dog. " * 6)
    task = make_task(data)
    loss = measured(task, "test")["loss"]
    tokens = data.tokens[data.parts["test"].start :].long()
    total, start = 0.0, 0
    with torch.no_grad():
        while start < len(tokens) - 1:
            x, y = tokens[start : start + 8], tokens[start + 1 : start + 9]
            logits = task.model(x[None, : len(y)])[0]
            total += torch.nn.functional.cross_entropy(logits, y, reduction="sum").item()
            start += 8
    assert loss == pytest.approx(total / (len(tokens) - 1), rel=1e-5)


def test_chance_is_the_unigram_loss():
    data = plain_text("aab" * 10 + "ab" * 20 + "b" * 20, sizes=(30, 40, 20))
    chance = make_task(data).chance_metrics()
    mixed = -(math.log(11 / 32) + math.log(21 / 32)) / 2
    assert chance == {
        "val/loss": pytest.approx(mixed), "test/loss": pytest.approx(-math.log(11 / 32))
    }  # fmt: skip


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_a_part_shorter_than_the_context_is_refused(name):
    sizes = tuple(8 if part == name else 40 for part in ("train", "val", "test"))
    data = plain_text("ab" * 44, sizes=sizes)
    with pytest.raises(DataError, match=f"the {name} part has 8 tokens, model.context=8"):
        make_task(data)


def test_the_whole_batch_is_the_mean_over_processes():
    data = plain_text("the quick brown fox jumps over the lazy dog. " * 6)
    task = make_task(data)
    task.setup("fit")
    batch = next(iter(task.train_loader()))
    whole = task.loss(batch)
    shares = []
    for rank in range(3):
        shares.append(task.loss(batch, Shard(rank, 3)))
    set_shard(WHOLE)
    torch.testing.assert_close(torch.stack(shares).mean(), whole)


def test_the_rate_falls_to_its_minimum():
    """nanoGPT: linear warm-up, then a cosine from lr to min_lr."""
    options = AdamW(lr=1e-3, min_lr=1e-4, schedule="cosine", warmup=100)
    rates = [1e-3 * options.rate_schedule(2000).factor(step) for step in (99, 100, 1050, 2000)]
    assert rates == pytest.approx([1e-3, 1e-3, 5.5e-4, 1e-4])
    with pytest.raises(ConfigError, match="above lr"):
        build("optimizer", "adamw", lr=1e-5, min_lr=1e-4)


def test_text_needs_no_path_for_the_hub():
    from tasks.data.text.presets import WikiText

    assert WikiText().path == "Salesforce/wikitext"
    assert isinstance(WikiText(), TextFile)
