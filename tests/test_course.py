"""The course: the student version gives nothing away, the reference gets all points, every mistake its own message."""

import ast
import csv
import doctest
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "notebooks" / "assignments" / "course"), str(ROOT / "tests")]

import absent
import checks
import cli
import course_submissions
import feedback
import handed_in
import marks
import reading
import repair
import tables
import versions
import walls
from graded import Graded, Row

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("course")]  # graded once, for all tests
NAMES = versions.names()
SUBMISSIONS = ROOT / "tests" / "submissions"
WALLS = ["--unsafe"] if walls.missing() else []

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
        "siblings-value": "each two siblings are two entries",
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
        "local-no-loop": "is there a loop in it? We found ListComp",
    },
    ("wrong_one", "a4_fusion"): {
        "fuse-by-hand": "changes its argument number 1 in place",
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
        "step-values": "write this one yourself: caption_loss.CaptionDecoder.step",
        "loss-values": "padding was paid for",
    },
    ("wrong_one", "a6_capstone"): {
        "similarity-pairs": "changes with what else is in the batch",
        "similarity-quality": "breaks the rules",
    },
    ("wrong_two", "a6_capstone"): {"similarity-quality": "S_L alone has"},
    ("loops", "a2_hardest_negative"): {
        "negatives-by-hand": "a loop that does not end",
        "negatives-siblings": "a loop that does not end",
    },
    ("typos", "a1_region_graph"): {
        "affinity-by-hand": "name 'affinity' is not defined",
        "affinity-values": "name 'affinity' is not defined",
        "affinity-missing": "name 'affinity' is not defined",
    },
    ("typos", "a4_fusion"): {
        "fuse-by-hand": "name 'fuse' is not defined",
        "fuse-values": "name 'fuse' is not defined",
    },
    ("keywords", "a3_local_attention"): {},
    ("keywords", "a4_fusion"): {},
    ("greedy", "a3_local_attention"): {
        "attention-by-hand": "allocate memory",
        "attention-values": "allocate memory",
    },
}


@pytest.fixture(scope="module")
def released(course_home):
    """A home with the student version, as `make assignments` leaves it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(versions, "RELEASE", course_home / "release")
        called("build")
        yield course_home


@pytest.fixture(scope="module")
def graded(released):
    """The submissions of the repository, graded as `make grade` does, but for shorter patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSRPP_HOME", str(released))
        called("grade", str(SUBMISSIONS), "--hidden", "531", "--cell-seconds", "10", *WALLS)
    return released


