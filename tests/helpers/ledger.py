"""The table of measured claims, made from the heads of `notebooks/results/*.md`."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
MARKS = "<!-- ledger -->", "<!-- /ledger -->"
HEADS = ["claim", "command", "ours", "published", "machine, date"]


def claims():
    """The head of every file that claims something, in the order of its `row`."""
    found = []
    for path in (ROOT / "notebooks" / "results").glob("*.md"):
        empty, mark, rest = path.read_text(encoding="utf-8").partition("---\n")
        if mark and not empty:
            found.append({"file": path, **yaml.safe_load(rest.partition("\n---\n")[0])})
    return sorted(found, key=lambda head: head["row"])


def table():
    """The claims as a table in Markdown."""
    lines = [f"| {' | '.join(HEADS)} |", "| --- " * len(HEADS) + "|"]
    for head in claims():
        link = f"[{head['claim']}]({head['file'].relative_to(ROOT)})"
        when = f"{head['machine']}, {head['date']}"
        lines.append(
            f"| {link} | `{head['command']}` | {head['ours']} | {head['published']} | {when} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    page = ROOT / "README.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    page.write_text(f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}", encoding="utf-8")
