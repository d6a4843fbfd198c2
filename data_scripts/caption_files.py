"""Read captions of pictures from the files in which people have them.

    token file         name.jpg#0<tab>A dog runs .                          Flickr8k.token.txt, results_20130124.token
    table with header  image,caption                                        Kaggle's captions.txt, any csv or tsv
                       image_name| comment_number| comment                  Flickr30k's results.csv
    JSON lines         {"image": "name.jpg", "caption": "A dog runs"}       the caption may be a list
    Karpathy's JSON    {"images": [{"filename", "split", "sentences"}]}     dataset_flickr8k.json, dataset_coco.json
    COCO's JSON        {"images": [...], "annotations": [...]}              captions_val2014.json

The content of a file decides which of them it is, and not its name. A table and JSON lines may also have a split.
"""

import csv
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vsrpp_lite.data.errors import DataError, check_plain_file
from vsrpp_lite.data.lines import read_lines
from vsrpp_lite.data.text import has_word

LARGEST_BYTES = 2**31
"""Bytes of the largest JSON file that is read; COCO's has 90 MB."""
LONGEST = 2_000
"""Characters of the longest caption."""
SPLIT_NAMES = {
    **dict.fromkeys(("train", "restval"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation"), "dev"),
    "test": "test",
}
IMAGE_NAMES = ("image", "image_name", "filename", "file_name", "file", "picture", "img")
CAPTION_NAMES = ("caption", "captions", "comment", "sentence", "text", "description")
EXPECTED = (
    "lines of name.jpg#0<tab>caption, a table whose header names an image and a caption, lines of JSON, or the JSON "
    "of Karpathy or of COCO"
)


@dataclass
class Captioned:
    """The captions of each picture, and the split of those pictures whose split the file says."""

    captions: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)

    def add(self, place: str, image: Any, caption: Any, split: Any = None) -> None:
        """Enter one caption of one picture.

        Args:
            place: file and line, or file and entry, for the message of an error.

        Raises:
            DataError: one of them is not what it should be.
        """
        if not isinstance(image, str) or not image.strip() or "\0" in image or len(image) > 1000:
            raise DataError(f"{place}: the image is {str(image)[:40]!r}; expected the name of a file")
        if not isinstance(caption, str):
            raise DataError(f"{place}: the caption is {str(caption)[:40]!r}; expected a sentence")
        cleaned = " ".join(unicodedata.normalize("NFC", caption).split())
        if not has_word(cleaned):
            raise DataError(f"{place}: the caption is {cleaned[:40]!r}, without a word; expected a sentence")
        if len(cleaned) > LONGEST:
            raise DataError(f"{place}: the caption has {len(cleaned)} characters; expected at most {LONGEST}")
        if not cleaned.isprintable():
            raise DataError(f"{place}: the caption holds a control character; expected a sentence")
        image = image.strip()
        self.captions.setdefault(image, []).append(cleaned)
        if split not in (None, ""):
            self._enter_split(place, image, split)

    def _enter_split(self, place: str, image: str, split: Any) -> None:
        known = SPLIT_NAMES.get(split.strip().lower()) if isinstance(split, str) else None
        if known is None:
            raise DataError(f"{place}: the split is {str(split)[:40]!r}; expected {', '.join(SPLIT_NAMES)}")
        if self.splits.setdefault(image, known) != known:
            raise DataError(f"{place}: {image} is in {known}; before, it was in {self.splits[image]}")


def read_caption_file(path: Path) -> Captioned:
    """Read a file of captions in any of the forms above.

    Raises:
        DataError: the file is none of them, or an entry of it is not what it should be; the message names the place.
    """
    check_plain_file(path, EXPECTED)
    begin = _beginning(path)
    if begin[:1] in ("{", "["):
        first = begin.partition("\n")[0]
        found = _json_lines(path) if _is_json_line(first) else _json(path)
    elif re.match(r"[^\t]+#\d+\t", begin):
        found = _token_file(path)
    else:
        found = _table(path, begin.partition("\n")[0])
    if not found.captions:
        raise DataError(f"{path}: holds no caption; expected {EXPECTED}")
    return found


def _beginning(path: Path) -> str:
    """Return the first text of a file.

    Raises:
        DataError: it begins as UTF-16 and UTF-32 do, or its lines end as on old Macs.
    """
    with path.open("rb") as file:
        begin = file.read(20_000).removeprefix(b"\xef\xbb\xbf")
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in begin:
        raise DataError(f"{path}: begins {begin[:12]!r}, as UTF-16 and UTF-32 do; expected UTF-8")
    if b"\r" in begin and b"\n" not in begin:
        raise DataError(f"{path}: its lines end in a carriage return alone; expected a line feed at the end of each")
    return begin.decode("utf-8", "replace").lstrip()


def _is_json_line(line: str) -> bool:
    """Tell whether a line is a whole entry of a file of JSON lines."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and "images" not in entry


def _token_file(path: Path) -> Captioned:
    found = Captioned()
    for number, line in read_lines(path):
        if not line.strip():
            continue
        matched = re.fullmatch(r"([^\t]+)#\d+\t(.*)", line)
        if not matched:
            raise DataError(f"{path}: line {number} is {line[:40]!r}; expected name.jpg#0<tab>caption")
        found.add(f"{path}: line {number}", *matched.groups())
    return found


def _table(path: Path, header: str) -> Captioned:
    """Read a table. Its header says which character separates the columns, and which of them are meant."""
    delimiter = max(",\t|", key=header.count)
    rows = _rows(path, delimiter)
    names = [name.strip().lower() for name in next(rows, (0, []))[1]]
    image = next((names.index(name) for name in IMAGE_NAMES if name in names), None)
    caption = next((names.index(name) for name in CAPTION_NAMES if name in names), None)
    split = names.index("split") if "split" in names else None
    if image is None or caption is None:
        raise DataError(f"{path}: begins {header[:60]!r}; expected {EXPECTED}")
    found = Captioned()
    for number, row in rows:
        if delimiter == "|":
            row = _mended(row, len(names))
        if len(row) != len(names):
            raise DataError(f"{path}: line {number} has {len(row)} columns; expected {len(names)}, as the header has")
        found.add(f"{path}: line {number}", row[image], row[caption], None if split is None else row[split])
    return found


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line, and the cells, of each row that is not empty."""
    lines = (f"{line}\n" for _, line in read_lines(path))  # they are checked: UTF-8, and not too long
    # in |-separated files a quotation mark is a part of the sentence
    quoting = csv.QUOTE_NONE if delimiter == "|" else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        expected = f"columns between {delimiter!r}, and quotation marks in pairs"
        raise DataError(f"{path}: line {reader.line_num}: {error}; expected {expected}") from error


def _mended(row: list[str], columns: int) -> list[str]:
    """Mend the row of Flickr30k's results.csv that lacks the mark between the number and the comment."""
    if columns == 3 and len(row) == 2 and (matched := re.fullmatch(r"\s*(\d+)\s+(.*)", row[1])):
        return [row[0], *matched.groups()]
    return row


def _json_lines(path: Path) -> Captioned:
    found = Captioned()
    for number, line in read_lines(path):
        if not line:
            continue
        place = f"{path}: line {number}"
        try:
            entry = json.loads(line)
            names = {name.lower(): value for name, value in entry.items()}
        except (ValueError, RecursionError, AttributeError) as error:
            raise DataError(f"{place} is {line[:40]!r}; expected a JSON object with image and caption") from error
        image = next((names[name] for name in IMAGE_NAMES if name in names), None)
        said = next((names[name] for name in CAPTION_NAMES if name in names), None)
        for caption in said if isinstance(said, list) else [said]:
            found.add(place, image, caption, names.get("split"))
    return found


def _json(path: Path) -> Captioned:
    """Read Karpathy's JSON or COCO's."""
    if path.stat().st_size > LARGEST_BYTES:
        raise DataError(f"{path}: larger than {LARGEST_BYTES} bytes; expected {EXPECTED}")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({str(error)[:60]}); expected {EXPECTED}") from error
    if isinstance(content, list):
        content = {"images": content}
    images = content.get("images")
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise DataError(f"{path}: has no list of images; expected {EXPECTED}")
    found = Captioned()
    if isinstance(content.get("annotations"), list):
        _coco(path, found, images, content["annotations"])
    else:
        _karpathy(path, found, images)
    return found


def _karpathy(path: Path, found: Captioned, images: Iterable[dict[str, Any]]) -> None:
    for number, image in enumerate(images):
        place = f"{path}: images[{number}]"
        sentences = image.get("sentences")
        if not isinstance(sentences, list) or not all(isinstance(sentence, dict) for sentence in sentences):
            raise DataError(f"{place} has the sentences {str(sentences)[:40]!r}; expected a list of objects with raw")
        for sentence in sentences:
            found.add(place, image.get("filename"), sentence.get("raw"), image.get("split"))


def _coco(path: Path, found: Captioned, images: Iterable[dict[str, Any]], annotations: Iterable[Any]) -> None:
    names = {repr(image.get("id")): image.get("file_name") for image in images}
    for number, annotation in enumerate(annotations):
        place = f"{path}: annotations[{number}]"
        if not isinstance(annotation, dict) or repr(annotation.get("image_id")) not in names:
            raise DataError(f"{place} is {str(annotation)[:60]!r}; expected the id of one of the images, and a caption")
        found.add(place, names[repr(annotation["image_id"])], annotation.get("caption"))


def read_lists(paths: Sequence[Path]) -> dict[str, str]:
    """Return the split of each picture that stands in a list, such as Flickr_8k.trainImages.txt.

    Raises:
        DataError: the name of a file does not tell its split, or a picture stands in two lists.
    """
    splits: dict[str, str] = {}
    for path in paths:
        words = set(re.findall("[a-z]+", re.sub("([a-z])([A-Z])", r"\1 \2", path.name).lower()))
        told = {SPLIT_NAMES[word] for word in words & SPLIT_NAMES.keys()}
        told = told or {split for word, split in SPLIT_NAMES.items() if word in path.name.lower()}
        if len(told) != 1:
            raise DataError(f"{path}: the name tells no split, or two; expected one of the words train, dev, val, test")
        for number, name in read_lines(path):
            if (name := name.strip()) and splits.setdefault(name, *told) not in told:
                raise DataError(f"{path}: line {number}, {name} stands in the list of {splits[name]} too")
    return splits


def drawn_split(name: str) -> str:
    """Return the split of a picture if no list and no file of captions names a split. A hash of its name decides.

    About 80 % of such pictures go into train, and about 10 % into each of the other two splits. A picture keeps its
    split when other pictures are added.
    """
    tenth = int.from_bytes(hashlib.sha256(f"0 {name}".encode()).digest()[:8]) % 10
    return {0: "dev", 1: "test"}.get(tenth, "train")
