"""Runs one notebook under limits, in a process of its own: worker.py NOTEBOOK CELL_SECONDS SECONDS GIB.

The notebook is written back after every cell, so that what was done stands, whatever happens next.
"""

import resource
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_output

TOO_LONG = {"ename": "CellTimeoutError", "evalue": "", "traceback": []}


def the_course_s(cell: nbformat.NotebookNode) -> bool:
    """Whether a cell prepares the ground and holds nothing of the student's: it may be slow on a slow machine."""
    named = cell.metadata.get("nbgrader", {})
    return bool(named.get("locked")) and not named.get("grade")


def main(path: Path, cell_seconds: int, seconds: int, gib: float) -> None:
    """Execute in place. Limits hold for this process and for the kernel that it starts."""
    for limit, most in (
        (resource.RLIMIT_AS, int(gib * 2**30)),
        (resource.RLIMIT_CPU, 2 * seconds),
        (resource.RLIMIT_FSIZE, 2**28),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    notebook = nbformat.read(path, as_version=4)

    def keep(cell: nbformat.NotebookNode, execute_reply: dict, **_: object) -> None:
        reply = execute_reply["content"]
        if reply["status"] == "error" and not any(output.output_type == "error" for output in cell.outputs):
            names = {name: reply[name] for name in ("ename", "evalue", "traceback")}
            cell.outputs.append(new_output("error", **names))  # interrupted: the kernel did not say so itself
        nbformat.write(notebook, path)

    client = NotebookClient(
        notebook,
        timeout_func=lambda cell: seconds if the_course_s(cell) else cell_seconds,
        interrupt_on_timeout=True,
        error_on_timeout=TOO_LONG,
        allow_errors=True,
        record_timing=False,
        on_cell_executed=keep,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except DeadKernelError:
        notebook.metadata["stopped"] = True
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