def called(*command):
    done = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def rows(graded):
    """grades.csv, by student and assignment."""
    found = {}
    with (graded / "results" / "course" / "latest" / "grades.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault((row["student"], row["assignment"]), {})[row["question"]] = row
    return found


def letter(home, student, name):
    return (home / "results" / "course" / "latest" / "feedback" / student / f"{name}.md").read_text()


def test_the_reference_gets_every_point_that_a_machine_can_give(rows):
    for name in NAMES:
        for row in rows["reference", name].values():
            assert row["status"] == "to be read" or row["points"] == row["max"], row


def test_the_student_version_gets_none(rows, graded):
    for name in NAMES:
        for row in rows["empty", name].values():
            assert (row["points"], row["status"]) == ("0.0", "not answered"), row
        assert "About the file" not in letter(graded, "empty", name)  # nothing else broke


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


def test_every_assignment_has_mistakes():
    assert {name for student, name in TEACHES if student.startswith("wrong")} == set(NAMES)


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
    assert "cannot be read as a notebook" in letter(graded, "astray", NAMES[0])
    assert "cannot be read as a notebook" in letter(graded, "astray", NAMES[1])
    assert "not one of the" in letter(graded, "astray", NAMES[2])
    assert "homework.ipynb is no assignment of this course" in letter(graded, "astray", "other files")


def test_a_notebook_with_deleted_moved_and_retyped_cells_is_repaired_and_says_so(rows, graded):
    assert all(row["status"] == "passed" for row in rows["retyped", "a1_region_graph"].values())
    said = letter(graded, "retyped", "a1_region_graph")
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
    results = graded / "results" / "course" / "latest"
    given = [path for path in results.rglob("*") if path.is_file() and path.name != "by_hand.md"]  # the reader's own
    written = "\n".join(path.read_text() for path in given)
    code = [line for name in NAMES for line in course_submissions.secrets(name) if not line.startswith(('"', 'f"'))]
    assert not [line for line in code if line in written]


def test_the_leaderboard_stands_by_rsum_among_what_there_was_to_beat(graded):
    with (graded / "results" / "course" / "latest" / "leaderboard.csv").open() as file:
        board = list(csv.DictReader(file))
    names = {row["name"]: row for row in board}
    assert names.keys() == {
        "reference",
        "wrong_two",
        *(f"*{rival}*" for rival in ("VSR++", "S_G alone", "S_L alone", "best mu", "chance")),
    }
    # wrong_one looks at what else is in the batch, which the rules forbid
    sums = [float(row["rsum"]) for row in board]
    assert sums == sorted(sums, reverse=True)
    assert float(names["*VSR++*"]["difference"]) == 0
    assert float(names["*S_G alone*"]["hi"]) < 0
    assert "| place | name" in " ".join(
        (graded / "results" / "course" / "latest" / "leaderboard.md").read_text().split()
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_solution_and_no_hidden_test_can_be_reached_from_the_student_version(released, name):
    text = (released / "release" / f"{name}.ipynb").read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    # every string of the file, whatever it hangs on: sources, metadata, outputs
    strings = []
    json.loads(text, object_hook=lambda pairs: strings.extend(map(str, [*pairs, *pairs.values()])) or pairs)
    everything = "\n".join([text, *strings])
    assert len(course_submissions.secrets(name)) > 20
    assert not [line for line in course_submissions.secrets(name) if line in everything]
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
    assert [line for line in course_submissions.secrets("a1_region_graph") if line in solved]


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
    one, other = (versions.student_version(versions.source("a1_region_graph", draw)) for draw in (2026, 2027))
    changed = [a.id for a, b in zip(one.cells, other.cells, strict=True) if a.source != b.source]
    assert changed == ["a1-01"]
    assert other.cells[1].source.startswith("draw: int = 2027")


@pytest.mark.parametrize("name", NAMES)
def test_points_are_those_that_the_text_promises(name):
    cells = versions.source(name, 2026).cells
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
    key = versions.source("a2_hardest_negative", 2026)
    release = versions.student_version(key)
    old = nbformat.from_dict(json.loads(json.dumps(release)))
    for cell in old.cells:
        del cell["id"]
    notebook, remarks = repair.repair(old, release, key)
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in key.cells]
    assert remarks == {}


def test_a_deleted_answer_is_empty_and_an_answer_turned_to_text_is_code_again():
    key = versions.source("a2_hardest_negative", 2026)
    release = versions.student_version(key)
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


def test_what_lies_beside_a_notebook_takes_nothing_of_its_feedback(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "a1_region_graph.pdf").write_bytes(b"%PDF")
    (tmp_path / "ada" / "a1_region_graph.ipynb").write_text("{}")
    found = handed_in.collect(tmp_path, NAMES)
    assert [(entry.student, entry.assignment) for entry in found] == [
        ("ada", "a1_region_graph"),
        ("ada", "other files"),
    ]
    assert found[1].remarks == ("a1_region_graph.pdf is no assignment of this course: it was not graded",)


def test_a_notebook_that_is_handed_in_twice_is_called_so(tmp_path):
    (tmp_path / "ada" / "a1_region_graph").mkdir(parents=True)
    for place in ("a1_region_graph.ipynb", "a1_region_graph/a1_region_graph.ipynb"):
        (tmp_path / "ada" / place).write_text("{}")
    graded, other = handed_in.collect(tmp_path, NAMES)
    assert graded.path == tmp_path / "ada" / "a1_region_graph" / "a1_region_graph.ipynb"
    told = "a1_region_graph was handed in twice: a1_region_graph/a1_region_graph.ipynb is graded, and this one is not"
    assert other.remarks == (f"a1_region_graph.ipynb: {told}",)


def test_the_folders_of_nbgrader_s_exchange_are_read_too(tmp_path):
    folder = tmp_path / "ada" / "a1_region_graph"
    folder.mkdir(parents=True)
    (folder / "a1_region_graph.ipynb").write_text("{}")
    (folder / "timestamp.txt").write_text("2026-11-25")
    (entry,) = handed_in.collect(tmp_path, NAMES)
    assert (entry.assignment, entry.path.parent.name) == ("a1_region_graph", "a1_region_graph")


@pytest.fixture
def answered():
    """Two students whose answer to the written question of assignment 4 waits, and the course's keys."""
    keys = {"a4_fusion": versions.source("a4_fusion", 2026)}
    results = [
        Graded(
            student,
            "a4_fusion",
            rows=[Row("fuse-values", 2.0, 2.0, "passed"), Row("in-words", 0.0, 5.0, "to be read")],
            answers={"in-words": f"# {student} would use two"},
        )
        for student in ("ada", "ben")
    ]
    return results, keys


def test_a_mark_given_by_hand_is_added_up_and_kept(answered, tmp_path):
    results, keys = answered
    path = tmp_path / "marks.csv"
    marks.write(path, {}, results, keys)
    header, *lines = path.read_text().split()
    assert header == "student,assignment,question,points,max,remark"
    assert lines == ["ada,a4_fusion,in-words,,5,", "ben,a4_fusion,in-words,,5,"]
    reading.write(results, keys, tmp_path / "by_hand.md")
    text = (tmp_path / "by_hand.md").read_text()
    assert "    # ada would use two" in text  # quoted, so that it is no heading of the page
    assert "S grows with 1 + mu and the margin does not" in " ".join(text.split())
    assert "*The rubric:*\n\n- 5: all three parts." in text

    path.write_text(path.read_text().replace("ben,a4_fusion,in-words,,5,", 'ben,a4_fusion,in-words,3.5,5,"(b), (c)?"'))
    given = marks.read(path, keys)
    marks.enter(given, results)
    tables.write(results, tmp_path)
    feedback.write(results, tmp_path)
    marks.write(path, given, results, keys)
    assert (results[0].points, results[1].points) == (2.0, 5.5)
    assert "| in-words | 3.5 of 5 | by hand | (b), (c)? |" in (tmp_path / "ben" / "a4_fusion.md").read_text()
    assert "waits to be read" in (tmp_path / "ada" / "a4_fusion.md").read_text()
    with (tmp_path / "summary.csv").open() as file:
        summary = {row["student"]: (row["points"], row["of"], row["to be read"]) for row in csv.DictReader(file)}
    assert summary == {"ada": ("2.0", "7.0", "5.0"), "ben": ("5.5", "7.0", "0.0")}
    assert marks.read(path, keys) == given
    marks.write(path, given, results[:1], keys)  # ben's file is missing for once
    assert marks.read(path, keys) == given


def test_marks_of_a_misspelt_student_are_named(answered):
    results, _ = answered
    given = {("adda", "a4_fusion", "in-words"): (4.0, ""), ("ben", "a4_fusion", "in-words"): (3.0, "")}
    assert marks.enter(given, results) == ["adda, a4_fusion"]
    assert (results[0].points, results[1].points) == (2.0, 5.0)


def test_a_remark_without_points_is_kept_and_an_own_column_is_refused(answered, tmp_path):
    results, keys = answered
    path = tmp_path / "marks.csv"
    content = "student,assignment,question,points,max,remark\nada,a4_fusion,in-words,,5,ask her about step 2\n"
    path.write_text(content)
    given = marks.read(path, keys)
    marks.enter(given, results)
    assert results[0].points == 2.0  # as before: her answer still waits to be read
    marks.write(path, given, results[:1], keys)
    assert path.read_text().splitlines() == content.splitlines()
    path.write_text("student,assignment,question,points,max,remark,mine\nada,a4_fusion,in-words,,5,,x\n")
    with pytest.raises(ValueError, match=r"expected columns student,.*,remark; found .*mine"):
        marks.read(path, keys)


def test_a_teacher_may_give_other_points_than_a_test_and_take_some_off_for_a_late_file(answered, tmp_path):
    results, keys = answered
    path = tmp_path / "marks.csv"
    path.write_text(
        "student,assignment,question,points,max,remark\n"
        "ada,a4_fusion,fuse-values,1,2,right but for the sign\n"
        "ben,a4_fusion,late,-1.5,0,three days\n"
    )
    for _ in range(2):  # and once more, when everything is graded again
        given = marks.read(path, keys)
        again = [Graded(result.student, result.assignment, [*result.rows]) for result in results]
        marks.enter(given, again)
        assert [result.points for result in again] == [1.0, 0.5]
        assert again[0].rows[0] == Row("fuse-values", 1.0, 2.0, "by hand", "right but for the sign")
        assert again[1].rows[-1] == Row("late", -1.5, 0.0, "by hand", "three days")
        marks.write(path, given, again, keys)


def test_canvas_and_moodle_get_the_columns_that_they_import(answered, tmp_path):
    tables.write(answered[0], tmp_path)
    assert (tmp_path / "canvas.csv").read_text().splitlines() == [
        "Student,ID,SIS User ID,SIS Login ID,Section,a4_fusion",
        "    Points Possible,,,,,7.0",
        "ada,,,ada,,2.0",
        "ben,,,ben,,2.0",
    ]
    assert (tmp_path / "moodle.csv").read_text().splitlines() == ["username,a4_fusion", "ada,2.0", "ben,2.0"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ada,a4_fusion,in-words,6,5,", "line 2: expected points from 0 to 5, found '6'"),
        ("ada,a4_fusion,in-words,good,5,", "line 2: expected points from 0 to 5, found 'good'"),
        ("ada,a4_fusion,in-words,nan,5,", "line 2: expected points from 0 to 5, found 'nan'"),
        ("ada,a4_fusion,fuse,1,2,", "line 2: a4_fusion fuse is no question of this course"),
        ("ada,a4_fusion,fuse-values,1,2,", "line 2: expected a reason in the column remark"),
        ("ada,a4_fusion,late,1,0,so early", "line 2: expected points from -17 to 0, found '1'"),
        ("ada,a4_fusion,in-words", "line 2: expected 6 cells, as the header has; found more or fewer"),
        (
            "ada,a4_fusion,in-words,1,5,\nada,a4_fusion,in-words,2,5,",
            "line 3: ada a4_fusion in-words has a mark already",
        ),
    ],
)
def test_a_mark_that_cannot_be_is_refused_with_its_line(answered, tmp_path, line, says):
    path = tmp_path / "marks.csv"
    path.write_text(f"student,assignment,question,points,max,remark\n{line}\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, {says}")):
        marks.read(path, answered[1])
    path.write_text("student;points\nada;3\n")
    with pytest.raises(ValueError, match="expected columns student,assignment"):
        marks.read(path, answered[1])
    path.write_bytes("student,assignment,question,points,max,remark\nZoë,a4_fusion,in-words,1,5,".encode("latin-1"))
    with pytest.raises(ValueError, match=r"marks\.csv: .*; expected comma-separated values in UTF-8"):
        marks.read(path, answered[1])


