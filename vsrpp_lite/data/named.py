"""Data sets by name: the embedded ones, which are drawn at their first use, and the folders in data/."""

from pathlib import Path

from vsrpp_lite.data import scenes
from vsrpp_lite.files import home

EMBEDDED = {"scenes": ("f30k", 0), "scenes-coco": ("coco", 1), "scenes-tuning": ("tuning", 2)}
"""Size and seed of each embedded data set."""


def canonical(name: str) -> str:
    """Return one name for each data set: of a folder in data/ its name, and of any other folder its whole path.

    A notebook runs in another working directory, where a relative path would lead elsewhere. Names of embedded data
    sets, and of what is no folder, stay as they are.
    """
    folder = Path(name).resolve()
    if name in EMBEDDED or not name or not folder.is_dir():
        return name
    return folder.name if folder.parent == (home() / "data").resolve() else str(folder)


def data_folder(name: str, *, tiny: bool = False) -> Path:
    """Return the folder of a data set. An embedded data set that does not exist yet is drawn now.

    Args:
        name: a name in `EMBEDDED`, such as "scenes", the path of a data folder, or the name of a folder in data/.
        tiny: use an embedded data set of a few hundred pictures, for tests.

    Raises:
        FileNotFoundError: there is no such folder.
        DataError: an embedded data set was drawn with another seed or version.
    """
    if name in EMBEDDED:
        size, seed = EMBEDDED[name]
        if tiny:
            return scenes.ensure(home() / "data" / f"scenes-{size}-tiny", seed=seed, size="tiny")
        return scenes.ensure(home() / "data" / f"scenes-{size}", seed=seed, size=size)
    if not name:
        raise FileNotFoundError("data is ''; expected the name of a data set, or a folder")
    for folder in (Path(name), home() / "data" / name):
        if folder.is_dir():
            return folder.resolve()
    raise FileNotFoundError(f"no data set {name!r}: neither {name} nor {home() / 'data' / name} is a folder")
