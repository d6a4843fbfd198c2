"""The course: the student version gives nothing away, the reference gets all points, every mistake its own message."""

import ast
import csv
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest
import torch
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "notebooks" / "assignments"), str(ROOT / "tests")]

import by_hand
import checks
import course
import course_submissions
import grading
import repair

from vsrpp_lite.global_alignment import l2norm

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("course")]  # graded once, for all tests
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
        "sharpest-value": "that is the word before it",
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
def released(tmp_path_factory):
    """A home with the student version, as `make assignments` leaves it."""
    home = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "RELEASE", home / "release")
        called("build")
        yield home


@pytest.fixture(scope="module")
def graded(released):
    """The submissions of the repository, graded as `make grade` does, but for shorter patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSRPP_HOME", str(released))
        called("grade", str(SUBMISSIONS), "--cell-seconds", "10")
    return released


def called(*command):
    done = CliRunner().invoke(course.app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output


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
            assert row["status"] == "to be read" or row["points"] == row["max"], row


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
    given = [path for path in results.rglob("*") if path.is_file() and path.name != "by_hand.md"]  # the reader's own
    written = "\n".join(path.read_text() for path in given)
    code = [line for name in NAMES for line in secrets(name) if not line.startswith(('"', 'f"'))]
    assert not [line for line in code if line in written]


def test_the_leaderboard_stands_by_rsum_among_what_there_was_to_beat(graded):
    with (graded / "results" / "course" / "leaderboard.csv").open() as file:
        board = list(csv.DictReader(file))
    names = {row["name"]: row for row in board}
    assert names.keys() == {
        "reference",
        "wrong_two",
        *(f"*{rival}*" for rival in ("VSR++", "S_G alone", "S_L alone", "chance")),
    }
    # wrong_one looks at what else is in the batch, which the rules forbid
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
def test_no_solution_and_no_hidden_test_can_be_reached_from_the_student_version(released, name):
    text = (released / "release" / f"{name}.ipynb").read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    # every string of the file, whatever it hangs on: sources, metadata, outputs
    strings = []
    json.loads(text, object_hook=lambda pairs: strings.extend(map(str, [*pairs, *pairs.values()])) or pairs)
    everything = "\n".join([text, *strings])
    assert len(secrets(name)) > 20
    assert not [line for line in secrets(name) if line in everything]
    assert "import checks" not in everything and "checks." not in everything
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
    assert {path.name for path in (released / "release").iterdir()} == {
        *(f"{name}.ipynb" for name in NAMES),
        "unit.py",
        "release.json",
    }


def test_the_search_for_secrets_finds_one_that_is_there():
    """The test above, tested: a solution that was left in would be found."""
    solved = nbformat.writes(course_submissions.solved("a1_region_graph"))
    assert [line for line in secrets("a1_region_graph") if line in solved]


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_up_to_the_first_unsolved_one_runs(released, name, monkeypatch, capsys):
    """The answer cells themselves may run (a function is only defined), their first test may not."""
    monkeypatch.setenv("VSRPP_HOME", str(released))  # drawn and trained once
    notebook = nbformat.read(released / "release" / f"{name}.ipynb", as_version=4)
    first = next(number for number, cell in enumerate(notebook.cells) if cell.metadata.nbgrader["grade"])
    space = {"__name__": "__main__"}
    for cell in notebook.cells[:first]:
        if cell.cell_type == "code":
            exec(cell.source, space)
    with pytest.raises(NotImplementedError):
        exec(notebook.cells[first].source, space)
    assert capsys.readouterr().out  # the cell that prepares the ground has said what there is


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


def run(*sources, **limits):
    """Cells run as a submission's are."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return grading._run(notebook, **{"seconds": 60, "cell_seconds": 30, "memory": 6.0, "hidden": 0} | limits)


def test_what_lies_beside_a_notebook_takes_nothing_of_its_feedback(tmp_path):
    (tmp_path / "ada").mkdir()
    path = tmp_path / "ada" / "a1_region_graph.pdf"
    path.write_bytes(b"%PDF")
    graded = grading.grade_one(path, None, None)
    course.feedback.write([graded], tmp_path)
    assert [file.name for file in (tmp_path / "feedback" / "ada").iterdir()] == ["a1_region_graph.pdf.md"]


def test_a_score_counts_only_from_the_test_that_measures_it():
    """A student's cell may show what it likes, in whatever form."""
    key = course.source("a6_capstone", 2026)
    forged = nbformat.v4.new_output("display_data", data={grading.SCORE: {"own": {"rsum": 600.0}, "rivals": {}}})
    torn = nbformat.v4.new_output("display_data", data={grading.SCORE: {"own": {"rsum": 600.0}}})
    for cell in key.cells:
        if cell.cell_type == "code":
            measures = grading.SCORE in cell.source
            cell.outputs, cell.execution_count = [torn if measures else forged], 1
    graded = grading.Graded("eve", "a6_capstone")
    grading._count(key, "", graded)
    assert graded.score is None


def test_a_call_from_a_thread_is_a_call():
    def answer(x):
        with ThreadPoolExecutor() as pool:
            return pool.submit(l2norm, x).result()

    with pytest.raises(AssertionError, match=r"your answer calls .*l2norm"):
        checks.by_hand(answer, torch.ones(2))
    assert checks.by_hand(torch.sum, torch.ones(2)) == 2  # and no thread is watched for ever


