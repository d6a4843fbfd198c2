"""Submissions that mean harm, or are merely unlucky: none gains a point, reads a secret, or costs another a point.

Each is an empty student version with something added. So the reference for every one of them is zero points.
"""

import csv
import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import psutil
import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "notebooks" / "assignments" / "course"), str(ROOT / "tests")]

import cli
import course_submissions
import handed_in
import versions
import walls
from typer.testing import CliRunner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("course"),  # one home for both
    pytest.mark.skipif(bool(walls.missing()), reason=f"no sandbox here: {walls.missing()}"),
]
A1, A2, A3, A4, A6 = (versions.names()[k] for k in (0, 1, 2, 3, 5))
MARK = f"vsrpp-hostile-{os.getpid()}"
HOSTILE = {path.stem.replace("_", " "): path.read_text() for path in sorted((ROOT / "tests" / "hostile").glob("*.py"))}
"""Programs: the first line names the assignment and the points that its honest parts are worth."""


def notebook(program):
    """The student version with a program in the place of its answers, from the second cell of code on."""
    head, *cells = program.replace("CHECKOUT", str(ROOT)).replace("MARK", MARK).split("# %%\n")
    written = versions.student_version(versions.source(head.split()[1].strip(","), 2026))
    for cell in written.cells:
        if cell.metadata.nbgrader["solution"] and cell.cell_type == "code" and cells:
            cell.source = "pass"
    first = next(k for k, cell in enumerate(written.cells) if "draw: int" in cell.source) + 2
    written.cells[first:first] = [nbformat.v4.new_code_cell(source) for source in cells]
    return nbformat.writes(written)


def files():
    """Submissions that are hostile as files, by their path."""
    written = json.loads(notebook(f"# {A1}"))
    for cell in written["cells"]:
        if cell["cell_type"] == "code":
            cell |= {
                "execution_count": 7,
                "outputs": [nbformat.v4.new_output("execute_result", {"text/plain": "1000"})],
            }
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["source"] = "assert True"
            cell["metadata"]["nbgrader"] |= {"points": 1000, "solution": True, "locked": False}
    large = json.loads(notebook(f"# {A1}"))
    large["cells"][2]["outputs"] = [nbformat.v4.new_output("stream", text="x" * 100 * 2**20)]
    return {
        b"forges/" + A1.encode() + b".ipynb": json.dumps(written),
        b"is large/" + A1.encode() + b".ipynb": json.dumps(large),
        b"is deep/" + A1.encode() + b".ipynb": '{"cells": ' + "[" * 10**5 + "]" * 10**5 + "}",
        b"=HYPERLINK(1)/" + A1.encode() + b".ipynb": notebook(f"# {A1}\n# %%\nraise AssertionError('=HYPERLINK(1)')"),
        b"-rf/" + A1.encode() + b".ipynb": notebook(f"# {A1}"),
        b"a..b/" + A1.encode() + b".ipynb": "junk",  # the name alone is hostile, and needs no box
        b"a\nb/" + A1.encode() + b".ipynb": "junk",
        b"\xff\xfe/" + A1.encode() + b".ipynb": "junk",
        b"n" * 250 + b"/" + A1.encode() + b".ipynb": "junk",
        b"junk/" + b"j" * 249 + b".ipynb": "junk",
        b"junk/\xff\n.md": "junk",
    }


