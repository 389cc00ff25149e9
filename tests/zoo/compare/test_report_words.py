"""The words of reports: titles, labels, the first table, methods, and tables for papers."""

import csv
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_comparison import made
from read_page import Page

from zoo.compare.analysis.analyse import analysed
from zoo.compare.analysis.record import Record
from zoo.compare.analysis.statistics import Interval
from zoo.compare.analysis.summaries import Sources
from zoo.compare.design.plan import plan
from zoo.compare.design.spec import declare
from zoo.compare.design.tuning import tuned_options
from zoo.compare.execution.tuning_runs import Tuned
from zoo.compare.report import tables, tables_across
from zoo.compare.report.join_sources import join_declared, join_runs
from zoo.compare.report.methods import methods
from zoo.compare.report.papers import escaped, gaps_csv, latex
from zoo.compare.report.sources import read_source
from zoo.compare.report.title import title
from zoo.compare.report.verdict_table import verdict_table
from zoo.compare.report.write import write_all
from zoo.compare.underway import Underway

TASKS = ("cnn", "unet", "transformer", "gnn", "diffusion")
PLACES = [(task, depth) for task in TASKS for depth in (2, 56)]
TWO = ["plain", "residual"]


def record_of(folder):
    source = read_source(folder)
    source.record.cells = join_runs([source])
    return analysed(source.record, [folder])


def change(folder, chosen, **values):
    """Changes the results of some runs."""
    for cell in json.loads((folder / "compare.json").read_text())["cells"]:
        path = folder / "cells" / cell["id"] / "result.json"
        if chosen(cell):
            path.write_text(json.dumps(json.loads(path.read_text()) | values))


@dataclass
class Made:
    """A comparison of five tasks and its reports.

    The gap of deep gnn goes away at the best step, and deep diffusion takes twice the time.
    """

    folder: Path
    pairs: int
    record: Record
    page: Page
    terminal: str


@pytest.fixture(scope="module", params=[3, 8])
def usual(request, tmp_path_factory):
    pairs = request.param
    folder = made(tmp_path_factory.mktemp("made") / "here", TWO, PLACES, pairs)

    def deep(task):
        return lambda c: (c["depth"], c["task"]) == (56, task)

    change(folder, deep("gnn"), metrics={"train/accuracy": 0.9, "test/accuracy_at_best_val": 0.8})
    change(folder, lambda c: deep("diffusion")(c) and c["arm"] == "residual", seconds_per_step=0.08)
    record = record_of(folder)
    out = write_all(record, folder)
    return Made(folder, pairs, record, Page(folder / "report.html"), out)


@pytest.mark.parametrize(
    ("arms", "places", "said"),
    [
        (TWO, PLACES, "plain against residual, 5 tasks, depth 2 to 56"),
        (TWO, [("cnn", None)], "plain against residual, cnn"),
        (["a", "b", "c"], [("cnn", 2), ("gnn", 2)], "a against b and c, cnn and gnn, depth 2"),
        ([*"abcde"], [("cnn", 4), ("cnn", 2)], "a against 4 arms, cnn, depth 2 to 4"),
        (["plain", "x" * 99], [("cnn", 2)], "plain against " + "x" * 23 + "…, cnn, depth 2"),
    ],
)
def test_titles_are_made_from_the_axes(arms, places, said, tmp_path):
    assert title(record_of(made(tmp_path / "here", arms, places, 1))) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ""),
        (["optimizer.lr=0.1"], ", lr 0.1"),
        (["model.width=16"], ", width 16"),
        (["data.nodes=100"], ", nodes 100"),
        (["trainer.max_epochs=null", "trainer.max_steps=5"], ", max_epochs null, max_steps 5"),
        (["logger=none", "pairs=2"], ""),  # which changes no run
        (["tune=lr"], ", lr tuned"),
    ],
)
def test_a_title_has_what_the_command_line_fixes(words, said):
    words = ["task=gnn", "model.depth=2", "pairs=1", *words]
    name, options, axes = declare(words)
    whole = plan(options, axes)
    tuned = Tuned(whole, tuned_options(options, whole, axes))
    declared = Underway(name, words, options, tuned, None, None).declared
    record = Record(schema=1, name=name, command="", declared=declared, cells=[])
    assert title(record) == f"plain against residual{said}"


