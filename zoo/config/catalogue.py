"""The catalogue of registered names, read from YAML files and docstrings without heavy imports."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

from zoo.config import registry
from zoo.config.source_code import docstring

FIELDS = ("Equation", "State", "Start", "Cost", "Source")
LISTED = tuple(sorted((*registry.GROUPS, *registry.BESIDE)))  # groups that `list` shows
COMMENTED = ("preset", "compare")  # groups whose files describe themselves in a leading comment
COSTS = Path(__file__).with_name(
    "costs.json"
)  # times and memory of `--json bench of=rules task=cnn norm=pre`, by mode


def docstring_fields(text: str) -> dict[str, str]:
    """The first sentence and the labelled paragraphs of a docstring.

    >>> docstring_fields("A rule.\\n\\nEquation: x' = x\\nState: one\\n    tensor.")
    {'summary': 'A rule.', 'equation': "x' = x", 'state': 'one tensor.'}
    """
    entry = {"summary": text.partition("\n\n")[0].replace("\n", " ")}
    label = None
    for line in text.splitlines():
        head, colon, rest = line.partition(": ")
        if colon and head in FIELDS:
            label = head.lower()
            entry[label] = rest.strip()
        elif label and line.startswith("    "):
            entry[label] += " " + line.strip()
        else:
            label = None
    return entry


def group(name: str) -> list[dict[str, Any]]:
    """An entry for every registered name of a group: its description and its options."""
    entries = []
    for entry in registry.names(name):
        if name in COMMENTED:
            lines = registry.find(name, entry).read_text(encoding="utf-8").splitlines()
            comments = itertools.takewhile(lambda line: line.startswith("#"), lines)
            described = {
                "summary": " ".join(
                    line.lstrip("# ") for line in comments if "@package" not in line
                )
            }
        else:
            described = docstring_fields(docstring(registry.class_path(name, entry)))
        options = {} if name in COMMENTED else registry.options(name, entry)
        costs = {"measured": measured(entry)} if name == "connection" else {}
        entries.append({"name": entry, **described, **costs, "options": options})
    return entries


def measured(rule: str) -> dict[str, float]:
    """Time and memory of a step under a rule, relative to `residual`; empty if never measured."""
    costs = {}
    for mode, rules in json.loads(COSTS.read_text(encoding="utf-8")).items():
        if rule in rules:
            costs[f"{mode} time"] = round(rules[rule]["time"], 2)
            costs["memory"] = round(rules[rule]["memory"], 2)
    return costs


def page() -> str:
    """The table of `zoo/connections/README.md`: every connection, with links to its papers."""
    modes = ["eager time", "compiled time", "memory"]
    heads = ["rule", "equation", "state", "start", "cost", *modes, "paper"]
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for entry in group("connection"):
        papers = []
        for author, number in re.findall(r"([^;]*?),? (?:arXiv:(\d{4}\.\d{4,5}))", entry["source"]):
            papers.append(f"[{author.strip()}](https://arxiv.org/abs/{number})")
        cells = [f"`{entry['name']}`"]
        cells += [entry[key].rstrip(".").replace("|", "\\|") for key in ("equation", "state")]
        cells += [entry[key].rstrip(".").replace("|", "\\|") for key in ("start", "cost")]
        cells += [f"{entry['measured'].get(mode, '')}" for mode in modes]
        lines.append("| " + " | ".join([*cells, ", ".join(papers)]) + " |")
    return "\n".join(lines)


def overview() -> list[dict[str, Any]]:
    """An entry for every group, which lists its names."""
    return [{"name": name, "summary": ", ".join(registry.names(name))} for name in LISTED]


def table(entries: list[dict[str, Any]]) -> str:
    """Entries as lines of text."""
    width = max((len(entry["name"]) for entry in entries), default=0) + 2
    lines = []
    for entry in entries:
        lines.append(f"{entry['name']:<{width}}{entry['summary']}")
        for label in FIELDS:
            if label.lower() in entry:
                lines.append(f"{'':<{width}}{label.lower() + ':':<10}{entry[label.lower()]}")
        if entry.get("measured"):
            costs = (f"{key} x{value}" for key, value in entry["measured"].items())
            lines.append(f"{'':<{width}}{'measured:':<10}{'; '.join(costs)}; residual is x1")
        if entry.get("options"):
            options = ", ".join(f"{k}={v}" for k, v in entry["options"].items())
            lines.append(f"{'':<{width}}{'options:':<10}{options}")
    return "\n".join(lines)
