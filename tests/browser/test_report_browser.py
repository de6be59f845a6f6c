"""The report in a real browser: it opens without a complaint, its parts are linked, all can use it.

Pictures of every page in both themes are kept in ``tests/artefacts/report``.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from needs import lacking
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from synthetic import finished
from workbench import ROOT

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
    # A page that still glides to its place can't be clicked.
    "--force-prefers-reduced-motion",
)
EVIL = [
    "<script>document.title = 'owned'</script> a",
    "<img src=x onerror=\"document.title = 'owned'\"> b",
    "</style></script><svg onload=alert(1)> c",
    "plain d",
]
GRID = {
    "mlp.units": [4, 8, 16],
    "training.learning_rate": {"logspace": {"start": 1e-4, "stop": 1.0, "num": 5}},
    "mlp.activation": {"choice": ["relu", "tanh"]},
}
MANY = GRID | {"training.learning_rate": {"logspace": {"start": 1e-4, "stop": 1, "num": 84}}}
LONG = ["x" * 300, "\"quoted\" & 'single' \u2028", "emoji 😀 {{ 7 * 7 }} ${1}", "plain d"]
# What each page is made of; figures are drawn for the first alone, which takes the time.
PAGES: dict[str, dict[str, Any]] = {
    "hostile": {"labels": EVIL, "failed": {0: EVIL[1]}, "report": {"title": EVIL[0], "curves": 3}},
    "classification": {"space": GRID, "report": {"curves": 5}, "step": 0.002},
    "regression": {"problem": "regression", "report": {"curves": 5}},
    "failed": {"failed": dict.fromkeys([*range(5), 7], "the loss is NaN")},
    "single": {"space": {}},
    "one-split": {"folds": 1},
    "long-names": {"labels": LONG, "report": {"title": "y" * 300}},
    "many": {"space": MANY, "epochs": 80, "step": 0.0005, "report": {"curves": 5}},
}
# Seconds that a busy machine may need for what takes one.
PATIENCE = 300
PICTURES = ROOT / "tests" / "artefacts" / "report"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        lacking(
            "chromium and chromedriver are not installed, so the report was NOT tested in a "
            "browser; on Debian: apt-get install chromium chromium-driver"
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    # Of what axe does, and of loading a page.
    chrome.set_script_timeout(PATIENCE)
    chrome.set_page_load_timeout(PATIENCE)
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that writes a page, once, and says where it lies."""
    written: dict[str, Path] = {}

    def write(name: str) -> Path:
        if name not in written:
            folder = tmp_path_factory.mktemp(name)
            study = finished(folder, **PAGES[name])
            draw = study.render if name == "hostile" else study.render_without_figures
            written[name] = folder / "report.html"
            written[name].write_text(draw(folder), encoding="utf-8")
        return written[name]

    return write


@pytest.fixture
def report(reports: Callable[[str], Path]) -> Path:
    return reports("hostile")


# True once a new page is complete: not the one before it, whose window was marked.
LOADED = "return !window.left && document.readyState === 'complete'"
# Calls back when charts that were drawn for another width (without a scrollbar) are drawn anew.
DRAWN = """
const done = arguments[arguments.length - 1];
if (!document.documentElement.classList.contains("js")) return done();
requestAnimationFrame(() => requestAnimationFrame(() => done()));
"""


