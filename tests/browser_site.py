"""The built site in headless Chromium, opened from disk: its three widgets, its links, and its width on a phone.

`make test-browser` after `make book`. Screenshots are left in results/browser/.
"""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import numpy as np
import pytest
from browser import ROOT, SCREENSHOTS, browser, pytestmark, wait_for  # noqa: F401
from selenium.webdriver.common.by import By

from vsrpp_lite.training.metrics import ranks, recalls

SITE = ROOT / "results" / "book" / "_build" / "html"
PAGES = sorted(path for path in SITE.rglob("*.html") if not {"_static", "_sources"} & {*path.relative_to(SITE).parts})


@pytest.fixture(scope="module", autouse=True)
def built():
    if not PAGES:
        pytest.skip("the site is not built: make book")


@pytest.fixture(scope="module")
def stored():
    """What the page holds, unpacked in Python."""
    text = (ROOT / "notebooks" / "recorded" / "try_it.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r">(\{.*\})</script>", text, re.DOTALL)[1])
    shape = len(data["images"]), len(data["captions"])
    for name in ("global", "local"):
        data[name] = np.frombuffer(base64.b64decode(data[name]), "<i2").reshape(shape) / data["steps"]
    data["caption_to_image"] = np.array(data["caption_to_image"])
    return data


@pytest.fixture
def page(browser):  # noqa: F811
    browser.set_window_size(1200, 1400)
    browser.get((SITE / "try_it.html").as_uri())
    wait_for(lambda: browser.find_elements(By.CSS_SELECTOR, "#regions rect"), 30)
    return browser


def set_value(page, element, value, event):
    page.execute_script(
        f"const found = document.getElementById('{element}'); found.value = arguments[0];"
        f"found.dispatchEvent(new Event('{event}'))",
        str(value),
    )


def screenshot(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


@pytest.mark.parametrize("mu", [0.0, 0.4, 2.0, 8.0])
def test_the_slider_shows_the_recalls_that_python_computes(page, stored, mu):
    set_value(page, "mu", mu, "input")
    cells = [float(cell.text) for cell in page.find_elements(By.CSS_SELECTOR, "#recalls td")]
    where = stored["caption_to_image"]
    expected = recalls(*ranks(stored["global"] + mu * stored["local"], where), where)
    names = [f"{way}_r{k}" for way in ("i2t", "t2i") for k in (1, 5, 10)]
    np.testing.assert_allclose(cells, [expected[name] for name in names], atol=0.051)


def test_words_choose_a_sentence_and_the_sentence_finds_its_pictures(page, stored):
    set_value(page, "query", "dog", "input")
    options = page.find_elements(By.CSS_SELECTOR, "#sentence option")
    texts = [int(option.get_attribute("value")) for option in options]
    assert texts == [k for k, caption in enumerate(stored["captions"]) if " dog" in f" {caption.lower()}"]
    set_value(page, "sentence", texts[-1], "change")
    scores = (stored["global"] + 2.0 * stored["local"])[:, texts[-1]]
    shown = [float(found.text.split()[0]) for found in page.find_elements(By.CSS_SELECTOR, "#found figcaption")]
    np.testing.assert_allclose(shown, np.sort(scores)[::-1][:5], atol=0.0051)
    own = stored["caption_to_image"][texts[-1]]
    assert len(page.find_elements(By.CSS_SELECTOR, "#found .right")) == (own in np.argsort(-scores)[:5])
    set_value(page, "query", "zebra", "input")
    assert "No sentence" in page.find_element(By.ID, "found").text
    set_value(page, "query", "", "input")
    screenshot(page, "site-try_it")


def test_a_word_shows_the_regions_that_it_attends_to(page, stored):
    first = stored["attention"][0]
    assert len(page.find_elements(By.CSS_SELECTOR, "#regions rect")) == len(first["boxes"])
    for position in (2, len(first["words"]) - 2):
        page.find_elements(By.CSS_SELECTOR, "#words button")[position].click()
        expected = f"“{first['words'][position]}” looks at most gets {max(first['weights'][position]):.0f} %"
        wait_for(lambda expected=expected: expected in page.find_element(By.ID, "attention-told").text, 10)
    np.testing.assert_allclose(np.sum(first["weights"], axis=1), 100, atol=1)  # words ask, so each row is a whole
    page.execute_script("document.getElementById('attention').scrollIntoView()")
    screenshot(page, "site-attention")


def test_the_launch_page_makes_links_for_any_repository(browser):  # noqa: F811
    browser.get((SITE / "launch.html").as_uri())
    listed = {cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#launches td:first-child")}
    # lesson 8 needs a checkout
    assert listed == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} - {"08_your_own_photographs"}
    assert not browser.find_elements(By.CSS_SELECTOR, "#launches a[href*='mybinder']")
    set_value(browser, "repository", "someone/a-fork", "input")
    (binder, *_) = browser.find_elements(By.CSS_SELECTOR, "#launches a[href*='mybinder']")
    address = "https://mybinder.org/v2/gh/someone/a-fork/HEAD?urlpath=lab%2Ftree%2Fnotebooks%2F00_start_here.ipynb"
    assert binder.get_attribute("href") == address


class Links(HTMLParser):
    """The addresses on a page, and the places on it that an address can name."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.links |= {found[key] for key in ("href", "src") if found.get(key)}
        self.places |= {found[key] for key in ("id", "name") if found.get(key)}


def test_no_link_within_the_site_is_broken():
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in PAGES}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            address, place = urldefrag(link)
            if urlparse(link).scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(urlparse(address).path)).resolve() if address else path
            missing = not target.exists()
            if missing or (place and target in pages and unquote(place) not in pages[target].places):
                broken.append(f"{path.relative_to(SITE)}: {link}")
    assert not broken


@pytest.mark.parametrize("name", ["00_start_here", "01_gcn_reasoning", "09_what_recall_cannot_see", "try_it"])
def test_a_page_fits_a_phone(browser, name):  # noqa: F811
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        browser.get((SITE / f"{name}.html").as_uri())
        width = browser.execute_script("return document.documentElement.scrollWidth")
        screenshot(browser, f"site-phone-{name}")
        assert width <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_site_shows_no_solution_of_an_assignment():
    assert not [path for path in PAGES if "assignments" in path.parts]
    for path in PAGES:
        assert "BEGIN SOLUTION" not in Path(path).read_text(encoding="utf-8")
