"""Reads the files that W&B writes offline, as `wandb sync` would: a log of records in blocks."""

import json
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

BLOCK = 32768  # bytes; records that do not fit are split over blocks
HEAD, TAIL = 7, (1, 4)  # bytes before each piece; kinds of piece that end a record


def records(file):
    """The whole records of a `.wandb` file; what a killed process left half written is left out."""
    data, place, found = Path(file).read_bytes(), HEAD, b""
    while place + HEAD <= len(data):
        room = BLOCK - place % BLOCK
        if room < HEAD:
            place += room
            continue
        size, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        piece = data[place + HEAD : place + HEAD + size]
        place += HEAD + size
        if len(piece) < size:
            return
        found += piece
        if kind in TAIL:
            yield Record.FromString(found)
            found = b""


def uploaded(file):
    """What W&B would show: the run's id, its config, the history by step and the summary."""
    shown = {"ids": set(), "config": {}, "history": [], "summary": {}, "ended": False}
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            shown["ids"].add(record.run.run_id)
            shown |= {"group": record.run.run_group, "job_type": record.run.job_type}
            shown["config"] |= {i.key: json.loads(i.value_json) for i in record.run.config.update}
        elif kind == "history":
            shown["history"].append(values(record.history.item))
        elif kind == "summary":
            shown["summary"] |= values(record.summary.update)
        elif kind == "exit":
            shown["ended"] = True
    return shown


def artifacts_of(files, kind):
    """The artifacts of a kind that the runs of some files have logged or used."""
    return [
        record.artifact
        for file in files
        for record in records(file)
        if record.WhichOneof("record_type") == "artifact" and record.artifact.type == kind
    ]


def values(items):
    """Keys and values of a record."""
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
