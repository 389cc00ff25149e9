"""The model card of a trained net, filled from the record of its run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tasks.inference.export.card_words import code, count, number, plain, table
from tasks.inference.trained_module import Trained
from zoo.config import registry
from zoo.config.catalogue import FIELDS, docstring_fields
from zoo.config.source_code import docstring
from zoo.errors import shown
from zoo.hub_folder import LIBRARY, LOCAL
from zoo.run_folder import AT_BEST, ENDED

RULES = ("connection", "long")  # groups whose choice is a rule with an equation
SHOWN = 40  # classes that are named
ALONE = """\
This is one run with one seed. It does not tell whether its rule is better than another one: that
takes runs in pairs, as `python -m zoo compare` makes them."""

AGAIN = [
    "`python -m zoo fit config=config.json` trains such a net anew, with the file of this folder; "
    "data that lay on the machine of the training are named by `data.path=`."
]


def card_of(
    net: Trained, known: dict[str, Any], comparison: Sequence[str], license: str | None
) -> str:
    """The card as Markdown, with what the Hub reads of it in front.

    Args:
        net: with its run's record.
        known: what `config.json` says of it.
        comparison: lines on the comparison that has the run; none: it is in none.
        license: that the card states; None: none.
    """
    sections = {
        "Use": use(net, known),
        "Rule": rule(net),
        "Data": data(net, known),
        "Results": results(net),
        "Comparison": comparison,
        "Cost": cost(net.result),
        "Limits": limits(net, bool(comparison)),
        "Again": AGAIN,
    }
    lines = ["---", front(net, known, license), "---", "", f"# {title(net)}"]
    for heading, said in sections.items():
        lines += ["", f"## {heading}", "", *said] if said else []
    return "\n".join(lines) + "\n"


def title(net: Trained) -> str:
    """The net in a few words: task, rule, depth and data."""
    choices, depth = net.config["choices"], net.config["model"].get("depth")
    rules = [choices[group] for group in RULES if choices.get(group)]
    parts = [net.task, *rules, *([f"depth {depth}"] if depth is not None else []), choices["data"]]
    return ", ".join(map(plain, parts))


def front(net: Trained, known: dict[str, Any], license: str | None) -> str:
    """What the Hub reads of a card, in YAML."""
    from huggingface_hub import EvalResult, ModelCardData

    choices, path = net.config["choices"], known["config"]["data"].get("path")
    sources = "; ".join(entry.get("source", "") for entry in rules(net).values())
    papers = [f"arxiv:{number}" for number in re.findall(r"arXiv:(\d{4}\.\d{4,5})", sources)]
    of_hub = isinstance(path, str) and path != LOCAL and "/" in path
    tags = [LIBRARY, "residual-connections", net.task, choices["connection"], *papers]
    name = shown(path if of_hub else choices["data"])
    found = [
        EvalResult(
            task_type=net.hub_task,
            dataset_type=name,
            dataset_name=name,
            dataset_split="test",
            metric_type=shown(metric),
            metric_value=value,
        )
        for metric, value in metrics(net).get("test", {}).items()
    ]
    data = ModelCardData(
        license=license,
        library_name=LIBRARY,
        pipeline_tag=None if net.hub_task == "other" else net.hub_task,
        tags=list(dict.fromkeys(map(shown, tags))),
        datasets=[name] if of_hub else None,
        metrics=sorted({result.metric_type for result in found}) or None,
        model_name=title(net).replace("\\", ""),
        eval_results=found or None,
    )
    return str(data.to_yaml()).rstrip()


def use(net: Trained, known: dict[str, Any]) -> list[str]:
    """How the net is loaded and called."""
    takes = [f"{name} [{', '.join(map(str, shape))}]" for name, shape in known["inputs"].items()]
    return [
        "```python",
        "import zoo  # residual-zoo",
        "",
        'net = zoo.load("USER/NAME")  # or a folder with these files',
        net.example,
        "```",
        "",
        f"The net alone, `net.module`, takes {code(', '.join(takes))}, as `net.prepare` makes them,"
        f" and gives {code(known['output'])}. The weights are those of the {known['weights']} step"
        + (" on validation" if known["weights"] == "best" else "")
        + "; nothing in these files is code.",
    ]


def rule(net: Trained) -> list[str]:
    """The equation, the state and the paper of each rule."""
    lines = []
    for group, entry in rules(net).items():
        lines.append(f"* {group}: {code(net.config['choices'][group])}. {plain(entry['summary'])}")
        for label in FIELDS:
            if words := entry.get(label.lower()):
                said = code(words) if label == "Equation" else plain(words)
                lines.append(f"    * {label}: {said}")
        if options := net.config.get(group):
            lines.append(
                f"    * Options: {code(', '.join(f'{k}={v}' for k, v in options.items()))}"
            )
    axes = [f"{group}={net.config['choices'][group]}" for group in ("norm", "init", "optimizer")]
    return [*lines, f"* Also: {code(', '.join(axes))}, seed {net.config['seed']}."]


def rules(net: Trained) -> dict[str, dict[str, Any]]:
    """What the catalogue says of each rule of the net."""
    chosen = {group: net.config["choices"].get(group) for group in RULES}
    dotted = {g: registry.class_path(g, name) for g, name in chosen.items() if name}
    return {group: docstring_fields(docstring(path)) for group, path in dotted.items()}


def data(net: Trained, known: dict[str, Any]) -> list[str]:
    """What the net was trained on."""
    lines = [f"* Data: {code(known['config']['choices']['data'])}"]
    if examples := net.result.get("examples"):
        sizes = ", ".join(f"{plain(part)} {count(size)}" for part, size in examples.items())
        lines.append(f"* Examples: {sizes}")
    classes = [] if "context" in known else [*net.classes]
    if classes:
        more = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
        lines.append(f"* Classes: {', '.join(map(plain, classes[:SHOWN]))}{more}")
    return [*lines, f"* SHA-256 of the data: {code(known['data_digest'])}"]


def metrics(net: Trained) -> dict[str, dict[str, float]]:
    """The metrics of the net's weights by part of the data."""
    found: dict[str, dict[str, float]] = {}
    for name, value in net.result.get("metrics", {}).items():
        at_best = name.endswith(AT_BEST)
        part, slash, metric = name.removesuffix(AT_BEST).partition("/")
        if slash and at_best == (net.weights == "best"):
            found.setdefault(part, {})[metric] = value
    return found