def test_the_whole_run_is_stopped_when_its_time_is_over():
    """What was done until then stands."""
    done, stopped = run("1 + 1", "import time; time.sleep(1000)", seconds=20, cell_seconds=100)
    assert stopped.startswith("stopped after 20 seconds")
    assert [cell.execution_count for cell in done.cells] == [1, None]


def test_a_submission_fills_no_memory_leaves_no_process_and_passes_no_cell_that_it_died_of():
    flood = "for _ in range(3000):\n    print('x' * 999)"
    escape = "import subprocess\nsubprocess.Popen(['sleep', '1000'], start_new_session=True).pid"
    done, stopped = run(flood, escape, "import os; os._exit(0)")
    flooded, escaped, died = done.cells
    assert 10**5 < len(flooded.outputs[0].text) <= 2**20  # of three million letters
    assert not psutil.pid_exists(int(escaped.outputs[0].data["text/plain"]))
    assert died.execution_count is None
    assert stopped.startswith("Python came to an end")


@pytest.fixture
def answered():
    """Two students whose answer to the written question of assignment 4 waits, and the course's keys."""
    keys = {"a4_fusion": course.source("a4_fusion", 2026)}
    results = [
        grading.Graded(
            student,
            "a4_fusion",
            rows=[grading.Row("fuse-values", 2.0, 2.0, "passed"), grading.Row("in-words", 0.0, 5.0, "to be read")],
            answers={"in-words": f"# {student} would use two"},
        )
        for student in ("ada", "ben")
    ]
    return results, keys


def test_a_mark_given_by_hand_is_added_up_and_kept(answered, tmp_path):
    results, keys = answered
    by_hand.write({}, results, keys, tmp_path)
    path = tmp_path / "by_hand.csv"
    header, *lines = path.read_text().split()
    assert header == "student,assignment,question,points,max,remark"
    assert lines == ["ada,a4_fusion,in-words,,5,", "ben,a4_fusion,in-words,,5,"]
    text = (tmp_path / "by_hand.md").read_text()
    assert "> # ada would use two" in text
    assert "S grows with 1 + mu and the margin does not" in " ".join(text.replace(">", "").split())

    path.write_text(path.read_text().replace("ben,a4_fusion,in-words,,5,", 'ben,a4_fusion,in-words,3.5,5,"(b), (c)?"'))
    marks = by_hand.read(path, keys)
    by_hand.enter(marks, results)
    course.feedback.write(results, tmp_path)
    by_hand.write(marks, results, keys, tmp_path)
    assert (results[0].points, results[1].points) == (2.0, 5.5)
    assert "| in-words | 3.5 of 5 | read | (b), (c)? |" in (tmp_path / "feedback" / "ben" / "a4_fusion.md").read_text()
    assert "waits to be read" in (tmp_path / "feedback" / "ada" / "a4_fusion.md").read_text()
    with (tmp_path / "summary.csv").open() as file:
        summary = {row["student"]: (row["points"], row["of"], row["to be read"]) for row in csv.DictReader(file)}
    assert summary == {"ada": ("2.0", "7.0", "5.0"), "ben": ("5.5", "7.0", "0.0")}
    assert by_hand.read(path, keys) == marks
    by_hand.write(marks, results[:1], keys, tmp_path)  # ben's file is missing for once
    assert by_hand.read(path, keys) == marks


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ada,a4_fusion,in-words,6,5,", "line 2: expected points from 0 to 5, found '6'"),
        ("ada,a4_fusion,in-words,good,5,", "line 2: expected points from 0 to 5, found 'good'"),
        ("ada,a4_fusion,fuse-values,1,2,", "line 2: a4_fusion fuse-values is no written answer of this course"),
        (
            "ada,a4_fusion,in-words,1,5,\nada,a4_fusion,in-words,2,5,",
            "line 3: ada a4_fusion in-words has a mark already",
        ),
    ],
)
def test_a_mark_that_cannot_be_is_refused_with_its_line(answered, tmp_path, line, says):
    path = tmp_path / "by_hand.csv"
    path.write_text(f"student,assignment,question,points,max,remark\n{line}\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, {says}")):
        by_hand.read(path, answered[1])
    path.write_text("student;points\nada;3\n")
    with pytest.raises(ValueError, match="expected columns student,assignment"):
        by_hand.read(path, answered[1])


def test_a_folder_without_submissions_is_said_to_be_one(tmp_path, monkeypatch):
    monkeypatch.setattr(course, "RELEASE", tmp_path / "release")
    assert CliRunner().invoke(course.app, ["build"]).exit_code == 0
    done = CliRunner().invoke(course.app, ["grade", str(tmp_path / "release")])
    assert done.exit_code == 2
    assert "expected <student>/<assignment>.ipynb" in " ".join(done.output.split())


def test_a_release_that_someone_has_worked_in_is_not_written_over(tmp_path, monkeypatch):
    """Who learns alone solves the assignments where `make assignments` has put them."""
    monkeypatch.setattr(course, "RELEASE", tmp_path / "release")
    called("build")
    called("build", "--draw", "2027")  # nobody has
    path = tmp_path / "release" / "a1_region_graph.ipynb"
    path.write_text(path.read_text().replace("# YOUR CODE HERE", "return 42"))
    before = {path.name: path.read_text() for path in path.parent.iterdir()}
    done = CliRunner().invoke(course.app, ["build"])
    assert done.exit_code == 2
    assert "someone has worked in a1_region_graph.ipynb" in " ".join(done.output.replace("│", "").split())
    assert {path.name: path.read_text() for path in path.parent.iterdir()} == before


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