def opened(browser: webdriver.Chrome, file: Path) -> webdriver.Chrome:
    """Open a page, and wait until nothing on it moves any more."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.execute_script("window.left = true")
    browser.get(file.as_uri())
    WebDriverWait(browser, PATIENCE).until(lambda page: page.execute_script(LOADED))
    browser.execute_async_script(DRAWN)
    return browser


@pytest.fixture
def page(browser: webdriver.Chrome, report: Path) -> webdriver.Chrome:
    return opened(browser, report)


@pytest.fixture
def grid(browser: webdriver.Chrome, reports: Callable[[str], Path]) -> webdriver.Chrome:
    """The page of 30 configurations over three axes."""
    return opened(browser, reports("classification"))


@pytest.fixture
def emulate(browser: webdriver.Chrome) -> Iterator[Callable[..., None]]:
    """Return a function that emulates a medium or a theme, until the test ends."""

    def use(media: str = "", theme: str = "") -> None:
        features = [{"name": "prefers-color-scheme", "value": theme}] if theme else []
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": features}
        )

    yield use
    use()


def ranks(page: webdriver.Chrome) -> list[str]:
    """Return the ranks of the visible rows, from top to bottom."""
    rows = page.find_elements(By.CSS_SELECTOR, "#ranking tbody tr")
    cell = "td:not(.pick)"
    return [r.find_element(By.CSS_SELECTOR, cell).text for r in rows if r.is_displayed()]


def header(page: webdriver.Chrome, title: str) -> Any:
    (found,) = [
        e
        for e in page.find_elements(By.CSS_SELECTOR, "#ranking thead button")
        if e.text.partition(",")[0].strip() == title
    ]
    return found


@pytest.mark.parametrize("name", PAGES)
def test_it_opens_without_a_complaint_and_asks_nothing_of_a_network(
    browser: webdriver.Chrome, reports: Callable[[str], Path], name: str
) -> None:
    report = reports(name)
    page = opened(browser, report)
    assert page.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert report.as_uri() in asked
    assert [url for url in asked if not url.startswith(("data:", report.as_uri()))] == []
    timing = "const [t] = performance.getEntriesByType('navigation'); return t.loadEventEnd"
    size = report.stat().st_size / 1e6
    print(f"{name}: {size:.2f} MB, loaded in {page.execute_script(timing):.0f} ms")
    assert size < 5


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_in_either_theme(
    browser: webdriver.Chrome,
    reports: Callable[[str], Path],
    emulate: Callable[..., None],
    name: str,
) -> None:
    emulate(theme="light")
    page = opened(browser, reports(name))
    # By key: what opens moves what is below it, so that a click may miss.
    for summary in page.find_elements(By.TAG_NAME, "summary"):
        summary.send_keys(Keys.ENTER)
    tables = len(page.find_elements(By.CSS_SELECTOR, ".numbers"))
    WebDriverWait(page, PATIENCE).until(
        lambda p: len(p.find_elements(By.CSS_SELECTOR, ".numbers table")) == tables
    )
    for theme in ("light", "dark"):
        emulate(theme=theme)
        page.execute_async_script(DRAWN)
        picture(page, f"{name}-{theme}")
    # Of 500 rows, the first are as good as all.
    page.execute_script(
        "document.querySelectorAll('tbody tr:nth-child(n + 20)').forEach((row) => row.remove())"
    )
    # Drawings are hidden from screen readers; thousands of marks only take time.
    context = {"exclude": [[".plot svg"]]} if name == "many" else None
    assert serious(page, context) == []
    # Themes differ in their colours alone.
    emulate(theme="light")
    assert serious(page, context, {"runOnly": ["color-contrast", "link-in-text-block"]}) == []


def serious(page: webdriver.Chrome, context: Any, options: Any = None) -> list[Any]:
    """Return what axe finds that keeps somebody from reading a page."""
    found = Axe().run(page, context, options)
    assert found["passes"]
    return [
        (v["id"], v["impact"], [n["html"][:200] for n in v["nodes"]])
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def picture(page: webdriver.Chrome, name: str) -> None:
    """Keep a picture of the whole page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    height = page.execute_script("return document.documentElement.scrollHeight")
    size = {"width": 1280, "height": min(height, 12_000), "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.save_screenshot(PICTURES / f"{name}.png")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    print(f"picture: {PICTURES / name}.png")


def test_all_figures_are_shown(page: webdriver.Chrome) -> None:
    images = page.find_elements(By.TAG_NAME, "img")
    assert len(images) == 4
    assert all(page.execute_script("return arguments[0].naturalWidth > 0", i) for i in images)


def test_what_stands_in_labels_does_not_run(page: webdriver.Chrome) -> None:
    assert page.title == f"{EVIL[0]} · gridfold report"
    assert EVIL[1] in page.find_element(By.ID, "ranking").text


def test_a_script_that_is_not_the_reports_own_is_refused(page: webdriver.Chrome) -> None:
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = \"document.title = 'owned'\";"
        "document.body.append(s);"
    )
    assert page.title != "owned"
    assert "Content Security Policy" in page.get_log("browser")[0]["message"]


