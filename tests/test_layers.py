"""The house: which part of the package may import which, and no circle anywhere."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vsrpp_lite"
LESSONS = {"gcn_reasoning", "global_alignment", "local_attention", "fusion", "caption_loss", "info_nce"}

MAY_IMPORT = {
    "extras": set(),
    "files": set(),
    "workers": set(),
    "settings": set(),
    "data": {"extras", "files", "workers"},
    "sealed_folder": {"data", "files"},
    "matcher": {"data", "settings"},
    "lessons": {"matcher"},
    "systems": {"lessons", "matcher", "data", "settings", "extras"},
    "training": {"matcher", "sealed_folder", "data", "settings", "extras", "files", "workers"},
    "paper": {"extras", "systems", "lessons", "training", "matcher", "data", "settings", "files", "workers"},
    "hub": {"training", "matcher", "extras"},
    "search": {"training", "sealed_folder", "matcher", "data", "extras", "files"},
    "teaching": {
        "show",
        "paper",
        "search",
        "two_stage",
        "systems",
        "training",
        "sealed_folder",
        "lessons",
        "matcher",
        "data",
        "settings",
        "files",
    },
    "show": {"training", "lessons", "matcher", "data"},
    "user_errors": {"training"},
    "two_stage": set(),
}
"""Each layer, and the layers below it that it may import; every layer may import itself."""


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py")}


def layer_of(module):
    part = module.split(".")[1] if "." in module else module
    return "lessons" if part in LESSONS else part


def imports(module):
    """Every module of the package that a file imports, in functions and under TYPE_CHECKING too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name in MODULES} - {module}


def test_no_two_files_import_each_other_not_even_by_a_detour():
    TopologicalSorter({module: imports(module) for module in MODULES}).prepare()  # raises CycleError, naming them


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_a_layer_imports_only_what_lies_below_it(layer):
    own = [module for module in MODULES if layer_of(module) == layer]
    assert own
    for module in own:
        above = {name for name in imports(module) if layer_of(name) not in MAY_IMPORT[layer] | {layer}}
        assert not above, f"{module} imports {', '.join(sorted(above))}"


def test_the_table_for_contributors_is_this_one():
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| part \| may import \|\n\|---\|---\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert {part: set(others.split(", ")) - {"-"} for part, others in rows} == MAY_IMPORT


def test_the_readme_has_every_file_on_its_map():
    """Files of the two folders that it does not list by name, the scenes and the checks, count by their folder."""
    readme = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^vsrpp_lite/\n(.*?)^data_scripts/", readme, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"\w+", shown))
    files = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    missing = {path for path in files if not {path.stem, *(folder.name for folder in path.parents[:-2])} & named}
    assert not missing


def test_every_module_stands_in_a_layer():
    assert {layer_of(module) for module in MODULES} == {*MAY_IMPORT, "vsrpp_lite", "__main__"}