def test_a_word_that_the_declaration_has_is_not_in_the_title():
    for shortcut, fixed in {"A": {}, "B": {"model.shortcut": "B"}}.items():
        words = ["task=unet", f"model.shortcut={shortcut}", "model.depth=1", "pairs=1"]
        _, options, axes = declare(words)
        assert plan(options, axes).fixed == fixed


def test_a_report_that_is_written_again_has_the_same_title(tmp_path):
    folders = [made(tmp_path / n, TWO, [(n, 2)], 1) for n in ("cnn", "gnn")]
    for folder, width in zip(folders, ("16", "8"), strict=True):
        record = json.loads((folder / "compare.json").read_text())
        record["declared"]["fixed"] = {"optimizer.lr": "0.1", "model.width": width}
        (folder / "compare.json").write_text(json.dumps(record))
    sources = [read_source(folder) for folder in folders]
    assert join_declared(sources[:1]).fixed == {"optimizer.lr": "0.1", "model.width": "16"}
    assert join_declared(sources).fixed == {"optimizer.lr": "0.1"}


@pytest.mark.parametrize(
    ("pairs", "test", "waiting", "verdict"),
    [(8, "fixed", 0, True), (7, "fixed", 0, False), (8, "auto", 0, True), (7, "auto", 0, False),
     (10, "fixed", 2, False), (10, "auto", 2, True)],
)  # fmt: skip
def test_a_slope_needs_as_many_pairs_as_a_gap(pairs, test, waiting, verdict, tmp_path):
    folder = made(tmp_path / "here", TWO, [("cnn", 2), ("cnn", 56)], pairs + waiting)
    for cell in json.loads((folder / "compare.json").read_text())["cells"]:
        if cell["pair"] >= pairs:
            shutil.rmtree(folder / "cells" / cell["id"])
    source = read_source(folder)
    source.record.declared.test = test
    source.record.cells = join_runs([source])
    record = analysed(source.record, [folder])
    (slope,) = record.slopes
    (contrast,) = record.places[-1].contrasts
    assert len(slope.each) == contrast.pairs == pairs
    assert slope.needed == contrast.needed
    assert tables_across.enough(slope) == verdict
    row = dict(zip(tables_across.growth(record).columns, tables_across.growth(record).rows[0],
                   strict=True))  # fmt: skip
    assert (row["p (Holm)"] != "too few pairs") == verdict
    table = verdict_table(record)
    assert table.rows[0][table.columns.index("with depth")].claim == verdict


def test_the_title_stands_above_every_report(usual):
    words = "plain against residual, 5 tasks, depth 2 to 56"
    assert f"<title>{words}</title>" in usual.page.source
    assert (usual.folder / "report.md").read_text().startswith(f"# {words}\n")
    assert usual.terminal.startswith(f"{words}\n")


def test_the_first_table_has_short_words_and_what_must_stand_beside_them(usual):
    record, pairs = usual.record, usual.pairs
    table = verdict_table(record)
    assert table.columns[:4] == ["task", "shallow (exploratory)", "deep", "with depth"]
    rows = {str(row[0]).partition(",")[0]: dict(zip(table.columns, row, strict=True))
            for row in table.rows}  # fmt: skip
    assert list(rows) == list(TASKS)
    gaps = {place.title: place.contrasts[0] for place in record.places}
    for task, row in rows.items():
        *_, words = row["deep"].lines
        assert words == gaps[f"{task}, depth 56"].verdict
        assert row["deep"].claim == row["with depth"].claim == (pairs == 8)
        assert not row["shallow (exploratory)"].claim
        bound = {3: 63, 8: 31}[pairs]
        assert str(row["failed to train"]) == f"depth 56: none in {pairs} (up to {bound} % each)"
        assert ("2.00 times the time a step" in str(row["warnings"])) == (task == "diffusion")
        assert bool(str(row["at the best step"])) == (task == "gnn")
        assert ";" not in " ".join(map(str, row.values()))
    *_, words = rows["gnn"]["at the best step"].lines
    assert words == f"the same in {pairs} of {pairs}"
    assert str(rows["cnn"]["task"]) == "cnn, test accuracy"


