"""Small data sets of every layout that a data source reads."""

import pickle

import numpy as np
import scipy.sparse
from image_files import IMAGE, encoded, photo
from PIL import Image
from small_graphs import write_geom_gcn, write_ogbn

SIDE = 8
NAMES = ("red", "green", "blue")


def make_files(folder):
    """Writes all of them below a folder, each with a second one of the same kind."""
    for number, name in enumerate(("first", "second")):
        pictures(folder / f"pictures-{name}", number)
        pictures(folder / f"cifar-{name}", number, splits=("train", "test"))
        streets(folder / f"streets-{name}", number)
        pets(folder / f"pets-{name}", number)
        shown(folder / f"shown-{name}", number)
        written(folder / f"text-{name}.txt", number)
        rows(folder / f"rows-{name}", number)
        webkb(folder / f"webkb-{name}", number)
        citations(folder / f"planetoid-{name}", number)
        graph(folder / f"graph-{name}.npz", number)
        write_ogbn(folder / f"ogbn-{name}", seed=number)
        write_ogbn(folder / f"ogbn-{name}", seed=number + 2, split="sales_ranking")
    rng = np.random.default_rng(0)
    np.savez(
        folder / "nodes.npz", x=rng.normal(size=(9, 8)), edge_index=rng.integers(9, size=(2, 20))
    )
    pictures(folder / "pictures-broken", 0, broken=True)
    streets(folder / "streets-broken", 0, broken=True)
    pets(folder / "pets-broken", 0, broken=True)


def table(folder, config, split, features=None, **columns):
    """One split of one configuration, in a folder whose README names them as on the Hub."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.table(columns)
    if features is not None:
        info = json.dumps({"info": {"features": features}})
        made = made.replace_schema_metadata({"huggingface": info})
    place = folder / config
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, place / f"{split}.parquet")
    lines = []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        lines += [f"- config_name: {each.name}", "  data_files:"]
        lines[-1:-1] = ["  default: true"] if each.name in ("one", "wikitext-103-raw-v1") else []
        for file in sorted(each.iterdir()):
            lines += [f"  - split: {file.stem}", f"    path: {each.name}/{file.name}"]
    (folder / "README.md").write_text("\n".join(["---", "configs:", *lines, "---", ""]))


SPLITS = {"train": 24, "more": 18, "validation": 6, "test": 6}


def cells(images, broken=False):
    made = [{"bytes": encoded(image), "path": f"{i}.png"} for i, image in enumerate(images)]
    return [*made[:-1], {"bytes": b"no image", "path": "broken.png"}] if broken else made


def pictures(folder, seed, broken=False, splits=tuple(SPLITS)):
    """Images with classes: two columns of each, as in CIFAR-100."""
    label = {"_type": "ClassLabel", "names": list(NAMES)}
    features = {"img": IMAGE, "other": IMAGE, "label": label, "fine_label": label}
    features |= {"coarse_label": {**label, "names": list(NAMES[:2])}}
    for which, config in enumerate(("one", "two")):
        for part, split in enumerate(splits):
            first, count = 1000 * seed + 100 * which + 30 * part, SPLITS[split]
            images = [photo(first + i, (SIDE, SIDE)) for i in range(count)]
            others = [photo(500 + first + i, (SIDE, SIDE)) for i in range(count)]
            table(
                folder,
                config,
                split,
                features,
                img=cells(images, broken and split == "train"),
                other=cells(others),
                label=[i % 3 for i in range(count)],
                fine_label=[(i + 1) % 3 for i in range(count)],
                coarse_label=[i % 2 for i in range(count)],
            )


def labels(seed, values):
    """A mask that holds each of the values."""
    drawn = np.random.default_rng(seed).choice(np.array(values, np.uint8), (SIDE, SIDE))
    drawn.flat[: len(values)] = values
    return Image.fromarray(drawn)


def streets(folder, seed, broken=False):
    """Images with masks of eleven classes and one of none: two columns of each."""
    features = dict.fromkeys(("image", "image_b", "mask", "mask_b"), IMAGE)
    for which, config in enumerate(("one", "two")):
        for part, (split, count) in enumerate(SPLITS.items()):
            first = 1000 * seed + 100 * which + 30 * part
            many = {
                "image": [photo(first + i, (SIDE, SIDE)) for i in range(count)],
                "image_b": [photo(500 + first + i, (SIDE, SIDE)) for i in range(count)],
                "mask": [labels(first + i, range(12)) for i in range(count)],
                "mask_b": [labels(500 + first + i, range(12)) for i in range(count)],
            }
            images = {name: cells(some) for name, some in many.items()}
            images["image"] = cells(many["image"], broken and split == "train")
            table(folder, config, split, features, **images)


def pets(folder, seed, broken=False):
    """The two archives of the Oxford-IIIT pets."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations" / "trimaps").mkdir(parents=True)
    for name, count in {"trainval": 24, "test": 6}.items():
        names = [f"{name}_{i}" for i in range(count)]
        lines = "".join(f"{each} 1 1 1\n" for each in names)
        (folder / "annotations" / f"{name}.txt").write_text(lines)
        for i, each in enumerate(names):
            photo(100 * seed + i, (16, 16)).save(folder / "images" / f"{each}.jpg")
            mask = labels(100 * seed + i, (1, 2, 3)).resize((16, 16), Image.Resampling.NEAREST)
            mask.save(folder / "annotations" / "trimaps" / f"{each}.png")
    if broken:
        (folder / "images" / "trainval_3.jpg").write_bytes(b"no image")


