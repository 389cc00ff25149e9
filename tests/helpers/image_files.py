"""Folders of images in the Hub's layout, which tests write."""

import io
import json

import numpy as np
from PIL import Image


def photo(seed=0, size=(6, 4), mode="RGB"):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8)).convert(mode)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def write_tree(folder, counts):
    """`SPLIT/CLASS/NUMBER.png`, as many images as `counts[SPLIT, CLASS]`."""
    for number, ((split, name), count) in enumerate(counts.items()):
        place = folder / split / name
        place.mkdir(parents=True)
        for i in range(count):
            (place / f"{i}.png").write_bytes(encoded(photo(100 * number + i)))


def write_parquet(folder, split="train", features=None, **columns):
    """One split; `features` names the types of columns as the Hub writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(columns)
    if features is not None:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")


IMAGE = {"_type": "Image"}
CLASSES = {"_type": "ClassLabel", "names": ["cat", "dog"]}


def cells(count, start=0):
    return [{"bytes": encoded(photo(start + i)), "path": f"{i}.png"} for i in range(count)]


def pets(folder, count=20, split="train", labels=None):
    labels = [i % 2 for i in range(count)] if labels is None else labels
    features = {"image": IMAGE, "label": CLASSES}
    write_parquet(folder, split, features, image=cells(count), label=labels)