@pytest.fixture(scope="module")
def graded(course_home):
    """The home in which the victims were graded alone, and then in hostile company."""
    home = course_home
    alone, company = home / "alone", home / "company"
    for folder in (alone, company):
        for student in ("reference", "wrong_one"):
            (folder / student).mkdir(parents=True)
            for name in (A1, A4):
                (folder / student / f"{name}.ipynb").write_bytes(
                    (ROOT / "tests" / "submissions" / student / f"{name}.ipynb").read_bytes()
                )
    for student, program in HOSTILE.items():
        (company / student).mkdir()
        (company / student / f"{program.split()[1].strip(',')}.ipynb").write_text(notebook(program))
    for path, text in files().items():
        path = company / os.fsdecode(path)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (company / "links").mkdir()
    (company / "links" / f"{A1}.ipynb").symlink_to(company / "reference" / f"{A1}.ipynb")
    (company / "links" / f"{A2}.ipynb").symlink_to("/dev/zero")
    (company / "follows").symlink_to(company / "reference")
    (company / "pipes").mkdir()
    os.mkfifo(company / "pipes" / f"{A1}.ipynb")
    (company / "is sparse").mkdir()
    with (company / "is sparse" / f"{A1}.ipynb").open("wb") as file:
        file.truncate(2**34)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VSRPP_HOME", str(home))
        patch.setattr(versions, "RELEASE", home / "release")
        for folder in (alone, company):
            command = ["grade", str(folder), "--hidden", "531", "--out", str(home / f"{folder.name}-results")]
            limits = ["--seconds", "60", "--cell-seconds", "4", "--memory", "4"]
            done = CliRunner().invoke(cli.app, [*command, *limits], catch_exceptions=False)
            assert done.exit_code == 0, done.output
    return home


def rows(home, which):
    """grades.csv, by student."""
    found = {}
    with (home / f"{which}-results" / "latest" / "grades.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["student"], []).append(row)
    return found


@pytest.mark.parametrize("student", HOSTILE)
def test_a_hostile_program_gains_nothing(graded, student):
    points = {row["question"]: float(row["points"]) for row in rows(graded, "company")[student]}
    assert points
    assert sum(points.values()) <= float(HOSTILE[student].split()[4]), points


def test_a_hostile_file_gains_nothing_and_gets_a_reason(graded):
    found = rows(graded, "company")
    others = found.keys() - HOSTILE.keys() - {"reference", "wrong_one"}
    assert others == {
        *("forges", "is large", "is deep", "'=HYPERLINK(1)", "'-rf", "a..b", "a\\nb", "\\xff\\xfe", "n" * 250),
        *("links", "pipes", "is sparse"),
    }
    assert all(float(row["points"]) == 0 for student in others for row in found[student])
    reasons = {student: {row["remark"] for row in found[student]} for student in others}
    assert reasons["links"] == {
        f"{name}.ipynb is a link to another file: hand in the notebook itself" for name in (A1, A2)
    }
    assert reasons["pipes"] == {f"{A1}.ipynb is not a regular file"}
    assert reasons["is sparse"] == {f"{A1}.ipynb has 16384 MiB; at most 20 are read. Clear its outputs"}
    assert reasons["is deep"] == {f"{A1}.ipynb cannot be read as a notebook (RecursionError)"}


def test_the_victims_have_the_same_points_as_alone(graded):
    alone, company = rows(graded, "alone"), rows(graded, "company")
    reference = [float(row["points"]) for row in alone["reference"] if row["assignment"] == A1]
    assert sum(reference) == 14  # else all of them could have failed alike
    for student in ("reference", "wrong_one"):
        assert alone[student] == company[student]


def test_no_secret_is_in_what_a_student_gets_back(graded):
    latest = graded / "company-results" / "latest"
    told = {path: path.read_text() for path in (latest / "feedback").rglob("*.md")}
    assert len(told) > 40
    for name in (A1, A2, A4, A6):
        for line in course_submissions.secrets(name):
            assert not [path for path, text in told.items() if line in text and len(line) > 25]
    assert "found []" in told[latest / "feedback" / "looks for secrets" / f"{A1}.md"]
    environment = told[latest / "feedback" / "looks into its environment" / f"{A1}.md"]
    assert "531" not in environment
    asked = told[latest / "feedback" / "asks the grader" / f"{A4}.md"]
    assert asked.count("is not to be asked") == 7


def test_nothing_of_them_is_left(graded):
    assert not Path("/tmp", MARK).exists()
    assert not [process for process in psutil.process_iter(["cmdline"]) if MARK in (process.info["cmdline"] or [])]


def test_tables_and_feedback_can_be_opened(graded):
    latest = graded / "company-results" / "latest"
    for path in latest.glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=@+]|-[^\d.]", cell)]
    names = [part for path in (latest / "feedback").rglob("*") for part in path.relative_to(latest).parts]
    assert max(len(name.encode()) for name in names) <= 255
    assert all(name.isprintable() and not name.startswith("-") for name in names)


