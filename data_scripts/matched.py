"""Find the picture of each name in a file of captions, and count what has no counterpart."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from caption_files import Captioned, drawn_split
from PIL import Image

from vsrpp_lite.data.errors import DataError

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Photograph:
    """A picture with its captions. Its id is its place in the order of all names."""

    id: int
    name: str
    path: Path
    split: str
    captions: list[str]


@dataclass
class Report:
    """What was left out, by reason."""

    without_picture: list[str] = field(default_factory=list)
    without_captions: list[str] = field(default_factory=list)
    in_no_list: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def check(self, total: int, tolerated: float) -> None:
        """Refuse to go on when too much is left out.

        Args:
            total: number of pictures with captions.
            tolerated: percentage that may be left out for each reason.

        Raises:
            DataError: more is left out; the message has the numbers and some examples.
        """
        for words, names in self._reasons().items():
            if words != "in no list" and 100 * len(names) > tolerated * total:
                raise DataError(
                    f"{len(names)} {words}, such as {', '.join(names[:3])}; {total} pictures have captions, and at "
                    f"most {tolerated:g} % may be left out. TOLERATE= sets another percentage"
                )

    def _reasons(self) -> dict[str, list[str]]:
        return {
            "captioned names without a picture": self.without_picture,
            "pictures without captions": self.without_captions,
            "in no list": self.in_no_list,
            "pictures that cannot be read": self.unreadable,
        }

    def text(self) -> str:
        """Return the whole report, a name a line."""
        parts = []
        for words, names in self._reasons().items():
            parts += [f"{len(names)} {words}", *(f"    {name}" for name in names)]
        return "\n".join(parts) + "\n"


def match(folder: Path, found: Captioned, listed: dict[str, str]) -> tuple[list[Photograph], Report]:
    """Find the picture of each name in a file of captions, and give each its split.

    A name is a path below `folder`, or the name of the one file that is called so.

    Raises:
        DataError: a name fits several pictures, or two names fit the same one.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    by_name: dict[str, list[str]] = {}
    for relative in paths:
        by_name.setdefault(Path(relative).name, []).append(relative)
    photographs, report, used = [], Report(), set()
    owner: dict[str, str] = {}
    for number, name in enumerate(sorted(found.captions)):
        fitting = [name] if name in paths else by_name.get(Path(name).name, [])
        if len(fitting) > 1:
            raise DataError(f"{folder}: {name} fits {', '.join(fitting[:3])}; expected one picture of this name")
        used.update(fitting)
        if listed and name not in listed:
            report.in_no_list.append(name)
        elif not fitting:
            report.without_picture.append(name)
        else:
            if (other := owner.setdefault(fitting[0], name)) != name:
                raise DataError(f"{folder}: {other} and {name} both fit {fitting[0]}; expected one picture for each")
            split = listed.get(name) or found.splits.get(name) or drawn_split(name)
            photographs.append(Photograph(number, name, paths[fitting[0]], split, found.captions[name]))
    report.without_captions = [name for name in paths if name not in used and _is_picture(name)]
    return photographs, report


def check_splits(photographs: Sequence[Photograph], report: Report) -> None:
    """Refuse pictures that would leave a split empty, before any is encoded.

    Raises:
        DataError: no picture is in one of the splits.
    """
    for split in SPLITS:
        if all(photograph.split != split for photograph in photographs):
            raise DataError(
                f"no picture is in {split}; expected some in each of {', '.join(SPLITS)}. {len(photographs)} pictures "
                f"have captions and a split, and {len(report.in_no_list)} names are in no list"
            )


def _is_picture(name: str) -> bool:
    """Tell whether the name is that of a picture: lists and captions may lie beside the pictures."""
    kind = Path(name).suffix.lower()
    hidden = Path(name).name.startswith("._")  # what a Mac puts beside each file of an archive
    return kind in Image.registered_extensions() and kind != ".pdf" and not hidden
