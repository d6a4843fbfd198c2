"""Descriptions of figures, for readers who do not see them: every function that draws a figure also describes it.

A notebook stores the description beside the picture, as its alternative text, and a screen reader reads it aloud.
"""

from collections.abc import Callable
from typing import Any, Literal

from IPython.core.getipython import get_ipython
from matplotlib.figure import Figure
from matplotlib_inline.backend_inline import set_matplotlib_formats


def describe(figure: Figure, text: str) -> Figure:
    """Keep a description with a figure, and return the figure."""
    figure.set_label(text)
    return figure


def inline(kind: Literal["png", "jpeg"] = "png", **pil: Any) -> None:
    """Let this notebook show its figures as PNG or JPEG, each with its description as alternative text.

    Args:
        kind: PNG for lines and text; JPEG, a fifth of the size, for pictures.
        pil: what Pillow is told as it saves, such as `quality=85`.
    """
    shell = get_ipython()
    if shell is None or shell.display_formatter is None:  # a plain Python program shows no figures in a page
        return
    set_matplotlib_formats(kind, pil_kwargs=pil)
    formatter = shell.display_formatter.formatters[f"image/{kind}"]
    formatter.for_type(Figure, _with_alt(formatter.lookup_by_type(Figure)))


def _with_alt(drawn: Callable[[Figure], Any]) -> Callable[[Figure], Any]:
    def image(figure: Figure) -> Any:
        found = drawn(figure)
        if found is None:  # a figure without axes
            return None
        data, metadata = found if isinstance(found, tuple) else (found, {})
        return data, metadata | {"alt": str(figure.get_label())}

    return image
