"""The course, on the command line: python notebooks/assignments/course build|grade|check."""

import logging

from cli import app

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    app(prog_name="course")