def test_a_click_on_a_header_sorts_and_a_second_one_turns_it_round(
    page: webdriver.Chrome,
) -> None:
    assert ranks(page) == ["1", "2", "3", "4"]
    button = header(page, "Parameters")
    cell = button.find_element(By.XPATH, "..")
    button.click()
    ascending = ranks(page)
    assert ascending != ["1", "2", "3", "4"]
    assert cell.get_attribute("aria-sort") == "ascending"
    button.click()
    assert ranks(page) == ascending[::-1]
    assert cell.get_attribute("aria-sort") == "descending"
    others = page.find_elements(By.CSS_SELECTOR, '#ranking thead [aria-sort="none"]')
    assert (
        len(others) == len(page.find_elements(By.CSS_SELECTOR, "#ranking thead th:not(.pick)")) - 1
    )


def test_sorting_works_from_the_keyboard(page: webdriver.Chrome) -> None:
    header(page, "Rank").send_keys(Keys.ENTER)
    assert ranks(page) == ["4", "3", "2", "1"]


def test_what_has_no_value_is_sorted_last_either_way(page: webdriver.Chrome) -> None:
    for _ in range(2):
        header(page, "p").click()
        # The selected configuration is not compared with itself, one that lost trials with none.
        assert set(ranks(page)[-2:]) == {"1", "4"}


def test_the_filter_keeps_rows_with_all_words(page: webdriver.Chrome) -> None:
    field = page.find_element(By.ID, "filter")
    field.send_keys("PLAIN d")
    assert len(ranks(page)) == 1
    assert page.find_element(By.ID, "count").text == "1 of 4 shown"
    field.send_keys(" nowhere")
    assert ranks(page) == []
    field.send_keys(Keys.CONTROL, "a", Keys.DELETE)
    assert len(ranks(page)) == 4


def test_other_measures_appear_on_demand(page: webdriver.Chrome) -> None:
    extra = page.find_elements(By.CSS_SELECTOR, "#ranking .extra")
    assert extra
    assert not any(e.is_displayed() for e in extra)
    page.find_element(By.ID, "extra").click()
    assert all(e.is_displayed() for e in extra)


def test_the_page_never_scrolls_sideways(page: webdriver.Chrome) -> None:
    for width in (320, 420, 800, 1280):
        page.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_follows_the_system_and_figures_stay_on_white(
    page: webdriver.Chrome, emulate: Callable[..., None], theme: str
) -> None:
    emulate(theme=theme)
    background = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    red = int(page.execute_script(background, "body")[4:].partition(",")[0])
    assert (red > 128) == (theme == "light")
    assert page.execute_script(background, ".canvas") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_reader_can_choose_the_other_theme(
    page: webdriver.Chrome, emulate: Callable[..., None], theme: str
) -> None:
    emulate(theme="dark" if theme == "light" else "light")
    Select(page.find_element(By.ID, "theme")).select_by_value(theme)
    background = "return getComputedStyle(document.body).backgroundColor"
    red = int(page.execute_script(background)[4:].partition(",")[0])
    assert (red > 128) == (theme == "light")


# -- linked charts -----------------------------------------------------------------------------

CHARTS = ("scores", "curves", "axes", "pairs", "parallel")


def plot(page: webdriver.Chrome, chart: str) -> Any:
    found = page.find_element(By.CSS_SELECTOR, f"#chart-{chart} .plot")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    return found


def marked(page: webdriver.Chrome, chart: str, kind: str) -> int:
    """Return how many marks of a chart are active, selected or faded."""
    return len(page.find_elements(By.CSS_SELECTOR, f"#chart-{chart} .plot .{kind}"))


def point_at(page: webdriver.Chrome, element: Any) -> ActionChains:
    """Move the pointer onto an element, and return what a click can be added to."""
    action = ActionChains(page).move_to_element(element)
    action.perform()
    return ActionChains(page)


def selected(page: webdriver.Chrome) -> list[str]:
    """Return the ranks of the selected configurations."""
    return [b.text for b in page.find_elements(By.CSS_SELECTOR, ".selection li b")]


