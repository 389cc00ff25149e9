"""The record of `bench of=gpu` as a table for people."""

from __future__ import annotations

from typing import Any

COMPARISON = "time python -m zoo compare pairs=8 engine.per_gpu=14 together=8 mirror=false"


def cells(*values: Any) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(str, values))} |"


def head(*names: str) -> list[str]:
    """The first two rows of a table."""
    return ["", cells(*names), cells(*["---"] * len(names))]


def arithmetic(net: dict[str, Any]) -> tuple[str, str]:
    """TFLOP/s and their share of the peak in percent, where they are known."""
    tflops, share = net["tflops"], net["share"]
    return f"{tflops:.3g}" if tflops else "", f"{100 * share:.0f} %" if share else ""


def ours(name: str, net: dict[str, Any]) -> str:
    """The row of a net: time, rate, arithmetic and its share of the peak."""
    if "failed" in net:
        return cells(name, net["failed"], "", "", "")
    low, high = net["range"]
    time = f"{net['ms']:.2f} ({low:.2f} to {high:.2f})"
    rate = f"{net['rate']:,.0f} {net['unit']}"
    return cells(name, time, rate, *arithmetic(net))


def rules(record: dict[str, Any]) -> list[str]:
    """The table of rules: throughput against `residual`, eager and compiled, beside others'."""
    eager, compiled = record["rules"]["eager"], record["rules"]["compiled"]
    if not eager:
        return []
    titles = ("eager", "compiled", "theirs (hyper-connection-factory, 85M, H100)")
    lines = head("rule", *titles)
    published = record["published"]
    for name in [*eager, *(name for name in published if name not in eager)]:
        found = [against(each, name) for each in (eager, compiled)]
        theirs, number = published.get(name, ("", ""))
        lines.append(cells(name, *found, f"{theirs} {number}".strip()))
    for theirs, number in record["published_of_others"].items():
        lines.append(cells("not here", "", "", f"{theirs} {number}"))
    return [*lines, "", "throughput against `residual`: 0.5 takes twice the time of a step"]


def against(nets: dict[str, Any], name: str) -> str:
    """The throughput of a rule against `residual`, or why there is none."""
    net, usual = nets.get(name, {}), nets.get("residual", {})
    if "failed" in net:
        return str(net["failed"])
    return f"{usual['ms'] / net['ms']:.2f}" if "ms" in net and "ms" in usual else ""


def table(record: dict[str, Any]) -> str:
    """The record as text in Markdown."""
    lines = [
        f"{record['device']}, torch {record['torch']}, size={record['size']}, "
        f"{record['seconds']:.0f} s, {record['clock']}; bfloat16 by autocast but for `fit` "
        f"and GCNII, which are in float32 with matmul={record['matmul']}"
    ]
    if record["fit"]:
        lines += head("`fit` against the bare loop", "fit, ms", "bare, ms", "ratio")
    for name, loop in record["fit"].items():
        failed = loop.get("failed")
        numbers = [] if failed else [loop["fit_ms"], loop["bare_ms"]]
        shown = [f"{number:.2f}" for number in numbers] or [failed, ""]
        lines.append(cells(name, *shown, "" if failed else f"{loop['ratio']:.3f}"))
    if record["nets"]:
        lines += head("net", "a step, ms", "a second", "TFLOP/s", "of the peak")
    lines += [ours(name, net) for name, net in record["nets"].items()]
    lines += rules(record)
    left = ", ".join(record["left_out"]) or "nothing"
    lines += ["", f"left out for want of time: {left}"]
    lines.append(f"time the default comparison as well: {COMPARISON}")
    if record["lacking"]:
        lines.append(f"left out, not installed: {', '.join(record['lacking'])}")
    return "\n".join(lines)
