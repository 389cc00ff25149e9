"""The page and the figure of a diagnosis, of nets that are not ours."""

import re
import textwrap
from pathlib import Path
from urllib.parse import unquote

import pytest
import torch
from foreign_nets import SkipMLP, mean_size
from read_page import Page
from torch import nn

from zoo.diagnosis.diagnose import diagnose
from zoo.diagnosis.finding import CAUSES, Finding
from zoo.diagnosis.page import Trial, html
from zoo.diagnosis.profiles import Profile

ROOT = Path(__file__).parents[3]
HOSTILE = "<img src=http://example.org/x onerror=alert(1)>"


class Deep(nn.Sequential):
    """Layers without a skip, which lose the gradient."""

    def __init__(self):
        torch.manual_seed(0)
        layers = [(nn.Linear(8, 8), nn.Sigmoid()) for _ in range(12)]
        super().__init__(*(part for pair in layers for part in pair))


@pytest.fixture(scope="module")
def skips(tmp_path_factory):
    torch.manual_seed(0)
    found = diagnose(SkipMLP(), (torch.randn(16, 5, 8),), mean_size)
    path = tmp_path_factory.mktemp("page") / "diagnosis.html"
    found.page(path)
    return found, Page(path)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    found = diagnose(Deep(), (torch.randn(16, 8),), mean_size)
    path = tmp_path_factory.mktemp("page") / "diagnosis.html"
    found.page(path, HOSTILE)
    return found, Page(path)


def test_a_page_needs_nothing_and_can_be_read_by_ear(skips, deep):
    for _, page in (skips, deep):
        assert not {tag for tag, _ in page.found} & {"link", "img", "image", "iframe", "base"}
        assert not any("src" in attrs for _, attrs in page.found)
        policy = next(a["content"] for t, a in page.found if a.get("http-equiv"))
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        ids = [attrs["id"] for _, attrs in page.found if "id" in attrs]
        assert len(ids) == len(set(ids))
        inside = {a["href"][1:] for t, a in page.found if t == "a"}
        used = {a["xlink:href"][1:] for t, a in page.found if t == "use"}
        assert used
        assert inside | used <= set(ids)


def test_pictures_take_the_colours_of_the_page(skips):
    colors = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", skips[1].source.partition("<svg")[2]))
    assert {"var(--ink)", "var(--arm1)", "var(--arm2)"} <= colors
    assert not any(color.startswith("#") for color in colors)


def test_every_measure_says_what_it_shows_and_what_is_normal(skips):
    found, page = skips
    assert [*found.profiles] == ["stream", "share", "gradient", "cosine", "spread", "layers"]
    for profile in found.profiles.values():
        assert profile.shows in page.text
        assert profile.normal in page.text
        lengths = {len(line) for line in profile.lines.values()}
        assert max(lengths) == len(profile.places)
    assert found.profiles["stream"].lines["branch"] == pytest.approx(found.profile.branch.tolist())


def test_findings_stand_with_cause_place_evidence_and_cure(deep):
    found, page = deep
    finding, alike = found.findings
    assert (finding.cause, alike.cause) == ("vanishing_gradients", "collapsed_features")
    for said in (CAUSES[finding.cause], finding.where, finding.evidence, finding.cure):
        assert said in page.text
    assert f"{finding.value:.4g}, where the limit is {finding.limit:.4g}" in page.text
    assert [*found.profiles] == ["layers"]  # it has no stream
    gradients = found.profiles["layers"].lines["gradient"]
    assert len(gradients) == 12
    assert gradients[0] < 1e-4 * gradients[-1]
    assert "Dotted: the place of a finding." in page.text


def test_a_net_without_findings_names_the_causes_that_were_looked_for(skips):
    text = skips[1].text
    assert "No known cause is found. 18 were looked for: non finite, " in text
    assert "step too large" not in text  # which needs an optimiser


def test_hostile_names_are_only_text(deep, tmp_path):
    found, page = deep
    assert HOSTILE in page.text
    finding = Finding("dead_units", HOSTILE, 1, 0.5, HOSTILE, HOSTILE)
    trial = Trial(HOSTILE, [HOSTILE], [[HOSTILE] * 5], f"{HOSTILE}#50%/report.html")
    both = type(found)([finding], None, found.profiles, HOSTILE)
    (tmp_path / "page.html").write_text(html(both, facts={HOSTILE: HOSTILE}, trials=[trial]))
    hostile = Page(tmp_path / "page.html")
    assert hostile.text.count(HOSTILE) == 15
    assert "img" not in {tag for tag, _ in hostile.found}
    assert trial.report in {unquote(a["href"]) for t, a in hostile.found if t == "a"}


def test_the_figure_has_a_panel_for_each_measure(skips):
    found, _ = skips
    panels = [axis for axis in found.figure().axes if axis.get_visible()]
    titles = [profile.title for profile in found.profiles.values()]
    assert [axis.get_title() for axis in panels] == titles
    (line, _) = panels[0].lines
    assert line.get_ydata() == pytest.approx(found.profile.stream.tolist())
    low, high = panels[0].get_ylim()
    assert high / low >= 99.9  # so that a flat line looks flat


def test_what_a_picture_cannot_show_is_said():
    def note(*values, **options):
        return Profile("", "", "", {"a": values}, list("xyz"), **options).note

    assert note(0.0, 1.0, 2.0) == "1 of its 3 values are zero, which are not drawn."
    assert note(0.0, 1.0, 2.0, logarithmic=False) == note(1.0, 2.0) == ""
    assert note(0.0, 0.0).startswith("It is zero everywhere")
    assert note(1.0, float("nan")).startswith("In gaps it is not known")


def test_the_example_of_the_readme_runs_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "zoo/diagnosis/README.md").read_text(encoding="utf-8")
    code, _, rest = text.partition("which prints")
    exec(textwrap.dedent("\n".join(re.findall("^(?: {4}.*)?$", code, re.MULTILINE))), {})
    printed = re.findall("^ {4}(.+)$", rest.partition("The loss is yours")[0], re.MULTILINE)
    found = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in found] == [p.partition(":")[0] for p in printed]
    assert "vanishing gradients" in Page(tmp_path / "diagnosis.html").text