def test_a_row_under_the_pointer_stands_out_in_every_chart(grid: webdriver.Chrome) -> None:
    rows = grid.find_elements(By.CSS_SELECTOR, "#ranking tbody tr")
    point_at(grid, rows[2].find_element(By.CSS_SELECTOR, "th"))
    counts = {chart: marked(grid, chart, "active") for chart in CHARTS}
    # Splits and mean; training, validation and band in both panels; a point for each axis.
    assert counts == {"scores": 2, "curves": 6, "axes": 3, "pairs": 1, "parallel": 1}


def test_a_mark_under_the_pointer_tells_mean_interval_and_n(grid: webdriver.Chrome) -> None:
    points = plot(grid, "axes").find_elements(By.CSS_SELECTOR, "circle.point")
    point_at(grid, points[0])
    (row,) = grid.find_elements(By.CSS_SELECTOR, "#ranking tr.active")
    tooltip = grid.find_element(By.ID, "tooltip")
    assert tooltip.is_displayed()
    cells = [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "td.number")]
    mean = next(cell for cell in cells if "±" in cell)
    assert f"accuracy {mean} (n = 5 splits)" in tooltip.text
    assert tooltip.text.startswith(f"{cells[0]}: mlp")
    point_at(grid, grid.find_element(By.TAG_NAME, "h1"))
    assert not tooltip.is_displayed()
    assert not grid.find_elements(By.CSS_SELECTOR, "#ranking tr.active")


def test_the_best_are_selected_at_first(grid: webdriver.Chrome) -> None:
    assert selected(grid) == ["1", "2", "3", "4", "5"]
    boxes = grid.find_elements(By.CSS_SELECTOR, "#ranking input:checked")
    assert len(boxes) == 5
    colours = {row.get_attribute("data-colour") for row in rows_selected(grid)}
    assert len(colours) == 5
    assert marked(grid, "parallel", "selected") == 5


def rows_selected(page: webdriver.Chrome) -> list[Any]:
    return page.find_elements(By.CSS_SELECTOR, "#ranking tr.selected")


def test_rows_marks_and_the_bar_select_and_deselect(grid: webdriver.Chrome) -> None:
    boxes = grid.find_elements(By.CSS_SELECTOR, "#ranking tbody input")
    boxes[7].click()
    assert selected(grid)[-1] == "8"
    bar = grid.find_element(By.CLASS_NAME, "selection")
    bar.find_elements(By.CSS_SELECTOR, "li button")[0].click()
    assert selected(grid) == ["2", "3", "4", "5", "8"]
    # The colour that is free again goes to the next one.
    boxes[8].click()
    assert rows_selected(grid)[-1].get_attribute("data-colour") == "0"
    none, best = (bar.find_element(By.XPATH, f"./button[.='{name}']") for name in ("None", "Best"))
    none.click()
    assert selected(grid) == []
    assert all(marked(grid, chart, "selected") == 0 for chart in CHARTS)
    points = plot(grid, "scores").find_elements(By.CSS_SELECTOR, "circle.point")
    (tenth,) = [p for p in points if p.get_property("__data__")["rank"] == 10]
    point_at(grid, tenth).click().perform()
    assert selected(grid) == ["10"]
    best.click()
    assert selected(grid) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("chart", ["scores", "curves", "axes", "parallel"])
def test_charts_are_used_from_the_keyboard(grid: webdriver.Chrome, chart: str) -> None:
    grid.find_element(By.XPATH, "//button[.='None']").click()
    chosen = plot(grid, chart)
    chosen.send_keys(Keys.ARROW_RIGHT)
    chosen.send_keys(Keys.ARROW_RIGHT)
    said = grid.find_element(By.ID, "announcement").get_attribute("textContent")
    assert said.startswith("Number 2 of 30: mlp")
    assert "(n = 5 splits)" in said
    assert grid.find_element(By.ID, "tooltip").is_displayed()
    chosen.send_keys(Keys.ENTER)
    assert selected(grid) == ["2"]
    said = grid.find_element(By.ID, "announcement").get_attribute("textContent")
    assert said.endswith(", selected")
    chosen.send_keys(Keys.END)
    assert "Number 30" in grid.find_element(By.ID, "announcement").get_attribute("textContent")
    chosen.send_keys(Keys.ESCAPE)
    assert marked(grid, chart, "active") == 0
    assert not grid.find_element(By.ID, "tooltip").is_displayed()


