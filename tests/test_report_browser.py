"""The report in a real browser: it opens without a complaint, sorts, filters, runs no stranger."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from synthetic import finished

pytestmark = pytest.mark.browser

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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        missing = (
            "chromium and chromedriver are not installed, so the report was NOT tested in a "
            "browser; on Debian: apt-get install chromium chromium-driver"
        )
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    study = finished(folder, labels=EVIL, failed={0: EVIL[1]}, report={"title": EVIL[0]})
    file = folder / "report.html"
    file.write_text(study.render(folder / "figures"), encoding="utf-8")
    return file


@pytest.fixture
def page(browser: webdriver.Chrome, report: Path) -> webdriver.Chrome:
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(report.as_uri())
    return browser


def ranks(page: webdriver.Chrome) -> list[str]:
    """Return the ranks of the visible rows, from top to bottom."""
    rows = page.find_elements(By.CSS_SELECTOR, "#ranking tbody tr")
    return [r.find_element(By.TAG_NAME, "td").text for r in rows if r.is_displayed()]


def header(page: webdriver.Chrome, title: str) -> Any:
    (found,) = [
        e
        for e in page.find_elements(By.CSS_SELECTOR, "#ranking thead button")
        if e.text.partition(",")[0].strip() == title
    ]
    return found


def test_it_opens_without_a_complaint_and_asks_nothing_of_a_network(
    page: webdriver.Chrome, report: Path
) -> None:
    assert page.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert report.as_uri() in asked
    assert [url for url in asked if not url.startswith(("data:", report.as_uri()))] == []


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
    assert len(others) == len(page.find_elements(By.CSS_SELECTOR, "#ranking thead th")) - 1


def test_sorting_works_from_the_keyboard(page: webdriver.Chrome) -> None:
    header(page, "Rank").send_keys(Keys.ENTER)
    assert ranks(page) == ["4", "3", "2", "1"]


def test_what_has_no_value_is_sorted_last_either_way(page: webdriver.Chrome) -> None:
    for _ in range(2):
        header(page, "p").click()
        # The selected configuration is not compared with itself.
        assert ranks(page)[-1] == "1"


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
    page: webdriver.Chrome, theme: str
) -> None:
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )
    background = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    red = int(page.execute_script(background, "body")[4:].partition(",")[0])
    assert (red > 128) == (theme == "light")
    assert page.execute_script(background, ".canvas") == "rgb(255, 255, 255)"
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
