"""The notebooks: in step with their text, really executed, clean, and run again from top to bottom as tests."""

import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest

from vsrpp_lite.reproduce import NOTEBOOKS, execute

ROOT = Path(__file__).parent.parent
PAIRS = [
    (path, ROOT / "notebooks" / f"{path.stem}.ipynb") for path in sorted((ROOT / "notebooks" / "src").glob("*.py"))
]
TAGS = {"parameters", "nbval-ignore-output", "nbval-check-output", "raises-exception", "hide-input", "widget"}

every_pair = pytest.mark.parametrize(("source", "notebook"), PAIRS, ids=[path.stem for path, _ in PAIRS])


def code_cells(notebook):
    return [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]


def test_every_notebook_has_its_text_and_every_text_its_notebook():
    assert {notebook for _, notebook in PAIRS} == set((ROOT / "notebooks").glob("*.ipynb"))


@every_pair
def test_the_pair_is_in_step(source, notebook):
    def content(path):
        return [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in jupytext.read(path).cells]

    assert content(notebook) == content(source), f"run `make notebooks` after an edit of {source.name}"


@every_pair
def test_every_cell_was_really_executed_in_order_and_none_failed(source, notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        if "raises-exception" not in cell.metadata.get("tags", []):
            assert not [output for output in cell.outputs if output.output_type == "error"], cell.source


@every_pair
def test_the_stored_notebook_is_clean(source, notebook):
    content = nbformat.read(notebook, as_version=4)
    assert notebook.stat().st_size < 700_000
    assert content.metadata.kernelspec.name == "python3"
    assert not {"widgets", "papermill"} & content.metadata.keys()
    for cell in content.cells:
        assert set(cell.metadata.get("tags", [])) <= TAGS
        assert "execution" not in cell.metadata
    text = notebook.read_text()
    for private in (str(Path.home()) + "/", "/tmp/", str(ROOT.parent) + "/"):
        assert private not in text


def test_parameters_that_a_notebook_does_not_know_are_refused():
    with pytest.raises(ValueError, match="no parameter sedes; it has data, preset, seeds"):
        execute("table1_structure", {"data": "scenes", "sedes": 3})


@pytest.mark.parametrize("name", NOTEBOOKS.values())
def test_table_notebooks_run_through_papermill_and_again_through_nbval(name, home):
    """Papermill trains (smoke) and runs the notebook; nbval must then find the same output in every cell."""
    settings = {"data": "scenes", "preset": "smoke", "seeds": 2}
    execute(name, settings)
    executed = execute(name, settings)  # the first run also shows a progress bar
    assert papermill.inspect_notebook(executed).keys() == settings.keys()
    command = "-m pytest -q -p no:cacheprovider -p no:xdist --nbval --nbval-current-env --nbval-cell-timeout 120"
    found = subprocess.run(
        [sys.executable, *command.split(), "-c", os.devnull, executed], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout
    assert f"{len(code_cells(executed))} passed" in found.stdout
    for figure in ("table1.png", "claims1.png", "table1_history.png"):
        assert (home / "results" / "figures" / figure).stat().st_size > 10_000