def test_the_heat_map_is_used_from_the_keyboard(grid: webdriver.Chrome) -> None:
    grid.find_element(By.XPATH, "//button[.='None']").click()
    chosen = plot(grid, "pairs")
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ENTER):
        chosen.send_keys(key)
    said = grid.find_element(By.ID, "announcement").get_attribute("textContent")
    assert "2 configurations, means from" in said
    assert len(selected(grid)) == 1
    assert f"best: number {selected(grid)[0]}" in said


def test_the_axes_of_the_heat_map_can_be_chosen(grid: webdriver.Chrome) -> None:
    across, up = (Select(grid.find_element(By.ID, f"pair-{end}")) for end in "xy")
    # The two axes along which the scores differ most.
    assert {across.first_selected_option.text, up.first_selected_option.text} == {
        "mlp.units",
        "training.learning_rate",
    }
    across.select_by_visible_text("mlp.activation")
    before = across.first_selected_option.text, up.first_selected_option.text
    texts = [t.text for t in plot(grid, "pairs").find_elements(By.CSS_SELECTOR, ".axis text")]
    assert {"relu", "tanh"} <= set(texts)
    up.select_by_visible_text("mlp.activation")
    after = across.first_selected_option.text, up.first_selected_option.text
    assert after == before[::-1]
    Select(grid.find_element(By.ID, "pair-of")).select_by_value("mean")
    assert len(grid.find_elements(By.CSS_SELECTOR, "#chart-pairs .cell")) in (6, 10)


def test_what_the_filter_hides_fades_in_the_charts(grid: webdriver.Chrome) -> None:
    field = grid.find_element(By.ID, "filter")
    field.send_keys("tanh")
    assert grid.find_element(By.ID, "count").text == "15 of 30 shown"
    assert marked(grid, "scores", "configuration.faded") == 15
    assert marked(grid, "parallel", "faded") == 15
    assert marked(grid, "axes", "faded") == 15 * 3
    # Keys go through what is left alone.
    chosen = plot(grid, "scores")
    chosen.send_keys(Keys.HOME)
    said = grid.find_element(By.ID, "announcement").get_attribute("textContent")
    assert "activation=tanh" in said


def test_every_chart_has_its_numbers_as_a_table(grid: webdriver.Chrome) -> None:
    for chart in CHARTS:
        figure = grid.find_element(By.ID, f"chart-{chart}")
        figure.find_element(By.CSS_SELECTOR, ".numbers summary").send_keys(Keys.ENTER)
        # The table is made when the browser gets round to tell that it was opened.
        WebDriverWait(figure, PATIENCE).until(
            lambda f: f.find_elements(By.CSS_SELECTOR, "tbody th")
        )
    curves = grid.find_elements(By.CSS_SELECTOR, "#chart-curves .numbers thead th")
    assert len(curves) == 1 + 2 * 5


def test_thinned_curves_are_said_to_be_thinned(
    browser: webdriver.Chrome, reports: Callable[[str], Path]
) -> None:
    page = opened(browser, reports("many"))
    assert len(page.find_elements(By.CSS_SELECTOR, "#ranking tbody tr")) == 500
    caption = page.find_element(By.CSS_SELECTOR, "#chart-curves figcaption").text
    assert "Curves are drawn through 60 of 80 epochs." in caption
    assert "Bands over splits are kept for the best 50 configurations." in caption
    assert "Bands" not in page.find_element(By.CSS_SELECTOR, "#chart-axes figcaption").text


def test_lost_trials_leave_a_page_that_says_so(
    browser: webdriver.Chrome, reports: Callable[[str], Path]
) -> None:
    page = opened(browser, reports("failed"))
    # A configuration without any score is in the table and in no chart.
    assert len(page.find_elements(By.CSS_SELECTOR, "#ranking tbody tr")) == 4
    assert len(page.find_elements(By.CSS_SELECTOR, "#ranking tbody input")) == 3
    assert len(page.find_elements(By.CSS_SELECTOR, "#chart-scores .configuration")) == 3
    assert page.find_elements(By.CSS_SELECTOR, "#chart-axes .incomplete")


