"""Waves of pairs: what is reported after each, where `pairs=auto` stops, and what noise shows."""

import json
import random

import numpy as np
import pytest
from invented_engine import WORDS, gap_of, install

from zoo.cli.main import main
from zoo.compare.analysis import signs


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Compares in one folder with invented scores; returns the engine, the record and the log."""

    def act(score, *words, code=0):
        engine = install(monkeypatch, score)
        assert main([*WORDS, *words, f"dir={tmp_path / 'here'}"]) == code
        record = json.loads((tmp_path / "here" / "compare.json").read_text())
        said = capsys.readouterr().err.splitlines()
        return engine, record, [line for line in said if line.startswith("zoo: after ")]

    act.folder = tmp_path / "here"
    return act


def noisy(size, sd, seed=0):
    """Scores whose gap has a mean and a standard deviation."""
    draws = random.Random(seed)
    return lambda rule, _: 0.5 + (rule != "plain") * (size + draws.gauss(0, sd))


def verdicts(record):
    return [c["verdict"] for place in record["places"] for c in place["contrasts"]]


def test_every_wave_has_a_report_and_pairs_run_one_after_the_other(compare):
    engine, record, said = compare(gap_of(0.3), "pairs=9")
    assert engine.began == [seed for seed in range(9) for _ in range(2)]
    words = ["residual ahead in 3 of 3", "residual ahead in 5 of 5", "residual ahead in 8 of 8"]
    for line, pairs, verdict in zip(said, (3, 5, 8), words, strict=False):
        assert line.startswith(f"zoo: after {pairs} pairs: gnn, depth 2, residual: {verdict}: ")
    assert "after 9 pairs: gnn, depth 2, residual: residual better" in said[3]
    assert verdicts(record) == ["residual better"]
    engine, _, said = compare(gap_of(0.3), "pairs=9")
    assert engine.began == []
    assert len(said) == 1  # nothing has run, so that nothing new is said


def test_an_interrupt_leaves_whole_pairs_and_a_record_of_all(compare):
    def score(rule, seed):
        if (rule, seed) == ("residual", 4):
            raise KeyboardInterrupt
        return gap_of(0.3)(rule, seed)

    compare(score, code=130)
    assert main(["report", str(compare.folder)]) == 0
    record = json.loads((compare.folder / "compare.json").read_text())
    (contrast,) = record["places"][0]["contrasts"]
    assert contrast["seeds"] == [0, 1, 2, 3]
    assert [row["status"] for row in record["cells"]] == ["done"] * 8 + ["waiting"] * 8
    assert contrast["verdict"] == "residual ahead in 4 of 4"
    assert len(record["cells"]) == 16
    assert record["exploratory"] == []
    _, record, _ = compare(gap_of(0.3))
    assert record["exploratory"] == []
    assert verdicts(record) == ["residual better"]


@pytest.mark.parametrize(
    ("score", "verdict"),
    [(gap_of(0.3), "residual better"), (gap_of(0.0, 1e-5), "alike in most pairs, within 0.01")],
)
def test_auto_stops_where_all_is_decided(score, verdict, compare):
    engine, record, said = compare(score, "pairs=auto")
    assert engine.began == [seed for seed in range(8) for _ in range(2)]
    assert verdicts(record) == [verdict]
    assert record["declared"]["pairs"] == [*range(8)]
    assert len(record["cells"]) == 16
    assert record["plan"]["pairs"] == signs.pairs_for(0.8, 1, test=signs.anytime_p)
    assert len(said) == 3
    engine, again, _ = compare(score, "pairs=auto")
    assert engine.began == []
    before, after = record.pop("plan"), again.pop("plan")
    assert again == record
    assert after["looks"][:-1] == before["looks"]  # this one was another look, at the same pairs
    assert [look["pairs"] for look in after["looks"]] == [3, 5, 8, 8]


def test_auto_goes_on_to_its_limit_and_says_what_is_undecided(compare):
    def score(rule, seed):
        return 0.5 + (rule != "plain") * (0.05 if seed % 2 else -0.05)

    engine, record, said = compare(score, "pairs=auto", "limit=14")
    assert max(engine.began) == 13
    assert [line.split()[2] for line in said] == ["3", "5", "8", "12", "14"]
    assert verdicts(record) == ["inconclusive"]
    told = "Undecided: 1 of 1 primary hypotheses after 14 pairs, the limit of the plan."
    assert told in (compare.folder / "report.md").read_text()
    _, record, _ = compare(score, "pairs=auto", "limit=16")
    assert record["exploratory"] == []  # its p hold at every look
    assert len(record["declared"]["pairs"]) == 16


def test_auto_reports_the_p_of_all_looks(compare):
    _, record, _ = compare(noisy(0.03, 0.03), "pairs=auto", "limit=12")
    (contrast,) = record["places"][0]["contrasts"]
    d = contrast["differences"]
    assert contrast["beyond_p"] == signs.difference_p(d, 0.01, signs.anytime_p)
    assert contrast["p"] == signs.difference_p(d, 0.0, signs.anytime_p)
    gap = signs.median_interval(d, signs.anytime_p)
    assert [contrast["gap"][key] for key in ("low", "high")] == [gap.low, gap.high]


def test_a_limit_is_of_auto(compare, capsys):
    assert main([*WORDS, "limit=20", f"dir={compare.folder}"]) == 2
    assert "limit is of pairs=auto alone" in capsys.readouterr().err


def test_noise_is_measured_and_says_how_many_pairs_a_gap_needs(compare):
    draws = random.Random(1)
    _, record, _ = compare(lambda rule, seed: draws.gauss(0.5, 0.02), "noise=true")
    (floor,) = record["noise"]
    (contrast,) = record["places"][0]["contrasts"]
    sd = np.std(contrast["differences"], ddof=1)
    assert floor["sd"]["value"] == pytest.approx(sd)
    assert floor["sd"]["low"] < 0.02 * 2**0.5 < floor["sd"]["high"]
    for beyond, needs in zip((0.01, 0.02), floor["needs"], strict=True):
        assert needs[0] == max(8, signs.pairs_for(0.8, effect=beyond / sd))
        assert needs[1] <= needs[0] <= (needs[2] or 1001)
    report = (compare.folder / "report.md").read_text()
    assert "Noise: an arm against itself" in report
    assert f"| {floor['needs'][0][0]} (" in report


def test_a_dry_run_shows_the_power_beside_the_time(compare, capsys, monkeypatch):
    install(monkeypatch, gap_of(0.3))
    assert main([*WORDS, "dry_run=true", f"dir={compare.folder}"]) == 0
    said = capsys.readouterr().out
    assert "16 runs, about 8 s on 2 workers" in said
    assert f"is shown in {100 * signs.power(8):.0f} % of comparisons; 80 % need 17 pairs" in said
    assert main([*WORDS, "pairs=auto", "dry_run=true", f"dir={compare.folder}"]) == 0
    said = capsys.readouterr().out
    assert "at most 52 runs, about 26 s (8 s up to pair 8) on 2 workers" in said
    assert "80 % need 26 pairs" in said


def test_a_dry_run_tells_the_pairs_of_a_verdict_at_every_depth(compare, capsys, monkeypatch):
    """By the least p of a two-sided sign test, 2 / 2^n, and Bonferroni's first step."""
    monkeypatch.setattr(type(install(monkeypatch, gap_of(0.3))), "free", 1)
    words = [*WORDS, "model.depth=2,3,4", "connection=plain,residual,rezero,highway"]
    assert main([*words, "dry_run=true", f"dir={compare.folder}"]) == 0
    said = capsys.readouterr().out
    needs = [next(n for n in range(8, 99) if 2 * 0.5**n <= level)
             for level in (0.05 / 3, 0.01 / 6)]  # fmt: skip
    line = "a verdict of the deepest places needs {} pairs, one of the others {}"
    assert line.format(*needs) in said
    assert "on 1 worker for" in said
    assert main([*WORDS, "dry_run=true", f"dir={compare.folder}"]) == 0
    assert "needs 8 pairs\n" in capsys.readouterr().out