def results(net: Trained) -> list[str]:
    """A table of the metrics of every part, with what guessing reaches."""
    found, chance = metrics(net), net.result.get("chance", {})
    names = list(dict.fromkeys(name for of_part in found.values() for name in of_part))
    parts = [*found, *(["chance"] if chance else [])]
    columns = {**found, "chance": {n: chance.get(f"test/{n}") for n in names}}
    rows = [[plain(n), *(number(columns[part].get(n)) for part in parts)] for n in names]
    return table(["metric", *map(plain, parts)], rows) if rows else []


def cost(result: dict[str, Any]) -> list[str]:
    """What the net is in size, and what the run took."""
    machine = result.get("machine", {})
    device = ", ".join(machine.get("gpus") or [machine.get("cpu", "")])
    peak = result.get("peak_memory_bytes")
    facts = {
        "parameters": count(result.get("parameters")),
        "steps": count(result.get("steps")),
        "seconds": number(result.get("seconds")),
        "seconds a step": number(result.get("seconds_per_step")),
        "peak memory in MB": number(peak / 1e6 if peak else None),
        "device": plain(device),
        "versions": plain(", ".join(f"{k} {v}" for k, v in result.get("versions", {}).items())),
    }
    rows = [[key, said] for key, said in facts.items() if said]
    return table(["", ""], rows) if rows else []


def limits(net: Trained, compared: bool) -> list[str]:
    """What a reader must not take from the card."""
    status = net.result.get("status", "not ended")
    lines = [] if status in ENDED[:1] else [f"* The run is {plain(status)}: this is no result."]
    lines += [] if compared else [f"* {' '.join(ALONE.split())}"]
    tested = count(net.result.get("examples", {}).get("test"))
    lines += [f"* The test part has {tested} examples."] if tested else []
    return [*lines, "* It was trained to study residual connections, and for no other use."]