def shown(folder, seed):
    """Two images to be told what they show."""
    folder.mkdir()
    for i in range(2):
        photo(100 * seed + i, (20, 24)).save(folder / f"{i}.png")


def words(seed, count):
    """Some text of few words."""
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(["the", "stream", "adds", "what", "a", "branch", "says"], count))


def written(path, seed):
    path.write_text(words(seed, 2000))


def rows(folder, seed):
    """Texts in the layout of the Hub: two configurations, two columns."""
    for which, config in enumerate(("wikitext-103-raw-v1", "wikitext-2-raw-v1")):
        for part, (split, count) in enumerate(SPLITS.items()):
            first = 1000 * seed + 100 * which + 30 * part
            table(
                folder,
                config,
                split,
                text=[words(first + i, 60) for i in range(count)],
                title=[words(500 + first + i, 40) for i in range(count)],
            )


def webkb(folder, seed):
    """Raw files of two universities and of the film actors, with ten splits each."""
    for where, name in {"texas": "texas", "cornell": "cornell", "actor": "film"}.items():
        raw = folder / where / "raw"
        nodes = 20 + 2 * seed + (name == "cornell")
        write_geom_gcn(raw, nodes)
        for split in range(10):
            part = (np.arange(nodes) + split) % 3
            masks = {f"{key}_mask": part == i for i, key in enumerate(("train", "val", "test"))}
            np.savez(raw / f"{name}_split_0.6_0.2_{split}.npz", **masks)


def citations(folder, seed):
    """Raw files of three citation networks: 20 training nodes, 500 for validation, 10 to test."""
    for number, name in enumerate(("cora", "citeseer", "pubmed")):
        rng = np.random.default_rng(10 * seed + number)
        known, test = 540, 10
        x = scipy.sparse.csr_matrix((rng.random((known + test, 9)) < 0.3).astype(np.float32))
        y = np.eye(3, dtype=np.int32)[np.arange(known + test) % 3]
        neighbours = rng.integers(0, known + test, (known + test, 3)).tolist()
        content = {"x": x[:20], "y": y[:20], "allx": x[:known], "ally": y[:known]}
        content |= {"tx": x[known:], "ty": y[known:], "graph": dict(enumerate(neighbours))}
        folder.mkdir(exist_ok=True)
        for part, value in content.items():
            (folder / f"ind.{name}.{part}").write_bytes(pickle.dumps(value))
        order = "".join(f"{node}\n" for node in range(known, known + test))
        (folder / f"ind.{name}.test.index").write_text(order)


def graph(path, seed):
    rng = np.random.default_rng(seed)
    part = np.arange(30) % 3
    parts = {name: part == i for i, name in enumerate(("train", "val", "test"))}
    edges = rng.integers(0, 30, (2, 90))
    np.savez(path, x=rng.random((30, 5)), edge_index=edges, y=np.arange(30) % 2, **parts)
