"""`make report`: write RESULTS.md, and the table in README.md, from what is recorded.

In the template, double braces name a function of `quotes` and its arguments, such as
{{value scenes-lite table4 VSR++ rsum}}. The text that the function returns takes their place.
"""

import re
from inspect import getmembers, isfunction
from pathlib import Path

from vsrpp_lite.files import notebooks_folder, recorded_folder
from vsrpp_lite.paper import quotes

TEMPLATE = "RESULTS.template.md"


def filled(template: str) -> str:
    """Return the template with every directive replaced by what it stands for.

    Raises:
        ValueError: there is no such directive, or no record of that name.
    """
    own = ((name, quote) for name, quote in getmembers(quotes, isfunction) if quote.__module__ == quotes.__name__)
    known = {name: quote for name, quote in own if not name.startswith("_")}

    def replaced(directive: re.Match[str]) -> str:
        name, *arguments = directive[1].split()
        if name not in known:
            raise ValueError(f"{directive[0]}: expected one of {', '.join(known)}")
        try:
            return known[name](*arguments)
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f"{directive[0]}: {error!r}") from error

    return re.sub(r"\{\{(.*?)\}\}", replaced, template)


def pages() -> dict[Path, str]:
    """Return the new texts of RESULTS.md and README.md, by path.

    In README.md, this replaces each table between `<!-- recorded: ... -->` and `<!-- end -->`.
    """
    checkout = notebooks_folder().parent
    results = filled((recorded_folder() / TEMPLATE).read_text(encoding="utf-8"))
    readme = (checkout / "README.md").read_text(encoding="utf-8")

    def renewed(block: re.Match[str]) -> str:
        return f"<!-- recorded: {block[1]} -->\n{filled('{{' + block[1] + '}}')}\n<!-- end -->"

    renewed_readme = re.sub(r"<!-- recorded: (.*?) -->\n.*?<!-- end -->", renewed, readme, flags=re.DOTALL)
    return {checkout / "RESULTS.md": results, checkout / "README.md": renewed_readme}