# -- paper, no JavaScript, an old browser ------------------------------------------------------


def visible(page: webdriver.Chrome, selector: str) -> list[bool]:
    return [e.is_displayed() for e in page.find_elements(By.CSS_SELECTOR, selector)]


def test_the_screen_shows_each_chart_once(page: webdriver.Chrome) -> None:
    assert visible(page, "figure.chart") == [True] * 3
    assert visible(page, ".drawn") == [False] * 3


def test_paper_shows_drawn_figures_and_no_controls(
    page: webdriver.Chrome, emulate: Callable[..., None]
) -> None:
    emulate(media="print", theme="dark")
    assert visible(page, ".drawn") == [True] * 3
    assert not any(visible(page, "figure.chart"))
    for control in (".controls", ".selection", ".pick", "summary", "nav", ".skip"):
        assert not any(visible(page, control)), control
    background = "return getComputedStyle(document.body).backgroundColor"
    assert page.execute_script(background) == "rgb(255, 255, 255)"
    assert all(visible(page, "#ranking tbody tr"))


def test_paper_leaves_out_what_is_folded(
    page: webdriver.Chrome, emulate: Callable[..., None]
) -> None:
    """Notes and settings are as long as all the rest; who wants them there opens them first."""
    emulate(media="print")
    folded = page.find_elements(By.CSS_SELECTOR, "details:not([open])")
    assert len(folded) > 1
    assert not any(visible(page, "details"))
    page.execute_script("arguments[0].open = true", folded[0])
    assert folded[0].is_displayed()
    page.execute_script("arguments[0].open = false", folded[0])


def test_a_report_of_sixteen_configurations_takes_six_sheets(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    """As many as those of the demo."""
    axes = {"mlp.units": [16, 32, 64, 128], "mlp.dropout": [0.0, 0.3]}
    study = finished(tmp_path, space={**axes, "training.learning_rate": [0.001, 0.003]})
    (tmp_path / "report.html").write_text(study.render(tmp_path), encoding="utf-8")
    page = opened(browser, tmp_path / "report.html")
    a4 = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": False}
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", a4)["data"])
    sheets = len(re.findall(rb"/Type\s*/Page\b", printed))
    assert 3 <= sheets <= 6


def test_without_javascript_answer_table_and_figures_are_there(
    browser: webdriver.Chrome, report: Path
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page = opened(browser, report)
        assert visible(page, ".drawn img") == [True] * 3
        assert not any(visible(page, "figure.chart"))
        assert not any(visible(page, ".controls"))
        assert all(visible(page, "#ranking tbody tr"))
        assert page.find_element(By.CSS_SELECTOR, "#answer .value").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_where_a_chart_fails_its_drawn_figure_stays(
    browser: webdriver.Chrome, report: Path
) -> None:
    source = "Object.defineProperty(window, 'ResizeObserver', { value: undefined });"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    try:
        page = opened(browser, report)
        assert visible(page, ".drawn") == [True] * 3
        assert not any(visible(page, "figure.chart"))
        # What needs no chart works on.
        header(page, "Rank").click()
        assert ranks(page) == ["4", "3", "2", "1"]
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        browser.get_log("browser")


def test_the_first_stop_of_the_keyboard_skips_to_the_report(page: webdriver.Chrome) -> None:
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    skip = page.switch_to.active_element
    assert skip.text == "Skip to the report"
    skip.send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "main"


def test_what_has_the_focus_shows_it(grid: webdriver.Chrome) -> None:
    seen = set()
    body = grid.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    for _ in range(150):
        element = grid.switch_to.active_element
        outline = grid.execute_script("return getComputedStyle(arguments[0]).outlineStyle", element)
        if element.tag_name == "body":
            break
        assert outline != "none", element.get_attribute("outerHTML")[:200]
        seen.add(element.tag_name)
        ActionChains(grid).send_keys(Keys.TAB).perform()
    assert {"a", "input", "button", "select", "summary", "div"} <= seen
