"""Run one notebook under limits, in a process of its own: worker.py NOTEBOOK CELL_SECONDS SECONDS GIB.

The notebook is written back after every cell, so that later failures do not lose the cells that are done.
"""

import resource
import sys
from collections import Counter
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_output

HEARD = 2**20
"""Number of printed characters that are kept per cell."""
TOO_LONG = {"ename": "CellTimeoutError", "evalue": "", "traceback": []}


class Client(NotebookClient):
    """A client that keeps a limited amount of what a cell prints. A cell that prints without end cannot fill memory."""

    def output(self, outs: list, msg: dict, display_id: str, cell_index: int) -> nbformat.NotebookNode | None:
        """Keep one more output of a cell, or only its beginning if the limit is reached."""
        if msg["msg_type"] == "stream":
            text = msg["content"]["text"]
            msg["content"]["text"] = text[: max(0, HEARD - self.heard[cell_index])]
            self.heard[cell_index] += len(text)
        return super().output(outs, msg, display_id, cell_index)


def the_course_s(cell: nbformat.NotebookNode) -> bool:
    """Tell whether a cell is a locked preparation of the course, which may be slow on a slow machine."""
    named = cell.metadata.get("nbgrader", {})
    return bool(named.get("locked")) and not named.get("grade")


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write the whole notebook or nothing, since this process may be killed at any moment."""
    draft = path.with_suffix(".draft")
    nbformat.write(notebook, draft)
    draft.replace(path)


def main(path: Path, cell_seconds: int, seconds: int, gib: float) -> None:
    """Execute a notebook in place. The limits hold for this process and for the kernel that it starts."""
    for limit, most in (
        (resource.RLIMIT_AS, int(gib * 2**30)),
        (resource.RLIMIT_CPU, 2 * seconds),
        (resource.RLIMIT_FSIZE, 2**28),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    notebook = nbformat.read(path, as_version=4)
    last = -1

    def keep(cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict) -> None:
        nonlocal last
        last, reply = cell_index, execute_reply["content"]
        if reply["status"] == "error" and not any(output.output_type == "error" for output in cell.outputs):
            names = {name: reply[name] for name in ("ename", "evalue", "traceback")}
            cell.outputs.append(new_output("error", **names))  # the kernel does not report every interrupt
        write(notebook, path)

    client = Client(
        notebook,
        timeout_func=lambda cell: seconds if the_course_s(cell) else cell_seconds,
        interrupt_on_timeout=True,
        error_on_timeout=TOO_LONG,
        allow_errors=True,
        record_timing=False,
        on_cell_executed=keep,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.heard = Counter()
    try:
        client.execute()
    except DeadKernelError:
        notebook.metadata["stopped"] = True
        for cell in notebook.cells[last + 1 :]:
            if cell.cell_type == "code":
                cell.execution_count = None  # a cell that ended Python has passed nothing
    write(notebook, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
