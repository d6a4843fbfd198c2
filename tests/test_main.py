"""The commands, as a user types them; and the rules that the text of the repository keeps."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from conftest import toy_split
from typer.testing import CliRunner

import vsrpp_lite
from vsrpp_lite.__main__ import app
from vsrpp_lite.data.write import write_dataset
from vsrpp_lite.files import home

ROOT = Path(__file__).parent.parent
RUNNER = CliRunner()


def test_check_says_what_is_there_or_what_is_wrong(toy):
    found = RUNNER.invoke(app, ["check", str(toy)])
    assert found.exit_code == 0
    assert "test: 20 images, 60 captions, features (5, 12)" in found.output
    features = toy / "test_ims.npy"
    content = features.read_bytes()
    features.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = RUNNER.invoke(app, ["check", str(toy)])
    assert found.exit_code == 1
    assert "test_ims.npy: found sha256" in found.output
    features.write_bytes(content)
    (toy / "dev_ids.txt").unlink()
    found = RUNNER.invoke(app, ["check", str(toy)])
    assert found.exit_code == 1
    assert "dev_ids.txt: missing" in found.output
    found = RUNNER.invoke(app, ["check", str(toy / "nowhere")])
    assert found.exit_code == 1
    assert "nowhere: expected a data folder" in found.output


def test_check_opens_splits_of_any_name_and_says_which_a_training_needs(tmp_path):
    write_dataset(tmp_path / "exam", name="exam", source="tests", splits={"exam": toy_split(4, 1)})
    found = RUNNER.invoke(app, ["check", str(tmp_path / "exam")])
    assert found.exit_code == 0
    assert "exam: 4 images" in found.output
    assert "no split train and no split dev and no split test, which a training needs" in found.output


@pytest.mark.slow
def test_scenes_are_drawn_where_asked_and_nothing_is_overwritten(tmp_path):
    folder = tmp_path / "mine"
    assert RUNNER.invoke(app, ["scenes", str(folder), "--seed", "3", "--size", "tiny"]).exit_code == 0
    manifest = (folder / "manifest.json").read_text()
    assert "seed 3, size tiny" in manifest
    assert len(list((folder / "images" / "test").glob("*.jpg"))) == 100
    again = RUNNER.invoke(app, ["scenes", str(folder)])
    assert again.exit_code == 1
    assert again.output == f"error: {folder} exists; nothing was written\n"
    assert (folder / "manifest.json").read_text() == manifest


REFUSED = {
    "--tables=9": "tables is '9'; expected numbers of 1 2 3 4",
    "--tables=1,2": "tables is '1,2'; expected numbers of 1 2 3 4",
    "--tables= ": "tables is ' '; expected numbers of 1 2 3 4",
    "--jobs=many": "unable to parse string as an integer",
    "--jobs=0": "greater than or equal to 1",
    "--preset=huge": "'huge' is not one of",
    "--seeds=0": "greater than or equal to 1",
    "--sedes=3": "No such option",
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_reproduce_does_not_know_is_refused_in_a_sentence(option):
    found = RUNNER.invoke(app, ["reproduce", option])
    assert found.exit_code == 2
    assert REFUSED[option] in " ".join(found.output.replace("│", "").split())
    assert (home() / "runs").exists() is False


def test_the_factorial_without_its_table_is_refused():
    found = RUNNER.invoke(app, ["reproduce", "--tables=2", "--factorial"])
    assert found.exit_code == 1
    assert "factorial is the ablation of Table 1; found table2, expected table1 among them" in found.output
    assert not (home() / "runs").exists()


def test_a_folder_that_cannot_be_made_is_named_without_a_traceback(tmp_path):
    (tmp_path / "file").touch()
    found = RUNNER.invoke(app, ["scenes", str(tmp_path / "file" / "out")])
    assert found.exit_code == 1
    assert found.output.startswith("error: ") and str(tmp_path / "file") in found.output


def test_data_that_are_not_there_are_named_without_a_traceback():
    found = RUNNER.invoke(app, ["reproduce", "--data=nowhere"])
    assert found.exit_code == 1
    assert found.output.startswith("error: no data set 'nowhere'")


def test_table_3_says_that_it_is_the_one_that_wants_a_second_data_set(toy):
    found = RUNNER.invoke(app, ["reproduce", "--data", "toy", "--preset", "smoke"])
    assert "table3 needs a second data set" in " ".join(found.output.replace("│", "").split())
    found = RUNNER.invoke(app, ["reproduce", "--data", "nowhere", "--tables", "1"])
    assert "no data set 'nowhere'" in found.output and "table3" not in found.output


def modules():
    for module in pkgutil.walk_packages(vsrpp_lite.__path__, "vsrpp_lite."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def test_every_public_name_is_documented():
    for module in modules():
        assert module.__doc__, module.__name__
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing) or inspect.isclass(thing):
                assert thing.__doc__, f"{module.__name__}.{name}"


@pytest.mark.slow
def test_the_package_is_there_without_the_seconds_that_figures_and_training_take_to_import():
    loaded = "import sys, vsrpp_lite; print(*sorted({'seaborn', 'lightning_fabric', 'scipy.stats'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert vsrpp_lite.show.figures is sys.modules["vsrpp_lite.show.figures"]  # and comes when it is asked for
    with pytest.raises(AttributeError, match="no attribute 'slow'"):
        vsrpp_lite.slow  # noqa: B018


def test_functions_and_files_are_short_and_the_package_does_not_print():
    for path in (ROOT / "vsrpp_lite").rglob("*.py"):
        text = path.read_text()
        assert text.count("\n") <= 300, f"{path.name} is longer than 300 lines: does it hold two ideas?"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path.name}: {node.name} is longer than 60 lines"
            called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            assert called != "print", f"{path.name}: print; use logging"


def test_the_conda_environment_names_what_the_package_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {
        re.match(r"[\w-]+", line)[0] for line in project["dependencies"] + project["optional-dependencies"]["test"]
    }
    conda = {"torch": "pytorch", "matplotlib": "matplotlib-base", "huggingface-hub": "huggingface_hub"}
    listed = set(re.findall(r"^ +- ([\w-]+)", (ROOT / "environment.yml").read_text(), flags=re.MULTILINE))
    assert {conda.get(name, name) for name in wanted} <= listed
    bounds = dict(re.findall(r"^ +- ([\w-]+) (>=[\d.]+)", (ROOT / "environment.yml").read_text(), flags=re.MULTILINE))
    for line in project["dependencies"]:
        name, low = re.match(r"([\w-]+)(>=[\d.]+)?", line).groups()
        assert bounds.get(conda.get(name, name)) == low, line
    locked = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-torch.txt").read_text()
    pinned = set(re.findall(r"^([\w.-]+)==", locked, flags=re.MULTILINE))
    assert {name.lower() for name in wanted} <= {name.replace("_", "-") for name in pinned}


def test_the_text_speaks_of_the_project_alone():
    """No path of a machine, no name of a place where it was made."""
    allowed = {"tests/test_main.py", "tests/test_multi30k.py"}
    ours = [ROOT / folder for folder in ("vsrpp_lite", "notebooks", "data_scripts", "tests")]
    written = [path for folder in ours for kind in ("*.py", "*.md") for path in folder.rglob(kind)]
    for path in [*written, *ROOT.glob("*.md"), *ROOT.glob("*.yml"), ROOT / "Makefile", ROOT / ".ci" / "run"]:
        name = path.relative_to(ROOT).as_posix()
        if name in allowed:
            continue
        text = path.read_text(encoding="utf-8")
        for word in ("../shared", "/root/", "/work/", "/home/"):
            assert word not in text, f"{name}: {word}"


@pytest.mark.slow
def test_the_ten_lines_of_the_readme_run_as_they_stand(home, monkeypatch):
    """With preset smoke, whose training takes seconds."""
    monkeypatch.chdir(home)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^## Ten lines$.*?^```python$(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert '"lite"' in lines
    exec(lines.replace('"lite"', '"smoke"'), {})
    assert (home / "found.png").stat().st_size > 10_000
    plt.close("all")


def test_notebooks_are_copied_without_solutions_and_without_what_was_built_beside_them(tmp_path):
    """What a checkout copies is what the wheel carries."""
    assert RUNNER.invoke(app, ["notebooks", str(tmp_path / "mine")]).exit_code == 0
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert {"00_start_here.ipynb", "images", "recorded", "predictions.toml"} <= names
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    notebooks = ROOT / "notebooks"
    carried = {path for pattern in package["vsrpp_lite.notebooks"] for path in notebooks.glob(pattern)}
    copied = {path.relative_to(tmp_path / "mine") for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert copied == {path.relative_to(notebooks) for path in carried if path.is_file()}
    again = RUNNER.invoke(app, ["notebooks", str(tmp_path / "mine")])
    assert again.exit_code == 1 and "mine" in again.output


def test_the_inventory_is_printed_without_its_answers():
    printed = RUNNER.invoke(app, ["inventory"])
    assert printed.exit_code == 0
    assert "I.20" in printed.output and "Right." not in printed.output
