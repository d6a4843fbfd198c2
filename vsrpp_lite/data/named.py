"""Data sets by name: the embedded ones, drawn when they are first asked for, and the folders of data/."""

from pathlib import Path

from vsrpp_lite.data import scenes
from vsrpp_lite.files import home

EMBEDDED = {"scenes": ("f30k", 0), "scenes-coco": ("coco", 1)}
"""The embedded data sets: the size of each, and the seed that it is drawn from."""


def data_folder(name: str, *, tiny: bool = False) -> Path:
    """The folder of a data set: an embedded one, which is drawn now if it is not there, or any folder.

    Args:
        name: "scenes" or "scenes-coco", the path of a data folder, or the name of a folder of data/.
        tiny: an embedded data set of a few hundred pictures, for tests.

    Raises:
        FileNotFoundError: there is no such folder.
        DataError: an embedded data set was drawn otherwise.
    """
    if name in EMBEDDED:
        size, seed = EMBEDDED[name]
        if tiny:
            return scenes.ensure(home() / "data" / f"scenes-{size}-tiny", seed=seed, size="tiny")
        return scenes.ensure(home() / "data" / f"scenes-{size}", seed=seed, size=size)
    for folder in (Path(name), home() / "data" / name):
        if folder.is_dir():
            return folder.resolve()
    raise FileNotFoundError(f"no data set {name!r}: neither {name} nor {home() / 'data' / name} is a folder")
