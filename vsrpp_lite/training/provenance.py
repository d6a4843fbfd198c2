"""The code that made a result: versions of packages, and the commit of the checkout."""

import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Return `versions` and `commit`. The commit ends in "-dirty" if files differ from it; it is None without git."""
    names = ("vsrpp_lite", "torch", "numpy", "lightning-fabric")
    versions = {name: version(name) for name in names} | {"python": platform.python_version()}
    checkout = Path(__file__).resolve().parents[2]
    commit = None
    if (checkout / ".git").exists() and shutil.which("git"):
        asked = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        commit = answer.stdout.strip() or None
    return {"versions": versions, "commit": commit}
