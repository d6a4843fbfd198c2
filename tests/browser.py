"""Lessons and an assignment in a real JupyterLab, in headless Chromium: run all, move a control, see the page change.

`make test-browser`; needs Chromium and its driver. Screenshots are left in results/browser/.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).parent.parent
SCREENSHOTS = ROOT / "results" / "browser"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --window-size=1400,1800 --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
SETTINGS = {  # every cell in the page, whether it is in view or not; no news, no questions
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
}


pytestmark = pytest.mark.skipif(not shutil.which("chromedriver"), reason="no chromedriver: install chromium-driver")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the notebooks: lessons set to preset smoke, assignments handed out."""
    home = tmp_path_factory.mktemp("home")
    notebooks = shutil.copytree(ROOT / "notebooks", home / "notebooks")
    for path in notebooks.glob("[01]*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
        cell.source = cell.source.replace('"lite"', '"smoke"')
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)
    env = os.environ | {"VSRPP_HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "config")}
    subprocess.run([sys.executable, notebooks / "assignments" / "course", "build"], env=env, check=True)
    for name, setting in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(setting))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--no-browser --allow-root --port={port} --expose-app-in-browser --ServerApp.port_retries=0"
    command = [sys.executable, "-m", "jupyterlab", *options.split(), f"--notebook-dir={notebooks}"]
    command += ["--IdentityProvider.token=", f"--LabApp.user_settings_dir={home / 'settings'}"]
    with (home / "lab.log").open("w") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(lambda: urlopen(f"{address}/api").status == 200, 60, OSError)
            yield address
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for flag in FLAGS.split():
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def wait_for(happened, seconds, *ignored):
    """What `happened` returns, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := happened():
                return found
        except ignored:
            pass
        assert time.monotonic() < deadline, f"nothing after {seconds} s"
        time.sleep(0.2)


def run_all(browser, lab, path):
    """Open a notebook in a workspace of its own and run it as far as it goes: the count of each code cell."""
    browser.get(f"{lab}/lab/workspaces/{Path(path).name}/tree/{path}.ipynb?reset")
    state = "const panel = window.jupyterapp?.shell.currentWidget; const kernel = panel?.context?.sessionContext; "
    wait_for(lambda: browser.execute_script(state + "return kernel?.session?.kernel?.status === 'idle'"), 120)
    browser.execute_script(
        "window.finished = null; window.jupyterapp.commands.execute('notebook:run-all-cells')"
        ".finally(() => { window.finished = true })"
    )
    wait_for(lambda: browser.execute_script("return window.finished"), 300)
    return browser.execute_script(
        state + "return Array.from(panel.content.widgets).map(c => c.model)"
        ".filter(m => m.type === 'code').map(m => m.executionCount)"
    )


def run_lesson(browser, lab, name):
    """Run a lesson to its end; none of its cells fails, since an error would stop the rest."""
    counts = run_all(browser, lab, name)
    assert not browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output[data-mime-type$='stderr'] .ansi-red-fg")
    assert counts == list(range(1, len(counts) + 1))


def control(browser, description):
    """The widget with this label."""
    label = f"//label[contains(@class, 'widget-label')][normalize-space()='{description}']"
    return WebDriverWait(browser, 30).until(lambda b: b.find_element(By.XPATH, f"{label}/.."))


def shown(browser, widget):
    """The picture and the numbers that belong to a control: what a reader sees change."""
    # In one script: the table is a new one after every move, and its cells, asked one by one, would be gone half-way.
    return browser.execute_script(
        "const box = arguments[0].closest('.jp-OutputArea-output');"
        "const pictures = Array.from(box.querySelectorAll('img.widget-image'), image => image.src);"
        "return [pictures, Array.from(box.querySelectorAll('.widget-html td'), cell => cell.innerText)];",
        widget,
    )


def screenshot(browser, widget, name):
    browser.execute_script("arguments[0].scrollIntoView({block: 'start'})", widget)
    drawn = "return Array.from(document.querySelectorAll('img.widget-image')).every(i => i.complete && i.naturalWidth)"
    wait_for(lambda: browser.execute_script(drawn), 30)
    time.sleep(1)  # and painted
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def test_the_slider_of_lesson_4_moves_the_figure_and_the_numbers(lab, browser):
    run_lesson(browser, lab, "04_fusion")
    slider = control(browser, "mu")
    pictures, numbers = shown(browser, slider)
    screenshot(browser, slider, "04_fusion-before")
    handle = slider.find_element(By.CSS_SELECTOR, ".noUi-handle")
    for _ in range(12):
        handle.send_keys(Keys.ARROW_LEFT)
    moved = wait_for(lambda: (found := shown(browser, slider))[0] != pictures and found[1] != numbers and found, 30)
    screenshot(browser, slider, "04_fusion-after")
    assert len(moved[1]) == len(numbers) > 0
    for _ in range(12):
        handle.send_keys(Keys.ARROW_RIGHT)
    wait_for(lambda: shown(browser, slider)[1] == numbers, 30)  # and back again


def test_the_word_picked_in_lesson_3_moves_the_attention(lab, browser):
    run_lesson(browser, lab, "03_local_attention")
    picker = control(browser, "word")
    pictures, _ = shown(browser, picker)
    screenshot(browser, picker, "03_local_attention-before")
    word = picker.find_elements(By.TAG_NAME, "button")[-1]
    browser.execute_script("arguments[0].click()", word)
    wait_for(lambda: shown(browser, picker)[0] != pictures, 30)
    screenshot(browser, picker, "03_local_attention-after")


def cell_with(browser, text):
    """The cell of code whose text begins in this way, scrolled into view."""
    found = next(
        cell
        for cell in browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")
        if cell.text.lstrip("[]0123456789: \n").startswith(text)
    )
    browser.execute_script("arguments[0].scrollIntoView({block: 'start'})", found)
    return found


def test_a_prompt_of_lesson_9_reveals_its_answer_after_a_commit(lab, browser):
    run_lesson(browser, lab, "09_what_recall_cannot_see")
    prompt = cell_with(browser, 'predict("9.1")')
    assert "You predicted" not in prompt.text and "As you predicted" not in prompt.text
    choices = prompt.find_elements(By.CSS_SELECTOR, "input[type='radio']")
    commit = prompt.find_element(By.CSS_SELECTOR, "button.widget-button")
    assert len(choices) == 3 and not commit.is_enabled()
    browser.execute_script("arguments[0].click()", choices[1])
    wait_for(commit.is_enabled, 10)
    browser.execute_script("arguments[0].click()", commit)
    wait_for(lambda: "As you predicted." in prompt.text, 10)
    screenshot(browser, prompt, "09_what_recall_cannot_see")


def test_lesson_11_runs_and_its_questions_mark_themselves(lab, browser):
    run_lesson(browser, lab, "11_searching_a_million")
    questions = cell_with(browser, "quiz(11)")
    choices = questions.find_elements(By.CSS_SELECTOR, "input[type='radio']")
    assert len(choices) == 15
    browser.execute_script("arguments[0].click()", choices[0])
    wait_for(lambda: "1 of 1 right at the first try" in questions.text, 10)
    screenshot(browser, questions, "11_searching_a_million")


def test_a_student_s_assignment_runs_up_to_the_first_unsolved_cell(lab, browser):
    counts = run_all(browser, lab, "assignments/release/a1_region_graph")
    parameters, prepared, answer, first_test, *rest = counts
    assert (parameters, prepared, answer, first_test) == (1, 2, 3, 4)
    assert set(rest) == {None}
    (error,) = browser.find_elements(By.CSS_SELECTOR, ".jp-RenderedText[data-mime-type$='stderr']:has(.ansi-red-fg)")
    assert "NotImplementedError" in error.text
    screenshot(
        browser, error.find_element(By.XPATH, "./ancestor::div[contains(@class, 'jp-Cell ')]"), "a1_region_graph"
    )
    locked = browser.execute_script(
        "return Array.from(window.jupyterapp.shell.currentWidget.content.widgets)"
        ".filter(cell => cell.model.getMetadata('nbgrader').locked).map(cell => cell.readOnly)"
    )
    assert locked and all(locked)