def test_what_an_answer_must_not_use_is_not_in_its_copy_of_the_package(tmp_path):
    for name in NAMES:
        absent.copy(tmp_path / name, versions.source(name, 2026).metadata.absent)  # every name exists
    copied = (tmp_path / "a1_region_graph" / "vsrpp_lite" / "gcn_reasoning.py").read_text()
    assert "masked_fill" not in copied
    assert "self.theta = nn.Linear" in copied  # the layers themselves stay
    with pytest.raises(ValueError, match="no such function"):
        absent.copy(tmp_path / "none", ["fusion.confusion"])
    with pytest.raises(ValueError, match="no such module"):
        absent.copy(tmp_path / "no", ["confusion.fusion"])


@pytest.mark.parametrize(
    ("cells", "loop"),
    [
        (["def f(x):\n    return x.sum()"], ""),
        (["def f(x):\n    for y in x:\n        pass"], "For"),
        (["def f(x):\n    return [y for y in x]"], "ListComp"),
        (["def g(x):\n    while x:\n        pass", "def f(x):\n    return g(x)"], "While"),
        (["g = lambda x: list(map(abs, x))", "def f(x):\n    return g(x)"], "map"),
        (["class A:\n    def go(self, x):\n        for y in x: pass", "def f(x):\n    return A().go(x)"], "For"),
        (["def f(x):\n    return f(x[1:]) if len(x) else 0"], "f"),
        (["def g(x):\n    return x[0] + g(x[1:]) if len(x) else 0", "def f(x):\n    return g(x)"], "g"),
        (["g: object = lambda x: [y for y in x]", "def f(x):\n    return g(x)"], "ListComp"),
        (["(g := lambda x: [y for y in x])", "def f(x):\n    return g(x)"], "ListComp"),
        (["def norm(x):\n    norm = x.norm()\n    return norm", "def f(x):\n    return norm(x)"], ""),
        (["def f(x):\n    exec('for y in x: pass')"], "exec"),
        (["from torch import vmap as v", "def f(x):\n    return v(abs)(x)"], "vmap"),
        (["m = map", "def f(x):\n    return m(abs, x)"], "map"),
        (["map = map", "def f(x):\n    return map(abs, x)"], "map"),
        (["def f(x):\n    map = x @ x.T  # attention\n    return map.softmax(1)"], ""),
        (["def g():\n    map = 1", "def f(x):\n    return map(abs, x)"], "map"),
        (["map = 1\ndel map\ndef f(x):\n    return list(map(abs, x))"], "map"),
        (["reduce = 0", "import functools\ndef f(x):\n    return functools.reduce(abs, x)"], "reduce"),
        (["def f(x):\n    vmap = torch.func\n    return torch.vmap(abs)(x)"], "vmap"),
        (["def f(x):\n    global map\n    map = map\n    return map(abs, x)"], "map"),
        (["%%time\nfor y in x: pass", "for y in [1]: pass\ndef f(x):\n    return x"], ""),
        (["%matplotlib inline\ndef f(x):\n    for y in x: pass"], "For"),
        (["%%time\n!ls\ndef f(x):\n    for y in x: pass"], "For"),
        (["def g(x):\n    return x"], "no definition of f that can be read"),
        (["mean = [k for k in range(3)]", "def f(x):\n    return x.mean(0)"], ""),
        (["s = [k for k in range(3)]", "def f(x):\n    s = x * 2\n    return s.sum()"], ""),
        (["lengths = [len(c) for c in few.captions]", "def f(x, lengths):\n    return x / lengths"], ""),
        (["def mean(x):\n    for y in x: pass", "def f(x):\n    return x.mean(0)"], ""),
        (["class A: pass\nA.mean = lambda x: [y for y in x]", "def f(x):\n    return A().mean()"], "ListComp"),
        (["from functools import partial\ng = partial(map, abs)", "def f(x):\n    return g(x)"], "map"),
        (["g, h = abs, lambda x: [y for y in x]", "def f(x):\n    return h(x)"], "ListComp"),
        (["def f(x):\n    return list(filter(lambda k: x[k], x))"], "filter"),
        (["def f(x):\n    return sorted(x, key=lambda k: x[k])"], "sorted"),
        (["def f(x):\n    return np.frompyfunc(abs, 1, 1)(x)"], "frompyfunc"),
        (["def f(x):\n    return pd.Series(x).apply(abs)"], "apply"),
        (["def f(x):\n    return np.fromiter(x, float)"], "fromiter"),
        (["def f(x):\n    return list(iter(x.pop, None))"], "iter"),
    ],
)
def test_a_loop_is_found_in_a_function_and_in_what_it_calls(cells, loop):
    assert checks.loop(cells, "f") == loop


