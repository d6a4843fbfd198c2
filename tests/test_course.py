"""The course: the student version gives nothing away, the reference gets all points, every mistake its own message."""

import ast
import csv
import json
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "notebooks" / "assignments"), str(ROOT / "tests")]

import course
import course_submissions
import grading
import repair

pytestmark = [pytest.mark.course, pytest.mark.xdist_group("course")]  # graded once, for all tests
NAMES = course.names()
SUBMISSIONS = ROOT / "tests" / "submissions"

# student, assignment, question -> what the test made for this mistake must say
TEACHES = {
    ("wrong_one", "a1_region_graph"): {
        "affinity-by-hand": "expected 3, 30, 30, 300",
        "affinity-values": "there is no softmax in A",
        "affinity-missing": "there is no softmax in A",
        "reason-new-layer": "where is the residual?",
        "reason-values": "the residual is missing",
        "reason-padding": "a missing region must keep its own value",
        "loudest-value": "you have summed the rows",
    },
    ("wrong_two", "a1_region_graph"): {
        "affinity-missing": "R counts the regions that exist",
        "reason-padding": "BN saw missing regions",
    },
    ("wrong_one", "a2_hardest_negative"): {
        "negatives-siblings": "another caption of the same picture is no negative",
        "hinge-by-hand": "expected 0.20, found 0.05",
        "hinge-values": "both directions are needed",
        "hinge-masks": "both directions are needed",
        "plateau-value": "each two siblings are two entries",
    },
    ("wrong_two", "a2_hardest_negative"): {
        "hinge-by-hand": "expected 0.20, found 0.00",
        "hinge-values": "the hinge is missing",
        "hinge-satisfied": "the hinge is missing",
        "hinge-masks": "the hinge is missing",
        "plateau-value": "two margins",
    },
    ("wrong_one", "a3_local_attention"): {
        "attention-by-hand": "expected 0.88 and 0.12",
        "attention-values": "the softmax runs over the regions",
        "local-padding": "padding was counted as words",
        "sharpest-value": "<start> and <end> do not count",
    },
    ("wrong_two", "a3_local_attention"): {
        "attention-values": "the norm runs over the words",
        "local-no-loop": "there is a loop in it",
    },
    ("wrong_one", "a4_fusion"): {
        "fuse-values": "changes its argument number 1 in place",
        "choose-honest": "mu was chosen on the test split",
        "margin-values": "the other way round",
    },
    ("wrong_two", "a4_fusion"): {
        "fuse-by-hand": "0.5 + 2 x 0.25 is 1",
        "fuse-values": "S_G keeps its weight of one",
        "study-values": "the order of the result",
        "choose-honest": "report the rsum on test",
    },
    ("wrong_one", "a5_caption_step"): {
        "look-values": "missing regions are looked at",
        "loss-values": "teacher forcing gives the true previous word",
        "price-value": "the other way round",
    },
    ("wrong_two", "a5_caption_step"): {
        "step-values": "write this one yourself: your answer calls CaptionDecoder.step",
        "loss-values": "padding was paid for",
    },
    ("wrong_one", "a6_capstone"): {"similarity-pairs": "changes with what else is in the batch"},
    ("wrong_two", "a6_capstone"): {
        "similarity-chance": "scores drawn by lot",
        "similarity-global": "S_G alone has",
        "similarity-own": "is more than chance",
    },
    ("loops", "a2_hardest_negative"): {
        "negatives-by-hand": "a loop that does not end",
        "negatives-siblings": "a loop that does not end",
    },
    ("greedy", "a3_local_attention"): {
        "attention-by-hand": "allocate memory",
        "attention-values": "allocate memory",
    },
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The submissions of the repository, graded as `make assignments && make grade` does."""
    home = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSRPP_HOME", str(home))
        patch.setattr(course, "RELEASE", home / "release")
        for command in (["build"], ["grade", str(SUBMISSIONS), "--cell-seconds", "10"]):
            done = CliRunner().invoke(course.app, command, catch_exceptions=False)
            assert done.exit_code == 0, done.output
        yield home


@pytest.fixture(scope="module")
def rows(graded):
    """grades.csv, by student and assignment."""
    found = {}
    with (graded / "results" / "course" / "grades.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault((row["student"], row["assignment"]), {})[row["question"]] = row
    return found


def feedback(home, student, name):
    return (home / "results" / "course" / "feedback" / student / f"{name}.md").read_text()


def test_the_reference_gets_every_point_that_a_machine_can_give(rows):
    for name in NAMES:
        for row in rows["reference", name].values():
            assert row["status"] == "read by hand" or row["points"] == row["max"], row


def test_the_student_version_gets_none(rows, graded):
    for name in NAMES:
        for row in rows["empty", name].values():
            assert (row["points"], row["status"]) == ("0.0", "not answered"), row
        assert "About the file" not in feedback(graded, "empty", name)  # nothing else broke


@pytest.mark.parametrize(("student", "name"), TEACHES)
def test_each_mistake_is_caught_by_its_test_with_a_message_that_teaches_and_costs_nothing_else(rows, student, name):
    for question, row in rows[student, name].items():
        message = TEACHES[student, name].get(question)
        if message:
            assert (row["status"], float(row["points"])) == ("failed", 0), row
            assert message in row["remark"], row
        else:
            assert row["status"] in ("passed", "not answered"), row  # written answers are left empty
            assert (row["status"] == "passed") == (row["points"] == row["max"]), row


def test_there_are_a_dozen_mistakes_and_every_assignment_has_some():
    mistakes = [key for key in TEACHES if key[0].startswith("wrong")]
    assert sum(len(TEACHES[key]) for key in mistakes) >= 12
    assert {name for _, name in mistakes} == set(NAMES)


def test_one_that_ends_python_keeps_what_it_had_and_costs_the_rest_of_itself_alone(rows):
    status = {question: row["status"] for question, row in rows["crashes", "a1_region_graph"].items()}
    assert [question for question in status if status[question] == "passed"] == [
        "affinity-by-hand",
        "affinity-values",
        "affinity-missing",
    ]
    remaining = [row for row in rows["crashes", "a1_region_graph"].values() if row["status"] != "passed"]
    assert all(row["status"] == "not reached" and "Python came to an end" in row["remark"] for row in remaining)


def test_what_is_no_notebook_of_the_course_is_said_to_be_none(rows, graded):
    for name in NAMES[:3]:
        assert {row["status"] for row in rows["astray", name].values()} == {"not graded"}
    assert "cannot be read as a notebook" in feedback(graded, "astray", NAMES[0])
    assert "cannot be read as a notebook" in feedback(graded, "astray", NAMES[1])
    assert "not one of the" in feedback(graded, "astray", NAMES[2])
    assert "is no assignment of this course" in feedback(graded, "astray", "homework")


def test_a_notebook_with_deleted_moved_and_retyped_cells_is_repaired_and_says_so(rows, graded):
    assert all(row["status"] == "passed" for row in rows["retyped", "a1_region_graph"].values())
    said = feedback(graded, "retyped", "a1_region_graph")
    for line in (
        "cells were moved: the order of the release was restored",
        "`a1-01`: this locked cell was changed: its own text was put back",
        "`affinity-values`: this test cell was changed: its own text was put back",
        "`affinity-missing`: this test cell was deleted: it was put back",
        "`reason`: this answer had lost its name: it was known by its cell id",
        "`loudest`: this answer cell is there 2 times",
    ):
        assert line in said


def test_feedback_and_tables_show_no_line_of_a_hidden_test(graded):
    results = graded / "results" / "course"
    written = "\n".join(path.read_text() for path in results.rglob("*") if path.is_file())
    code = [line for name in NAMES for line in secrets(name) if not line.startswith(('"', 'f"'))]
    assert not [line for line in code if line in written]


def test_the_leaderboard_stands_by_rsum_among_what_there_was_to_beat(graded):
    with (graded / "results" / "course" / "leaderboard.csv").open() as file:
        board = list(csv.DictReader(file))
    names = {row["name"]: row for row in board}
    assert {"reference", "wrong_one", "wrong_two", "*VSR++*", "*S_G alone*", "*chance*"} <= names.keys()
    sums = [float(row["rsum"]) for row in board]
    assert sums == sorted(sums, reverse=True)
    assert float(names["*VSR++*"]["difference"]) == 0
    assert float(names["*S_G alone*"]["hi"]) < 0
    assert "| place | name" in " ".join((graded / "results" / "course" / "leaderboard.md").read_text().split())


def secrets(name):
    """Lines of solutions and hidden tests that stand nowhere in the student's part of the source."""
    hidden, shown, inside = [], [], False
    for cell in course.source(name, 2026).cells:
        for line in cell.source.splitlines():
            if "### BEGIN" in line or "### END" in line:
                inside = "### BEGIN" in line
                hidden.append(line.strip())
            else:
                (hidden if inside else shown).append(line.strip())
    return {line for line in hidden if len(line) > 7 and not any(line in other for other in shown)}


@pytest.mark.parametrize("name", NAMES)
def test_no_solution_and_no_hidden_test_can_be_reached_from_the_student_version(graded, name):
    text = (graded / "release" / f"{name}.ipynb").read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    # every string of the file, whatever it hangs on: sources, metadata, outputs
    strings = []
    json.loads(text, object_hook=lambda pairs: strings.extend(map(str, [*pairs, *pairs.values()])) or pairs)
    everything = "\n".join([text, *strings])
    assert len(secrets(name)) > 20
    assert not [line for line in secrets(name) if line in everything]
    assert "checks" not in everything
    assert notebook.metadata.keys() == {"kernelspec"}
    for cell in notebook.cells:
        assert cell.metadata.keys() <= {"nbgrader", "deletable", "editable"}
        assert cell.metadata.nbgrader.keys() <= {
            *("grade", "grade_id", "locked", "points", "schema_version", "solution", "task", "cell_type", "checksum")
        }
        assert not cell.get("outputs")
        assert cell.get("attachments") is None
        if cell.metadata.nbgrader["solution"]:
            assert "YOUR" in cell.source
        else:
            assert cell.metadata.editable is False
    assert {path.name for path in (graded / "release").iterdir()} == {
        *(f"{name}.ipynb" for name in NAMES),
        "unit.py",
        "release.json",
    }


def test_the_search_for_secrets_finds_one_that_is_there(graded):
    """The test above, tested: a solution that was left in would be found."""
    solved = nbformat.writes(course_submissions.solved("a1_region_graph"))
    assert [line for line in secrets("a1_region_graph") if line in solved]


def test_the_student_version_runs_up_to_the_first_unsolved_cell(graded, tmp_path):
    """In a folder of its own, with what students are given and nothing else."""
    shutil.copytree(graded / "release", tmp_path / "unit")
    notebook = nbformat.read(tmp_path / "unit" / "a1_region_graph.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path / "unit")}})
    with pytest.raises(CellExecutionError) as found:
        client.execute()
    assert found.value.ename == "NotImplementedError"
    run = [cell.id for cell in notebook.cells if cell.get("execution_count")]
    assert run[-1] == "affinity-by-hand"
    assert "100 pictures" in notebook.cells[2].outputs[0].text


def test_another_draw_gives_other_pictures_and_nothing_else_changes():
    one, other = (course.student_version(course.source("a1_region_graph", draw)) for draw in (2026, 2027))
    changed = [a.id for a, b in zip(one.cells, other.cells, strict=True) if a.source != b.source]
    assert changed == ["a1-01"]
    assert other.cells[1].source.startswith("draw: int = 2027")


@pytest.mark.parametrize("name", NAMES)
def test_points_are_those_that_the_text_promises(name):
    cells = course.source(name, 2026).cells
    points = sum(cell.metadata.nbgrader.get("points", 0) for cell in cells)
    assert f"*Points:* {points:g}" in " ".join(cells[0].source.split())
    by_hand = sum(cell.metadata.nbgrader.get("points", 0) for cell in cells if cell.cell_type == "markdown")
    assert (f"of which {by_hand} are read by hand" in " ".join(cells[0].source.split())) == bool(by_hand)


def test_the_submissions_are_those_that_the_patches_make():
    expected = course_submissions.submissions()
    found = {path.relative_to(SUBMISSIONS): path.read_text() for path in SUBMISSIONS.rglob("*") if path.is_file()}
    assert found.keys() == expected.keys()
    assert [path for path in found if found[path] != expected[path]] == [], "run `python tests/course_submissions.py`"


def test_a_submission_in_an_old_format_is_known_by_its_names():
    """Without cell ids, as editors other than JupyterLab write it."""
    key = course.source("a2_hardest_negative", 2026)
    release = course.student_version(key)
    old = nbformat.from_dict(json.loads(json.dumps(release)))
    for cell in old.cells:
        del cell["id"]
    notebook, remarks = repair.repair(old, release, key)
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in key.cells]
    assert remarks == {}


def test_a_deleted_answer_is_empty_and_an_answer_turned_to_text_is_code_again():
    key = course.source("a2_hardest_negative", 2026)
    release = course.student_version(key)
    sent = course_submissions.solved("a2_hardest_negative")
    cells = {cell.id: cell for cell in sent.cells}
    cells["negatives"].cell_type = "markdown"
    sent.cells.remove(cells["plateau"])
    notebook, remarks = repair.repair(sent, release, key)
    repaired = {cell.id: cell for cell in notebook.cells}
    assert repaired["negatives"].cell_type == "code"
    assert "image_ids[:, None]" in repaired["negatives"].source
    assert "raise NotImplementedError" in repaired["plateau"].source
    assert remarks["negatives"] == ["this answer had become a markdown cell: it was run as code again"]
    assert remarks["plateau"] == ["this answer cell was deleted: it counts as empty"]


def test_the_whole_run_is_stopped_when_its_time_is_over(tmp_path):
    """By a cell that cannot be interrupted."""
    stubborn = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1"), nbformat.v4.new_code_cell(stubborn)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    done, stopped = grading._run(notebook, seconds=12, cell_seconds=2, memory=6.0, hidden=0)
    assert stopped.startswith("stopped after 12 seconds")
    assert [cell.execution_count for cell in done.cells] == [1, None]


def test_nothing_is_graded_before_something_was_handed_out(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "RELEASE", tmp_path / "none")
    done = CliRunner().invoke(course.app, ["grade", str(SUBMISSIONS)])
    assert done.exit_code == 2
    assert "make assignments" in done.output


def test_the_programs_of_the_course_stay_readable():
    for path in course.HERE.glob("*.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path.name
        assert path.read_text().count("\n") < 250, path.name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path.name}: {node.name}"
