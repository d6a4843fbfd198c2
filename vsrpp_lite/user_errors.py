"""Errors that the user of a command can mend: they are told in a line, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from vsrpp_lite.training.grid import GridError


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """Print such an error in a line, and exit with 1. Any other error keeps its traceback, since it is a bug."""
    try:
        yield
    except (ValueError, GridError, OSError, ImportError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
