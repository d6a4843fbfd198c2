"""An nbconvert preprocessor: what a stored notebook keeps of its outputs, so that readers without a kernel see them.

Of a widget that has HTML beside it, the HTML stays and the widget goes: a viewer would show an empty place for it. A
widget without HTML, such as a bar of progress, goes as a whole. The description of a figure, its alternative text, is
also written into the metadata of its cell, where the site finds it.
"""

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

VIEW = "application/vnd.jupyter.widget-view+json"


class Stored(Preprocessor):
    """Prepares outputs for readers without a kernel."""

    enabled = True

    def preprocess_cell(self, cell: NotebookNode, resources: dict, index: int) -> tuple[NotebookNode, dict]:
        """Drop the widgets of a cell, and collect the descriptions of its figures."""
        described = []
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _is_bare_widget(output)]
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(VIEW, None)
            described += [
                kept["alt"] for kept in output.get("metadata", {}).values() if isinstance(kept, dict) and "alt" in kept
            ]
        cell.metadata.pop("mystnb", None)
        if described:
            cell.metadata["mystnb"] = {"image": {"alt": " ".join(described)}}
        return cell, resources


def _is_bare_widget(output: NotebookNode) -> bool:
    """Tell whether an output is a widget and nothing else that a viewer could show."""
    return VIEW in output.get("data", {}) and {*output["data"]} <= {VIEW, "text/plain"}
