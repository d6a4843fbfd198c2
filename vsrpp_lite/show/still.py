"""A widget with HTML beside it: viewers without a kernel, such as the site and GitHub's preview, show the HTML."""

from typing import Any

import ipywidgets

MOVE = (
    "<p><em>Open this notebook in JupyterLab to move this. The figure that follows shows one of its positions.</em></p>"
)


class Still(ipywidgets.VBox):
    """Widgets one below the other.

    Args:
        children: the widgets.
        still: the HTML that is shown where no kernel runs.
    """

    def __init__(self, children: list[ipywidgets.Widget], still: str = MOVE):
        super().__init__(children)
        self.still = still

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return super()._repr_mimebundle_(**kwargs) | {"text/html": self.still, "text/plain": type(self).__name__}
