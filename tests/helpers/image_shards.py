"""Generated images with a class each in Parquet shards, as the Hub keeps them.

As a program: python tests/helpers/image_shards.py FOLDER COUNT
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE, CLASSES = 32, 10
ROWS = 50_000  # of a shard
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"_type": "ClassLabel", "names": [*map(str, range(CLASSES))]},
}


def shard(number, rows):
    """A table of PNGs of `SIDE` pixels: the colour of a class under blocks of noise."""
    rng = np.random.default_rng(number)
    colours = np.random.default_rng(0).integers(40, 216, (CLASSES, 3))
    labels = rng.integers(0, CLASSES, rows)
    blocks = rng.integers(-40, 40, (rows, SIDE // 4, SIDE // 4, 3)) + colours[labels][:, None, None]
    cells = []
    for index, small in enumerate(blocks.astype(np.uint8)):
        file = io.BytesIO()
        pixels = small.repeat(4, 0).repeat(4, 1)
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        cells.append({"bytes": file.getvalue(), "path": f"{number}-{index}.png"})
    table = pa.table({"image": cells, "label": labels})
    info = json.dumps({"info": {"features": FEATURES}})
    return table.replace_schema_metadata({"huggingface": info})


def write_shards(folder, count):
    """Shards with `count` images, and the folder that they are in."""
    sizes = [min(ROWS, count - first) for first in range(0, count, ROWS)]
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(sizes):
        name = f"train-{number:05}-of-{len(sizes):05}.parquet"
        pq.write_table(shard(number, rows), folder / "data" / name, row_group_size=1000)
    return folder


if __name__ == "__main__":
    write_shards(Path(sys.argv[1]), int(sys.argv[2]))
