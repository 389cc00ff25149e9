"""Draws the workspace of a comparison at W&B from the runs that it left offline.

    python tests/helpers/draw_wandb.py runs/compare-default notebooks/wandb.png

It shows what the files hold, in the order in which W&B sorts it; the page around it is our drawing.
"""

import json
import sys
import textwrap
from collections import Counter
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image
from read_wandb import records, uploaded

WIDE, SIDE = 15.0, 3.0  # inches: the page and its list of runs
HEAD, TALLEST = 0.6, 3.6  # inches: of what stands above panels, of a panel
ROWS, COLUMNS = 7, 7  # of a table that are shown
LETTERS, LINES = 14, 6  # of an inch of a table, of a cell
GREY, DARK, LINE = "#f5f6f8", "#22262d", "#d4d8df"


def comparison(folder):
    """The file of the run of the comparison, and all runs of its group."""
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    runs = [uploaded(file) for file in files]
    (chosen,) = [f for f, run in zip(files, runs, strict=True) if run["job_type"] == "comparison"]
    return chosen, runs


def panels_of(file):
    """Every panel by its key, in W&B's order: a picture, or a table of columns and rows."""
    (row,) = uploaded(file)["history"]
    files = [r.artifact for r in records(file) if r.WhichOneof("record_type") == "artifact"]
    tables = {entry.path: entry.local_path for a in files for entry in a.manifest.contents}
    for key in sorted(name.removesuffix("/_type") for name in row if name.endswith("/_type")):
        if row[f"{key}/_type"] == "image-file":
            yield key, Image.open(file.parent / "files" / row[f"{key}/path"])
        else:
            table = json.loads(Path(tables[f"{key}.table.json"]).read_text())
            yield key, (table["columns"], table["data"])


def shown(value, letters):
    """A cell of a table in a few short lines."""
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return "\n".join(textwrap.wrap(text, letters, max_lines=LINES, placeholder=" …"))


def height_of(panel, width):
    """The height of a panel of some width, in inches."""
    if isinstance(panel, Image.Image):
        return min(TALLEST, width * panel.height / panel.width)
    return HEAD + min(TALLEST, 0.42 * (1 + min(ROWS, len(panel[1]))))


def draw_panel(axes, key, panel, width):
    """Draws a picture or the first rows and columns of a table, below its key.

    Args:
        axes: where.
        key: of the panel.
        panel: the picture or table.
        width: of the panel, in inches.
    """
    axes.set(xticks=[], yticks=[])
    axes.set_title(key, size=8, loc="left", color=DARK)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    if isinstance(panel, Image.Image):
        axes.imshow(panel)
        axes.set_anchor("NW")
        return
    columns, rows = panel
    most = max(13, int(LETTERS * width / min(COLUMNS, len(columns))))
    cells = [[shown(name, 13) for name in columns[:COLUMNS]]]
    cells += [[shown(value, most) for value in row[:COLUMNS]] for row in rows[:ROWS]]
    letters = [max(8, *(len(line) for row in cells for line in row[i].split("\n")))
               for i in range(len(cells[0]))]  # fmt: skip
    widths = [count / sum(letters) for count in letters]
    drawn = axes.table(cells, colWidths=widths, cellLoc="left", bbox=(0, 0, 1, 1))
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(6)
    for (row, _), cell in drawn.get_celld().items():
        cell.set(edgecolor=LINE, facecolor=GREY if row == 0 else "white")


def page(folder):
    """The workspace as a figure: the runs of the group beside the sections of the comparison."""
    file, runs = comparison(folder)
    sections = {}
    for key, panel in panels_of(file):
        sections.setdefault(key.partition("/")[0], []).append((key, panel))
    width = WIDE - SIDE
    heights = [
        HEAD + max(height_of(panel, width / len(panels)) for _, panel in panels)
        for panels in sections.values()
    ]
    figure = Figure(figsize=(WIDE, sum(heights)), layout="constrained")
    side, main = figure.subfigures(1, 2, width_ratios=(SIDE, width))
    side.set_facecolor(GREY)
    jobs = Counter(run["job_type"] for run in runs)
    (group,) = {run["group"] for run in runs}
    lines = [f"Runs ({len(runs)})", f"group: {group}", "", "by job type:"]
    lines += [f"  {job} ({count})" for job, count in sorted(jobs.items())]
    lines += ["", "cells by place and arm:"]
    cells = Counter((run["config"]["place"], run["config"]["arm"]) for run in runs
                    if run["job_type"] == "cell")  # fmt: skip
    lines += [f"  {place}, {arm} ({count})" for (place, arm), count in sorted(cells.items())]
    side.text(0.05, 0.99, "\n".join(lines), va="top", size=8, color=DARK, linespacing=1.6)
    parts = main.subfigures(len(sections), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (name, panels) in zip(parts, sections.items(), strict=True):
        part.suptitle(f"▾ {name}   {len(panels)}", x=0.01, ha="left", size=10, weight="bold")
        every = part.subplots(1, len(panels), squeeze=False)[0]
        for axes, (key, panel) in zip(every, panels, strict=True):
            draw_panel(axes, key, panel, width / len(panels))
    return figure


if __name__ == "__main__":
    page(Path(sys.argv[1])).savefig(sys.argv[2], dpi=80)