def test_an_arm_that_diverged_stands_in_the_first_table(tmp_path):
    def status(cell):
        return "diverged" if cell["arm"] == "plain" and cell["depth"] == 56 else "done"

    record = record_of(made(tmp_path / "here", ["plain", "a", "b"], PLACES[:2], 8, (), status))
    table = verdict_table(record)
    assert table.columns[:2] == ["task", "arm"]
    cells = [str(dict(zip(table.columns, row, strict=True))["failed to train"])
             for row in table.rows]  # fmt: skip
    assert cells == [
        f"depth 56: plain fails to train more often: {arm} 0 of 8 (up to 31 %), "
        "plain 8 of 8 (up to 100 %)"
        for arm in "ab"
    ]


def test_every_format_has_what_a_p_can_be(usual):
    record, pairs, folder = usual.record, usual.pairs, usual.folder
    head = ["smallest effect", "test examples", "p", "p (Holm)", "least p"]
    table = tables.gaps(record)
    assert [name for name in table.columns if name in head] == head
    least = {3: "0.250", 8: "0.00781"}[pairs]
    row = dict(zip(table.columns, table.rows[1], strict=True))
    expected = {3: ["too few pairs"] * 2, 8: [least, "0.0391"]}[pairs]  # five hypotheses
    assert [row[name] for name in head] == ["0.0200", 400, *expected, least]
    text, tex = (folder / "report.md").read_text(), (folder / "tables" / "gaps.tex").read_text()
    for report in (usual.page.text, text, usual.terminal, tex):
        assert all(name in report for name in head)
        assert least in report
    with (folder / "tables" / "gaps.csv").open(newline="") as file:
        (deep,) = [row for row in csv.DictReader(file) if row["place"] == "cnn, depth 56"]
    contrast = record.places[1].contrasts[0]
    assert float(deep["gap"]) == contrast.gap.value
    assert float(deep["least_p"]) == {3: 0.25, 8: 2**-7}[pairs]
    assert (deep["test_examples"], deep["smallest_effect"]) == ("400", "0.02")
    assert deep["p_holm"] == ({3: "", 8: str(contrast.holm_p)}[pairs])


@pytest.mark.parametrize(
    ("chance", "said"),
    [
        ({"test/accuracy": 0.1}, "depth 2: none in 8 (up to 31 % each)"),
        ({}, "depth 2: none diverged in 8 (up to 31 % each), chance is not known"),
    ],
)
def test_without_a_chance_only_divergence_is_known(chance, said, tmp_path):
    folder = made(tmp_path / "here", TWO, [("cnn", 2)], 8)
    change(folder, lambda cell: True, chance=chance)
    table = verdict_table(record_of(folder))
    assert str(table.rows[0][table.columns.index("failed to train")]) == said


@pytest.mark.parametrize(
    ("examples", "said"), [(0.0, ["most", "little"]), (0.5, ["about half"] * 2)]
)
def test_shares_of_a_variance_are_words(examples, said, tmp_path):
    record = record_of(made(tmp_path / "here", TWO, [("cnn", 2)], 8))
    (contrast,) = record.places[0].contrasts
    contrast.sources = Sources(Interval(0.1, 0.0, 0.2), 1 - examples, examples)
    (row,) = tables.uncertainty(record).rows
    assert row[-2:] == said


def test_slopes_and_gaps_have_the_p_of_what_is_said(tmp_path):
    """Of a gap and of a slope: "p" and "p (Holm)" are of "beyond", the third is of "ahead"."""
    record = record_of(made(tmp_path / "here", TWO, [("cnn", 2), ("cnn", 56)], 8))
    said = {"p": 0.11, "beyond_p": 0.22, "holm_p": 0.33, "ahead_holm_p": 0.44}
    for claim in (record.slopes[0], record.places[-1].contrasts[0]):
        vars(claim).update(said)
    for table in (tables.gaps(record), tables_across.growth(record)):
        row = dict(zip(table.columns, table.rows[-1], strict=True))
        printed = [row[name] for name in ("p", "p (Holm)", "p (ahead, Holm)")]
        assert printed == ["0.220", "0.330", "0.440"]
    assert "& 0.220 & 0.330 & 0.440 &" in latex(record)
    deep = list(csv.DictReader(gaps_csv(record).splitlines()))[-1]
    assert [deep[name] for name in ("p", "p_holm", "p_ahead_holm")] == ["0.22", "0.33", "0.44"]


