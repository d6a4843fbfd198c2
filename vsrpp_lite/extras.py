"""Libraries that only some users need: an import that fails says which extra of the package brings the library."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import the libraries of an extra inside this context.

    Raises:
        ImportError: a library is not installed. The message has the command that installs it.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{error}. This needs an extra: pip install 'vsrpp_lite[{name}]'") from error
