"""Options of image sources, folders that hold none, and a Hub that does not answer."""

import pytest
from image_files import pets

from tasks.data import hub
from tasks.data.images.cifar import CIFAR10
from tasks.data.images.sources import Images
from zoo.config.registry import build
from zoo.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))


def test_mean_and_std_can_be_given(tmp_path):
    pets(tmp_path)
    norms = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    data = build("data", "images", path=str(tmp_path), **norms).load()
    assert (data.mean, data.std) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    grey = Images(str(tmp_path), mode="grey").load()
    values = grey.images[grey.train].double() / 255
    assert grey.mean == pytest.approx([values.mean().item()])
    assert grey.std == pytest.approx([values.std(correction=0).item()])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs data.path"),
        ({"path": "x", "mean": [0.5]}, "has 1 numbers, mode=rgb 3"),
        ({"path": "x", "mode": "grey", "std": [0.5, 0.5]}, "has 2 numbers, mode=grey 1"),
        ({"path": "x", "std": [0.5, 0.0, 0.5]}, "greater than 0"),
        ({"path": "x", "mode": "bgr"}, "data.mode='bgr' is refused"),
        ({"path": "x", "size": 0}, "data.size=0 is refused"),
        ({"path": "x", "val": 1.0}, "data.val=1.0 is refused"),
        ({"path": "x", "on_bad": "ignore"}, "data.on_bad='ignore' is refused"),
        ({"path": "x", "train": "all"}, "unknown option data.train"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(ConfigError, match=words):
        build("data", "images", **options)


def test_folders_that_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.parquet").write_bytes(b"PAR1")
    (tmp_path / "broken" / "data").mkdir(parents=True)
    (tmp_path / "broken" / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 junk")
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "script.py").write_text("open('../canary', 'w').close()")
    for path, words in {
        "empty": "put Parquet files",
        "file.parquet": "a file, not a folder",
        "broken": "copy it again",
        "script": "no images and no Parquet files, but script.py",
        str(tmp_path / "none"): "no such folder",
        "./none": "no such folder",
        "a/b/c": "no such folder",
    }.items():
        with pytest.raises(DataError, match=words):
            Images(path).load()
    assert not (tmp_path / "canary").exists()
    pets(tmp_path / "pets")
    with pytest.raises(ConfigError, match=r"data\.name="):
        Images("pets", name="big").load()


def answer(monkeypatch, error):
    def info(self, path, timeout):
        raise error

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", info)


def test_a_hub_that_does_not_answer(monkeypatch, tmp_path):
    answer(monkeypatch, ConnectionError("no route"))
    with pytest.raises(
        DataError, match=r"does not answer.* -- uoft-cs/cifar10 .cache: .*"
    ) as caught:
        CIFAR10().load()
    assert str(caught.value).endswith("give data.path=FOLDER")


def test_an_id_that_the_hub_does_not_have(monkeypatch):
    from huggingface_hub.errors import RepositoryNotFoundError

    with pytest.raises(DataError, match=r"correct data\.path"):
        Images("no such/id").load()
    answer(monkeypatch, RepositoryNotFoundError.__new__(RepositoryNotFoundError))
    with pytest.raises(DataError, match="open to you -- somebody/pets"):
        Images("somebody/pets").load()


def test_what_was_downloaded_is_there_without_the_hub(monkeypatch, tmp_path):
    """The library keeps what it downloads under the id, as it keeps a folder under its name."""
    pets(tmp_path / "pets")
    local = Images(str(tmp_path / "pets")).load()
    hub.download(str(tmp_path / "pets"), None)
    home = tmp_path / ".cache" / "residual-zoo" / "datasets"
    (home / "pets").rename(home / "somebody___pets")
    answer(monkeypatch, ConnectionError("no route"))
    assert Images("somebody/pets").load().digest() == local.digest()


def test_a_local_folder_wins_over_the_hub(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    pets(tmp_path / "uoft-cs" / "cifar10")
    assert len(Images("uoft-cs/cifar10").load().images) == 20