def test_three_pairs_print_no_p_where_a_quarter_is_the_least(usual):
    of_record = (tables.gaps, tables_across.growth, tables.further)
    cells = {
        cell
        for table in (make(usual.record) for make in of_record)
        for row in table.rows
        for name, cell in zip(table.columns, row, strict=True)
        if name.startswith("p (") or name == "p"
    }
    few = {"too few pairs", "exploratory"}
    assert (cells <= few) if usual.pairs == 3 else cells - few


def test_no_sentence_is_a_chain(usual):
    assert ";" not in usual.terminal.rpartition("report: ")[0]
    source = usual.page.source
    first = source[source.index('id="verdicts"') : source.index('<p class="soft">A gap')]
    assert ";" not in re.sub(r'&[a-z]+;|&#\d+;|style="[^"]*"', "", first)


def test_labels_speak(usual):
    charts = json.loads(usual.page.scripts[0])["charts"].values()
    metas = [trace.get("meta", {}) for chart in charts for trace in chart["traces"]]
    names = {meta["measure"] for meta in metas if "measure" in meta}
    assert names == {"training loss", "validation accuracy"}
    assert not re.search(r"\b(val|train|test)/", usual.page.text)


def test_methods_say_what_the_record_has(usual):
    record, pairs = usual.record, usual.pairs
    text = "\n".join(methods(record))
    assert text.startswith("We compared plain against residual. Arms: plain (connection plain)")
    assert "cnn (depth 2 and 56, test accuracy, 400 test examples, smallest effect that" in text
    assert f"Each arm was trained once for each of {pairs} pairs" in text
    assert f"Of {20 * pairs} runs {20 * pairs} ended" in text
    assert "at 5 % over 5 hypotheses at the deepest place of each task; equivalence, and" in text
    assert "5 gaps at shallower places are exploratory: claims of them have another 1 %." in text
    assert "Fewer than 8 pairs, at shallower places fewer than 10, give a direction" in text
    assert "torch 2" in text
    assert "<b>a CPU</b>" in text
    for name in ("Holm 1979", "Clopper and Pearson 1934", "McNemar 1947", "Agarwal et al. 2021"):
        assert name in text.rpartition("References")[2]
    assert "Ville" not in text
    for contrast in record.places[0].contrasts:
        contrast.anytime = True
    assert "Ville 1939" in "\n".join(methods(record)).rpartition("References")[2]
    for contrast in record.places[0].contrasts:
        contrast.anytime = False


HOSTILE = r"50% of \input{/etc/passwd} & $x_1^2$ ~#<b>|`'" + '"\n\\end{table} =1+1'


def test_latex_shows_hostile_names_literally(tmp_path):
    record = record_of(made(tmp_path / "here", ["plain", HOSTILE], [(HOSTILE, 2)], 1))
    text = latex(record)
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert body.count("\\end{table}") == body.count("\\end{tabular}") == 1
    commands = set(re.findall(r"\\[a-zA-Z]+", "\n".join(body)))
    assert commands <= {
        "\\begin", "\\end", "\\centering", "\\caption", "\\resizebox", "\\linewidth", "\\toprule",
        "\\midrule", "\\bottomrule", "\\textbackslash", "\\textasciitilde", "\\textasciicircum",
        "\\textless", "\\textgreater", "\\textbar", "\\textasciigrave",
    }  # fmt: skip
    rules = [body.index(f"\\{name}rule") for name in ("mid", "bottom")]
    for row in body[rules[0] + 1 : rules[1]]:
        bare = re.sub(r"\\[%&#_{}$]", "", row).replace("$-$", "")
        assert bare.count("&") == 12
        assert not re.search(r"[%#_$^~]", bare)
    depth = 0
    for letter in re.sub(r"\\[{}]", "", text):
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0


def test_latex_has_minus_signs_before_numbers_alone():
    assert escaped("-0.5 (-1 to 2), a-b, x-1") == "$-$0.5 ($-$1 to 2), a-b, x-1"


def test_the_csv_has_no_formula(tmp_path):
    record = record_of(made(tmp_path / "here", ["plain", "=1+1"], [("@cnn", 2)], 1))
    (row,) = csv.DictReader(gaps_csv(record).splitlines())
    assert row["arm"] == "'=1+1"
    assert row["place"].startswith("'@cnn")
    assert float(row["gap"])  # a negative one is a number, and stays one
