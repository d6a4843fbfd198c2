"""An nbconvert preprocessor: what a stored notebook keeps of its outputs, so that readers without a kernel see them.

Of a widget that has HTML beside it, the HTML stays and the widget goes: a viewer would show an empty place for it. The
description of a figure, its alternative text, is also written into the metadata of its cell, where the site finds it.
"""

from nbconvert.preprocessors import Preprocessor

VIEW = "application/vnd.jupyter.widget-view+json"


class Stored(Preprocessor):
    """Prepares outputs for readers without a kernel."""

    enabled = True

    def preprocess_cell(self, cell, resources, index):
        described = []
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output["data"].pop(VIEW, None)
            described += [
                kept["alt"] for kept in output.get("metadata", {}).values() if isinstance(kept, dict) and "alt" in kept
            ]
        cell.metadata.pop("mystnb", None)
        if described:
            cell.metadata["mystnb"] = {"image": {"alt": " ".join(described)}}
        return cell, resources
