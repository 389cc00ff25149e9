"""Images of odd modes, sizes and orientations, and broken ones."""

import numpy as np
import pytest
from image_files import cells, encoded, pets, photo, write_parquet, write_tree
from PIL import Image

from tasks.data.encoded import Encoded, pixels
from tasks.data.images.sources import Images
from zoo.errors import DataError

RGB = (200, 100, 50)


def read(content, mode="rgb", size=None):
    return pixels(Encoded(content, "train", 0), mode, size)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of its own for every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))


def half(mode="RGBA"):
    """Two pixels of one colour: the left one opaque, the right one half transparent."""
    image = Image.new("RGBA", (2, 1), (*RGB, 255))
    image.putpixel((1, 0), (*RGB, 128))
    return image.convert(mode)


@pytest.mark.fault(11)
@pytest.mark.parametrize(
    ("image", "kind", "rgb"),
    [
        (Image.new("L", (2, 1), 70), "PNG", [[70] * 3, [70] * 3]),
        (Image.new("1", (2, 1), 1), "PNG", [[255] * 3, [255] * 3]),
        (Image.new("RGB", (2, 1), RGB), "PNG", [RGB, RGB]),
        (Image.new("RGB", (2, 1), RGB).quantize(2), "PNG", [RGB, RGB]),
        (half(), "PNG", [RGB, [100, 50, 25]]),
        (half(), "TIFF", [RGB, [100, 50, 25]]),
        (half("LA"), "PNG", [[124] * 3, [62] * 3]),
        (Image.new("CMYK", (2, 1), (55, 155, 205, 0)), "TIFF", [RGB, RGB]),
        (Image.fromarray(np.array([[0, 65535]], np.uint16)), "PNG", [[0] * 3, [255] * 3]),
        (Image.fromarray(np.array([[257, 25700]], np.uint16)), "TIFF", [[1] * 3, [100] * 3]),
        (Image.fromarray(np.array([[257, 25700]], np.uint16)), "PPM", [[1] * 3, [100] * 3]),
    ],
)
def test_modes(image, kind, rgb):
    content = encoded(image, kind)
    values = read(content)
    assert values.dtype == np.uint8
    assert values.shape == (3, 1, 2)
    assert np.abs(values[:, 0].T.astype(int) - np.array(rgb)).max() <= 1
    grey = read(content, "grey")
    assert grey.shape == (1, 1, 2)
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs(grey[0, 0] - np.array(rgb) @ weights).max() <= 1.5


def test_a_palette_with_a_transparent_colour():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([*RGB, 10, 20, 30])
    image.putpixel((1, 0), 1)
    values = read(encoded(image, "PNG", transparency=1))
    assert values[:, 0].T.tolist() == [[*RGB], [0, 0, 0]]


def test_cmyk_jpeg():
    values = read(encoded(Image.new("CMYK", (8, 8), (55, 155, 205, 0)), "JPEG"))
    assert np.abs(values[:, 4, 4].astype(int) - RGB).max() <= 4


def test_exif_orientation_is_followed():
    image = photo()
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    turned = read(encoded(image, exif=exif))
    assert (turned == np.rot90(read(encoded(image)), -1, (1, 2))).all()


def test_size_scales_the_shorter_side_and_cuts_the_centre():
    stripes = np.zeros((8, 24, 3), np.uint8)
    stripes[:, 6:18] = 255
    stripes[:, :4] = 90
    values = read(encoded(Image.fromarray(stripes)), size=4)
    assert values.shape == (3, 4, 4)
    assert (values == 255).all()
    same = photo(size=(5, 5))
    assert (read(encoded(same), size=5) == read(encoded(same))).all()


def test_images_of_several_sizes_need_a_size(tmp_path):
    pets(tmp_path, 20)
    other = [{"bytes": encoded(photo(size=(9, 7))), "path": "big.png"}]
    write_parquet(tmp_path, "test", image=other, label=[1])
    with pytest.raises(DataError, match=r"image 0 of split test .*big.png.* is 7x9, .* 4x6"):
        Images(str(tmp_path)).load()
    assert Images(str(tmp_path), size=4).load().images.shape == (21, 3, 4, 4)


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        encoded(photo(size=(60, 60)))[:2000],
        encoded(photo(size=(60, 60)), "JPEG")[:900],
        encoded(photo(size=(60, 60)), "WEBP")[:900],
        encoded(photo(), "EPS"),  # would start another program
        encoded(Image.fromarray(np.ones((4, 6), np.float32)), "TIFF"),
        None,
        {"bytes": None, "path": "/no/such/file.png"},
        {"bytes": None, "path": None},
    ],
)
def test_unreadable_images(tmp_path, content):
    assert isinstance(read(content), str)
    images = cells(12)
    images[3] = content if isinstance(content, dict) else {"bytes": content, "path": None}
    write_parquet(tmp_path, image=images, label=[0, 1] * 6)
    with pytest.raises(DataError, match=r"image 3 of split train .*be read") as caught:
        Images(str(tmp_path)).load()
    assert "data.on_bad=skip" in str(caught.value)
    data = Images(str(tmp_path), on_bad="skip").load()
    assert (data.skipped, len(data.images)) == (1, 11)
    assert data.labels.tolist() == [0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1]


def test_a_broken_file_of_a_tree_is_named(tmp_path):
    write_tree(tmp_path / "pets", {("train", "cat"): 6, ("train", "dog"): 6})
    path = tmp_path / "pets" / "train" / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=f"image 8 of split train .{path}. cannot be read"):
        Images(str(tmp_path / "pets")).load()
    path.write_bytes(encoded(photo()))
    assert Images(str(tmp_path / "pets")).load().skipped == 0  # not what the cache remembers
    for path in (tmp_path / "pets").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="none of 12 images"):
        Images(str(tmp_path / "pets"), on_bad="skip").load()
