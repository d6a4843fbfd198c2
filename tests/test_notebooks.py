"""The notebooks: in step with their text, really executed, clean, and run again from top to bottom as tests."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import papermill
import pytest

from vsrpp_lite.paper.ablation import FACTORIAL
from vsrpp_lite.paper.four_tables import TABLE1, TABLE2, TABLE3, TABLES
from vsrpp_lite.paper.recorded_runs import record_rows, recorded_samples
from vsrpp_lite.paper.reproduce import check_parameters, execute, reproduce_tables
from vsrpp_lite.training.metrics import METRICS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
SLIDES = "06_visual_analysis"
BY_COMMAND = {*(table.notebook for table in TABLES), SLIDES}
"""The notebooks that `make reproduce-tables` runs."""
PAIRS = [
    (path, ROOT / "notebooks" / f"{path.stem}.ipynb") for path in sorted((ROOT / "notebooks" / "src").glob("*.py"))
]
TAGS = {
    *("parameters", "nbval-ignore-output", "nbval-check-output", "raises-exception"),
    *("hide-input", "remove-cell", "widget"),
}

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
    assert notebook.stat().st_size < 400_000
    assert content.metadata.kernelspec.name == "python3"
    assert not {"widgets", "papermill"} & content.metadata.keys()
    for cell in content.cells:
        assert set(cell.metadata.get("tags", [])) <= TAGS
        assert "execution" not in cell.metadata
    text = notebook.read_text()
    assert "widget-view+json" not in text  # without a kernel, a viewer shows an empty place for it
    assert "/tmp/" not in text
    for private in (Path.home(), ROOT.parent):
        assert private == Path("/") or f"{private}/" not in text


@every_pair
def test_every_picture_has_an_alternative_text(source, notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            for kind in output.get("data", {}):
                if kind.startswith("image/"):
                    assert len(output.metadata[kind]["alt"]) > 30, cell.source
                    assert output.metadata[kind]["alt"] in cell.metadata.mystnb["image"]["alt"]


@every_pair
def test_the_first_code_installs_this_version_where_there_is_none(source, notebook):
    first, second, *_ = code_cells(notebook)
    assert first.metadata.tags == ["remove-cell"] and second.metadata.tags == ["parameters"]
    assert f"vsrpp_lite[notebooks,search]=={version('vsrpp_lite')}" in first.source
    assert '"-m", "vsrpp_lite", "lesson-models"' in first.source  # and takes the models that need no training then


def test_every_module_has_its_place_in_the_api_reference():
    pages = "\n".join(path.read_text() for path in (ROOT / "notebooks" / "api").glob("*.rst"))
    modules = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "vsrpp_lite").rglob("[!_]*.py")}
    public = {".".join(path.parts) for path in modules if not {"scenes", "check"} & {*path.parts}}
    public |= {f"vsrpp_lite.data.scenes{module}" for module in ("", ".facts", ".truth", ".probes")}
    assert sorted(re.findall(r"^\.\. autoapimodule:: (\S+)$", pages, re.MULTILINE)) == sorted(public)
    contents = (ROOT / "notebooks" / "_toc.yml").read_text()
    for path in (ROOT / "notebooks" / "api").glob("*.rst"):
        assert f"file: api/{path.stem}\n" in contents


def test_parameters_that_a_notebook_does_not_know_are_refused():
    with pytest.raises(ValueError, match="no parameter sedes; it has data, preset, seeds, factorial"):
        execute("table1_structure", {"data": "scenes", "sedes": 3})


SMOKE = {"data": "scenes", "preset": "smoke"}
FIGURES = {
    "table1_structure": ["table1.png", "claims1.png", "table1_history.png"],
    "table2_mu": ["table2.png", "table2_sweep.png"],
    "table3_coco": ["table3.png", "claims3.png"],
    "table4_flickr30k": ["table4.png", "claims4.png"],
    SLIDES: ["ranks.png", "query_text_gain1.png", "query_text_loss2.png", "query_image_loss.png"],
    "07_reading_the_tables": ["factorial.png"],
}
one_home = pytest.mark.xdist_group("notebooks")  # and one worker, so that nothing is trained twice


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """`make reproduce-tables PRESET=smoke FACTORIAL=1` with one seed, to be called again; and the home it filled.

    It runs in a process of its own, as a user's does: in this one, checks of shapes would slow the trainings down.
    """
    place = tmp_path_factory.mktemp("reproduced")
    options = ["--data", "scenes", "--preset", "smoke", "--seeds", "1", "--jobs", "1", "--factorial"]
    environment = os.environ | {"VSRPP_HOME": str(place)}
    subprocess.run([sys.executable, "-m", "vsrpp_lite", "reproduce", *options], env=environment, check=True)
    return partial(reproduce_tables, **SMOKE, seeds=1, jobs=1), place


@pytest.fixture
def reproduced(command, monkeypatch):
    """The home of that command."""
    monkeypatch.setenv("VSRPP_HOME", str(command[1]))
    return command[1]


@one_home
def test_one_command_leaves_all_tables_claims_figures_and_notebooks(command, reproduced):
    """What the README promises of it; a second call trains nothing."""
    results = reproduced / "results"
    rows = {number: len(pd.read_csv(results / "tables" / f"table{number}.csv")) for number in (1, 2, 3, 4)}
    assert rows == {1: 6, 2: 6, 3: 7, 4: 7}
    assert pd.read_csv(results / "tables" / "table3.csv")["rsum_5k"].notna().all()
    claims = pd.read_csv(results / "claims.csv")
    assert claims.groupby("table").size().to_dict() == {"table1": 5, "table2": 3, "table3": 11, "table4": 11}
    assert set(claims["verdict"]) <= {"reproduced", "not reproduced", "inconclusive"}
    assert {path.stem for path in (results / "notebooks").glob("*.ipynb")} == BY_COMMAND
    trained = {path: path.stat().st_mtime_ns for path in (reproduced / "runs").rglob("result.json")}
    assert len(trained) == 40  # 22 rows, 3 margins rescaled, 3 variants of SCAN, 12 cells that are no rows
    assert len(pd.read_csv(results / "tables" / "factorial.csv")) == 15
    assert len(pd.read_csv(results / "tables" / "interactions.csv")) == 6
    command[0]([TABLE2])
    assert {path: path.stat().st_mtime_ns for path in (reproduced / "runs").rglob("result.json")} == trained


@one_home
def test_the_cells_of_the_clean_ablation_are_recorded_like_rows_of_a_table(reproduced, tmp_path):
    """Their ranks are kept, so any other question about the sixteen cells can be answered from the record."""
    shutil.copytree(reproduced / "results" / "tables", tmp_path / "kept")
    record_rows(tmp_path / "kept", data="scenes")
    lines = pd.read_csv(tmp_path / "kept" / "runs.csv").set_index("table")
    assert set(lines.loc["factorial", "row"]) == set(FACTORIAL.rows)
    shared = lines.loc["table1"].set_index("row").loc["VSR++ (full)", "digest"]
    assert shared in set(lines.loc["factorial", "digest"])  # a row of Table 1 is one of the cells
    cell = lines.loc["factorial"].iloc[-1]
    found = recorded_samples(tmp_path / "kept", "factorial", cell["row"])[..., METRICS.index("rsum")].mean()
    assert found == pytest.approx(cell["rsum"], abs=0.01)


def add_solutions(path):
    """The code of every solution as a cell of its own behind its exercise; what it shows is not compared."""
    notebook = nbformat.read(path, as_version=4)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        for solution in re.findall(r"<summary>Solution</summary>(.*?)</details>", cell.source, re.DOTALL):
            for code in re.findall(r"```python\n(.*?)```", solution, re.DOTALL):
                cells.append(nbformat.v4.new_code_cell(code, metadata={"tags": ["nbval-ignore-output"]}))
    notebook.cells = cells
    nbformat.write(notebook, path)


def through_nbval(path):
    """Run a notebook, and its solutions: nbval must find every stored output again, but for the cells tagged so."""
    add_solutions(path)
    options = "-m pytest -q -p no:cacheprovider -p no:xdist --nbval --nbval-current-env --nbval-cell-timeout 120"
    found = subprocess.run(
        [sys.executable, *options.split(), "-c", os.devnull, path], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout
    assert f"{len(code_cells(path))} passed" in found.stdout


def figures_of(name, home):
    for figure in FIGURES.get(name, []):
        assert (home / "results" / "figures" / figure).stat().st_size > 10_000


@one_home
@pytest.mark.parametrize("name", sorted(BY_COMMAND))
def test_what_papermill_ran_gives_every_output_again(name, reproduced):
    """The notebooks of the command above. Every output of its run is compared."""
    through_nbval(reproduced / "results" / "notebooks" / f"{name}.ipynb")
    figures_of(name, reproduced)


@one_home
@pytest.mark.parametrize("name", [path.stem for path, _ in PAIRS if path.stem not in BY_COMMAND])
def test_every_lesson_gives_again_what_its_readers_see(name, reproduced):
    """The outputs that the repository keeps are compared with those of a run.

    This run takes fewer pictures and smaller models. So a cell that shows what was trained or drawn has the tag
    nbval-ignore-output. Every other cell, such as one that calculates by hand, must give what stands in the notebook.
    """
    source = check_parameters(name, {})
    known = papermill.inspect_notebook(source)
    path = reproduced / "results" / "notebooks" / source.name
    parameters = {key: value for key, value in (SMOKE | {"seeds": 1}).items() if key in known}
    papermill.execute_notebook(source, path, parameters, prepare_only=True, progress_bar=False)
    through_nbval(path)
    figures_of(name, reproduced)


@one_home
def test_two_seeds_make_a_table_with_intervals_over_seeds(reproduced):
    execute("table1_structure", SMOKE | {"seeds": 2})
    assert set(pd.read_csv(reproduced / "results" / "tables" / "table1.csv")["seeds"]) == {2}


def test_data_without_a_second_set_have_no_table_3(toy):
    with pytest.raises(FileNotFoundError, match="no data set 'toy-coco'"):
        reproduce_tables([TABLE1, TABLE3], data="toy", preset="smoke", seeds=1, jobs=1)
    assert not list(toy.parent.parent.glob("runs/*"))  # said before anything was trained