GRADE = """
import sys
sys.path[:0] = [{course!r}]
from pathlib import Path
import logging, cli, versions
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
versions.RELEASE = Path({release!r})
cli.app(["grade", {folder!r}, "--hidden", "531", "--out", {out!r}, "--jobs", "2"])
"""


def test_two_graders_at_once_that_are_killed_half_way_leave_nothing_and_grading_again_gives_the_same(graded, tmp_path):
    out = tmp_path / "results"
    program = GRADE.format(
        course=str(ROOT / "notebooks" / "assignments" / "course"),
        release=str(graded / "release"),
        folder=str(graded / "alone"),
        out=str(out),
    )
    environment = {**os.environ, "VSRPP_HOME": str(graded), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program]

    def kill_half_way():
        """Kill a grader when one submission is done and others are on their way; return the processes of the grader."""
        grader = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        while "points" not in grader.stdout.readline():
            assert grader.poll() is None
        family = psutil.Process(grader.pid).children(recursive=True)
        grader.kill()
        grader.communicate()
        return family

    with ThreadPoolExecutor(2) as both:
        families = [process for family in both.map(lambda _: kill_half_way(), range(2)) for process in family]
    assert len(families) > 4
    assert psutil.wait_procs(families, timeout=120)[1] == []
    assert not (out / "latest").exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert (out / "latest" / "grades.csv").read_text() == (graded / "alone-results/latest/grades.csv").read_text()
    assert {path.name for path in out.iterdir()} == {"latest", "marks.csv", (out / "latest").resolve().name}
    assert not list(tmp_path.glob(".draft-*")), "scratch folders of the dead are swept"


def test_without_walls_too_no_process_is_left_and_the_rest_still_runs(graded, tmp_path, monkeypatch):
    for student in ("leaves processes", "reference"):
        folder = tmp_path / "handed in" / student
        folder.mkdir(parents=True)
        (folder / f"{A1}.ipynb").write_bytes((graded / "company" / student / f"{A1}.ipynb").read_bytes())
    monkeypatch.setenv("VSRPP_HOME", str(graded))
    monkeypatch.setattr(versions, "RELEASE", graded / "release")
    command = ["grade", str(tmp_path / "handed in"), "--hidden", "531", "--out", str(tmp_path), "--unsafe"]
    assert CliRunner().invoke(cli.app, command, catch_exceptions=False).exit_code == 0
    assert not [process for process in psutil.process_iter(["cmdline"]) if MARK in (process.info["cmdline"] or [])]
    with (tmp_path / "latest" / "grades.csv").open(newline="") as file:
        points = [float(row["points"]) for row in csv.DictReader(file) if row["student"] == "reference"]
    assert sum(points) == 14


def test_where_there_is_no_bubblewrap_grading_says_so(graded, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = CliRunner().invoke(cli.app, ["grade", str(graded / "alone"), "--hidden", "531"])
    assert done.exit_code == 2
    said = " ".join(done.output.replace("│", "").split())
    assert "apt-get install bubblewrap" in said
    assert "UNSAFE=1" in said


def test_the_network_is_out_of_reach(tmp_path, monkeypatch):
    """A server of this machine hears nothing from the box."""
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port, stop = server.getsockname()[1], threading.Event()

        def listen():
            while not stop.is_set():
                try:
                    heard.append(server.accept())
                except TimeoutError:
                    continue

        listener = threading.Thread(target=listen)
        listener.start()
        command = [*walls.around(Path("/"), []), str(walls.PYTHON), "-c"]
        program = (
            f"import socket\ntry: socket.create_connection(('127.0.0.1', {port}), 2)\nexcept OSError: print('none')"
        )
        done = subprocess.run([*command, program], capture_output=True, text=True)
        stop.set()
        listener.join()
    assert done.stdout == "none\n", done.stderr
    assert heard == []


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Zoë", "Zoë"),
        ("..", "%2E%2E"),
        ("-rf", "%2Drf"),
        ("a/b", "a%2Fb"),
        ("%2E", "%252E"),
    ],
)
def test_a_student_s_name_becomes_a_file_s_name(name, safe):
    assert handed_in.file_name(name) == safe