@pytest.mark.parametrize("module", [handed_in, marks], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_of_the_course_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_a_look_before_it_is_graded_runs_in_the_box_and_promises_no_points(released, tmp_path, monkeypatch):
    """The visible half of a test says little, so there is no sum. What is absent in the grading is absent here."""
    monkeypatch.setattr(versions, "RELEASE", released / "release")
    monkeypatch.setenv("VSRPP_HOME", str(released))
    written = nbformat.read(SUBMISSIONS / "reference" / "a1_region_graph.ipynb", 4)
    cells = {cell.id: cell for cell in written.cells}
    cells["affinity"].source = "def affinity(regions, mask, *_):\n    return layer.affinity(regions, mask)"
    cells["loudest"].source = "open('/work-of-mine', 'w')"  # where the box may not write
    path = tmp_path / "a1_region_graph.ipynb"
    nbformat.write(written, path)
    outside = Path("/work-of-mine")
    outside.unlink(missing_ok=True)
    try:
        done = CliRunner().invoke(cli.app, ["check", str(path), *WALLS])
        assert done.exit_code == 0, done.output
        assert "points" not in done.output and (WALLS or not outside.exists())
    finally:
        outside.unlink(missing_ok=True)  # without bubblewrap there is no box
    assert "| affinity-by-hand | fails a test | " in done.output
    assert "write this one yourself: gcn_reasoning.RegionGraph.affinity" in done.output
    assert "`loudest` stopped: OSError" in done.output or WALLS


def test_a_folder_without_submissions_is_said_to_be_one(tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "RELEASE", tmp_path / "release")
    assert CliRunner().invoke(cli.app, ["build"]).exit_code == 0
    done = CliRunner().invoke(cli.app, ["grade", str(tmp_path / "release"), "--hidden", "1", *WALLS])
    assert done.exit_code == 2
    assert "expected <student>/<assignment>.ipynb" in " ".join(done.output.split())


def test_a_release_that_someone_has_worked_in_is_not_written_over(tmp_path, monkeypatch):
    """Who learns alone solves the assignments where `make assignments` has put them."""
    monkeypatch.setattr(versions, "RELEASE", tmp_path / "release")
    called("build")
    called("build", "--draw", "2027")  # nobody has
    path = tmp_path / "release" / "a1_region_graph.ipynb"
    path.write_text(path.read_text().replace("# YOUR CODE HERE", "return 42"))
    before = {path.name: path.read_text() for path in path.parent.iterdir()}
    done = CliRunner().invoke(cli.app, ["build"])
    assert done.exit_code == 2
    assert "someone has worked in a1_region_graph.ipynb" in " ".join(done.output.replace("│", "").split())
    assert {path.name: path.read_text() for path in path.parent.iterdir()} == before


def test_nothing_is_graded_before_something_was_handed_out(tmp_path, monkeypatch):
    monkeypatch.setattr(versions, "RELEASE", tmp_path / "none")
    done = CliRunner().invoke(cli.app, ["grade", str(SUBMISSIONS), "--hidden", "1", *WALLS])
    assert done.exit_code == 2
    assert "make assignments" in done.output


def test_the_programs_of_the_course_stay_readable():
    for path in [versions.HERE / "unit.py", *Path(versions.__file__).parent.glob("*.py")]:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path.name
        assert path.read_text().count("\n") < 250, path.name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path.name}: {node.name}"
