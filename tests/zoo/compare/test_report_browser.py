"""The report's page in headless Chromium: it renders, asks for nothing, and its plots respond."""

import itertools
import json
import shutil

import pytest
from conftest import until
from made_comparison import made

from zoo.cli.main import main

pytestmark = pytest.mark.slow
WIDTHS, SCHEMES = (360, 800, 1400), ("light", "dark")
ENDS = {"a": "diverged", "f": "failed"}
STREAM = {"stream": [1.0, 1.5, 2.0], "gradient": [1e-20, 1e-9, 0.5], "share": [0.5, 0.0],
          "collapse": [0.1, 0.5, 0.9]}  # fmt: skip
NAME = "</script><img src=http://example.org/x onerror=\"document.title='taken'\">"
UNDRAWN = "return document.querySelectorAll('.plot:not(:has(.main-svg))').length"
OVERLAPS = """
const boxes = (q, node) => [...node.querySelectorAll(q)].map((e) => e.getBoundingClientRect());
const hit = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
  && a.top < b.bottom - 1 && b.top < a.bottom - 1;
return [...document.querySelectorAll(".plot")].filter((plot) => {
  const texts = boxes(".xtick text, .ytick text, .xtitle, .ytitle", plot);
  return texts.some((a, i) => texts.slice(i + 1).some((b) => hit(a, b)));
}).map((plot) => plot.id);
"""


@pytest.fixture(scope="module")
def browser():
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("there is no chromium with its chromedriver")
    pytest.importorskip("selenium", reason="there is no selenium")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    wanted = ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage")
    for flag in (*wanted, "hide-scrollbars", "force-device-scale-factor=1"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(driver)
    found = webdriver.Chrome(options=options, service=service)
    yield found
    found.quit()


def folder_of(path, kind):
    """A usual comparison, one with hostile names, and one in which nothing ran."""
    if kind == "usual":
        places = [("cnn", 8), ("cnn", 56), ("gnn", 2), ("gnn", 3), ("gnn", 4), ("gnn", 64)]
        arms = ["plain", "residual", "rezero"]
        made(path, arms, places, 3, arms, lambda c: ENDS.get(c["id"][-1], "done"))
        for number in (9, 11):  # plain and rezero at cnn, depth 56
            seen = {"measure": "class_separation", "start": STREAM, "end": STREAM}
            (path / "cells" / f"{number:020x}" / "stream.json").write_text(json.dumps(seen))
        return path
    if kind == "hostile":
        return made(path, ["plain", NAME, "long " * 60], [(NAME, None)], 1, name=NAME, command=NAME)
    return made(path, ["plain", "residual"], [("cnn", 2)], 1, status=lambda _: "failed")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    found = {}
    for kind in ("usual", "hostile", "none"):
        folder = folder_of(tmp_path_factory.mktemp("made") / kind, kind)
        assert main(["report", str(folder)]) == 0
        found[kind] = (folder / "report.html").as_uri()
    return found


def show(browser, url, width=1400, scheme="light"):
    """Loads a page, as high as it is, so that every plot is drawn."""

    def metrics(height):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get_log("browser"), browser.get_log("performance")
    metrics(900)
    browser.get(url)
    metrics(browser.execute_script("return document.documentElement.scrollHeight") + 100)
    until(lambda: not browser.execute_script(UNDRAWN))


def quiet(browser, url):
    """Nothing is complained of, and nothing but the page is asked for."""
    assert browser.get_log("browser") == []
    messages = (json.loads(line["message"])["message"] for line in browser.get_log("performance"))
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    addresses = {entry["request"]["url"] for entry in sent}
    assert {address for address in addresses if not address.startswith(("data:", "blob:"))} == {url}


@pytest.mark.parametrize("kind", ["usual", "hostile", "none"])
def test_the_page_renders_at_every_width_in_both_schemes(kind, browser, pages):
    colors = set()
    for width, scheme in itertools.product(WIDTHS, SCHEMES):
        show(browser, pages[kind], width, scheme)
        quiet(browser, pages[kind])
        assert browser.title != "taken"
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(OVERLAPS) == []
        colors.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert len(colors) == 2


def trace(browser, what):
    return browser.execute_script(f"return document.getElementById('chart0').{what}")


def test_the_plots_respond(browser, pages):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    show(browser, pages["usual"])
    hovered = "return document.querySelectorAll('#chart0 .hoverlayer .hovertext').length"
    area = browser.find_element(By.CSS_SELECTOR, "#chart0 .nsewdrag")
    dot = browser.find_element(By.CSS_SELECTOR, "#chart0 .scatterlayer .points path")
    ActionChains(browser).move_to_element(dot).perform()
    until(lambda: browser.execute_script(hovered))
    before = trace(browser, "_fullLayout.xaxis.range")
    start = ActionChains(browser).move_to_element_with_offset(area, -60, -40).click_and_hold()
    start.move_by_offset(60, 40).move_by_offset(60, 40).release().perform()
    until(lambda: trace(browser, "_fullLayout.xaxis.range") != before)
    zoomed = trace(browser, "_fullLayout.xaxis.range")
    visible = "data.filter((t) => t.visible === true).length"
    whole = trace(browser, visible)
    browser.find_element(By.CSS_SELECTOR, "#arms input[value='1']").click()
    until(lambda: trace(browser, visible) == whole - 2)
    assert trace(browser, "_fullLayout.xaxis.range") == zoomed
    select = browser.find_element(By.CSS_SELECTOR, "select[data-group]")
    select.find_elements(By.TAG_NAME, "option")[1].click()
    shown = "return document.querySelector('.charts.four .ytitle').textContent"
    until(lambda: browser.execute_script(shown).startswith("validation "))
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(paper)
    browser.find_element(By.ID, "scheme").click()
    until(lambda: browser.execute_script(paper) != light)
    quiet(browser, pages["usual"])


def test_the_keyboard_reaches_everything(browser, pages):
    from selenium.webdriver import ActionChains, Keys

    show(browser, pages["usual"])
    reached = []
    for _ in range(14):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        active = "const e = document.activeElement; return e.className || e.id || e.type || e.href"
        reached.append(browser.execute_script(active))
    assert reached[:2] == ["skip", "scheme"]
    assert reached.count("checkbox") == 3
