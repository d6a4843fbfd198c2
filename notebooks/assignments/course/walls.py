"""The walls of a box: bubblewrap gives it a file system of its own.

The box sees Python, the data and the model of the course, and a copy of the package without the functions that are
asked for; nothing else of this machine. It has no network, and its processes die with it.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import absent

CHECKOUT = Path(__file__).resolve().parents[3]
PYTHON = Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name
"""The link in a virtual environment is not followed, since it makes the environment."""
SYSTEM = tuple(
    map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"))
)
DISK = 256 * 2**20
"""Bytes of the box's /tmp, and of its /dev/shm."""


def missing() -> str:
    """Return why there can be no sandbox on this machine, or an empty text if there can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian and Ubuntu: apt-get install bubblewrap)"
    tried = subprocess.run([*around(Path("/"), ()), "true"], capture_output=True, text=True)
    return f"bubblewrap cannot make a sandbox here: {tried.stderr.strip()}" if tried.returncode else ""


def around(folder: Path, seen: Sequence[Path]) -> list[str]:
    """Return the command that puts what follows it into a sandbox.

    Args:
        folder: the folder of the box's own files; it can be read.
        seen: other files and folders that can be read.
    """
    prefixes = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    shown = [*SYSTEM, *sorted(prefixes)]
    # an installed package, or a checkout below /usr, would be seen in these: an empty folder hides it
    private = [absent.PACKAGE, *(CHECKOUT / name for name in (".git", "data", "notebooks", "results", "runs", "tests"))]
    hidden = [path for path in private if path.exists() and any(path.is_relative_to(other) for other in shown)]
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--size", str(DISK), "--tmpfs", "/tmp", "--dir", "/tmp/home"]
    for path in shown:
        command += ["--ro-bind-try", str(path), str(path)]
    for path in hidden:
        command += ["--tmpfs", str(path)]
    for path in seen:
        command += ["--ro-bind", str(path), str(path)]
    if folder != Path("/"):
        command += ["--ro-bind", str(folder), "/box"]
    command += ["--proc", "/proc", "--dev", "/dev", "--size", str(DISK), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    for path in hidden:
        command += ["--remount-ro", str(path)]
    return [*command, "--remount-ro", "/", "--chdir", "/tmp/home"]
