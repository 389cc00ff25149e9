"""The report of a run at its end: a table of its metrics, and commands that can follow."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from tasks.data.splits import PARTS
from zoo.config import registry
from zoo.errors import quoted, shown
from zoo.report import Report
from zoo.run_folder import AT_BEST, RunFolder

WIDTH = 100  # columns of a line that would be longer
FILES = ("tasks.cnn.predict.PredictLabels", "tasks.unet.predict.PredictMasks")  # that want some


def end_report(result: dict[str, Any], folder: RunFolder, code: int = 0) -> Report:
    """The report of a run that was trained: its table and, where it is done, what can follow."""
    lines = [table(result, folder)] if code else [table(result, folder), next_steps(result, folder)]
    return Report(result, "\n".join(lines), code)


def table(result: Mapping[str, Any], folder: RunFolder) -> str:
    """Metrics by part of the data at the last and the best step, and where the run lies."""
    metrics: Mapping[str, float] = result["metrics"]
    names = [name for name in metrics if name.partition("/")[0] in PARTS]
    names = [name for name in names if not name.endswith(AT_BEST)]
    kinds = list(dict.fromkeys(name.partition("/")[2] for name in names))
    kinds = [kind for kind in kinds if "/" not in kind]  # not those of single classes
    parts = list(dict.fromkeys(name.partition("/")[0] for name in names))
    lines = []
    if metrics:
        last, best = f"step {result['steps']}", f"best val/loss: step {result['best_step']}"
        size = max(12, 2 + max(map(len, kinds)))
        wide = size * len(kinds)
        lines.append(f"{'':<6}{last:>{wide}}   {best:>{max(wide, len(best))}}")
        heading = "".join(f"{kind:>{size}}" for kind in kinds)
        lines.append(f"{'':<6}{heading}   {heading}")
    for part in parts:
        halves = (
            "".join(
                f"{metrics.get(f'{part}/{kind}{at}', float('nan')):>{size}.4f}" for kind in kinds
            )
            for at in ("", AT_BEST)
        )
        lines.append(f"{part:<6}" + "   ".join(halves))
    lines += lines_by_class(metrics, parts[-1]) if parts else []
    others = [name for name in metrics if name.partition("/")[0] not in PARTS]
    lines += [f"{name} {metrics[name]:.4f}" for name in others]
    for name, value in result.get("chance", {}).items():
        if name.startswith("test/"):
            lines.append(f"the best answer that ignores the input has {name} {value:.4f}")
    lines.append(
        f"{result['status']}: {result['task']}, {result['connection']}, {result['data']}, "
        f"depth {result['depth']}, seed {result['seed']}: "
        f"{result['steps']} steps in {result['seconds']:.1f} s, "
        f"{result['parameters']:,} parameters"
    )
    return "\n".join([*lines, f"run folder: {shown(str(folder.path))}"])


def next_steps(result: Mapping[str, Any], folder: RunFolder) -> str:
    """Two commands that can follow a finished run: one uses it, one compares its connection."""
    task, rule = result["task"], result["connection"]
    verbs: dict[str, str] = registry.resolve("task", task).verbs  # type: ignore[attr-defined]
    verb = next((verb for verb in ("predict", "sample") if verb in verbs), "test")
    path = " path=FILES" if verbs.get(verb) in FILES else ""
    pair = "plain,residual" if rule in ("plain", "residual") else f"residual,{rule}"
    source = quoted([f"from={folder.path}"])
    return (
        f"next: python -m zoo {verb} {source}{path}\n"
        f"      python -m zoo compare task={task} connection={pair}"
    )


def lines_by_class(metrics: Mapping[str, float], part: str) -> list[str]:
    """Lines of the metrics of single classes or levels of noise, such as `test/iou/road`."""
    values: dict[str, list[str]] = {}
    for name, value in metrics.items():
        kind, _, which = name.rpartition("/")
        if kind.startswith(f"{part}/") and not which.endswith(AT_BEST):
            values.setdefault(kind, []).append(f"{which}\N{NO-BREAK SPACE}{value:.4f}")
    text = (textwrap.fill(f"{kind}  {', '.join(each)}", WIDTH) for kind, each in values.items())
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in text]
