"""Prepare `multi30k`: real English captions, with German descriptions standing in for image regions.

The data are the 31,014 images of Flickr30K (Young et al. 2014) in their usual split, with five English captions each.
There are no pixels. Multi30K (Elliott et al. 2016) has five German descriptions of each image, by people who saw the
image and not the English captions. At most 36 of their content words stand in for the regions of the image. Each word
becomes a fixed vector of 256 numbers, which is made from hashed character n-grams: similar spellings have similar
vectors, and nothing is learned. The data are for non-commercial research and teaching only.

    python data_scripts/multi30k.py OUT [--from DIR] [--images N] [--seed 0]
"""

import gzip
import hashlib
import re
import unicodedata
import zlib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.extras import extra
from vsrpp_lite.files import refuse_existing
from vsrpp_lite.user_errors import errors_in_a_line

Texts = list[list[str]]  # five texts per image
REGIONS, SIZE, BUCKETS, TABLE_SEED = 36, 256, 2**16, 30
SPLITS = {"train": "train", "dev": "val", "test": "test_2016"}
IMAGES = [f"{raw}_images.txt" for raw in SPLITS.values()]
TEXTS = [f"{raw}.{i}.{x}.gz" for raw in SPLITS.values() for x in ("en", "de") for i in range(1, 6)]
URL = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task2"
SOURCE = (
    "Multi30K task 2 (Elliott et al. 2016) on Flickr30K (Young et al. 2014). English captions; "
    "German descriptions standing in for image regions: up to 36 content words of five German "
    "descriptions, as hashed n-grams; no pixels. For non-commercial research and teaching only."
)
WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")  # a word has letters and digits; "T-Shirt" is one word
# German function words, and then frequent misspellings of them
FUNCTION_WORDS = """
der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner und oder
aber sowie sondern denn als wie dass ob wenn weil während wobei damit um zu zum zur in im ins an am
ans auf aufs aus bei beim bis durch fürs für gegen hinter mit nach neben ohne über übers unter
unterm von vom vor vorm zwischen seit wegen entlang gegenüber ab er sie es ihn ihm ihnen ihr ihre
ihren ihrem ihrer ihres sein seine seinen seinem seiner seines sich man wir uns ich du mich dich
einander dieser diese dieses diesen diesem jeder jede jedes welcher welche welches welchen welchem
deren dessen denen was wer wo darauf darin andere anderen anderer anderem anderes je jeweils daran
dabei davor dahinter daneben dazu davon da dort hier her hin herum ist sind war waren wird werden
wurde wurden worden hat haben hatte hatten kann können will muss nicht auch nur noch schon so sehr
etwas gerade dann nun a au de e ei en i it mi n s t u un
"""
STOP_WORDS = frozenset(FUNCTION_WORDS.split())


def fragments(descriptions: list[str]) -> list[str]:
    """Return the content words of one image's German descriptions. Words in more descriptions come first.

    Words in equally many descriptions keep the order in which they appear. Words are case-folded, which also makes
    `Straße` and `Strasse` one word.
    """
    votes: Counter[str] = Counter()
    for text in descriptions:
        words = WORD.findall(unicodedata.normalize("NFC", text).casefold())
        votes.update(list(dict.fromkeys(word for word in words if word not in STOP_WORDS)))
    return [word for word, _ in votes.most_common(REGIONS)]


def ngrams(word: str) -> list[str]:
    """Return the distinct character n-grams (n = 3, 4, 5) of `<word>`, and then `<word>` itself."""
    marked = f"<{word}>"
    grams = [marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)]
    return list(dict.fromkeys([*grams, marked]))


@cache
def bucket_table() -> np.ndarray:
    """Return the fixed Gaussian vectors of the hash buckets. (NumPy never changes the stream of RandomState.)"""
    return np.random.RandomState(TABLE_SEED).standard_normal((BUCKETS, SIZE)).astype(np.float32)


def word_vectors(words: list[str]) -> np.ndarray:
    """Return the unit vectors of `words`, (n, 256) float32: the normalised sum over n-grams."""
    buckets = ([zlib.crc32(gram.encode()) % BUCKETS for gram in ngrams(word)] for word in words)
    sums = np.array([bucket_table()[rows].sum(axis=0) for rows in buckets]).reshape(-1, SIZE)
    return (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)


def read_table(path: Path) -> dict[str, str]:
    """Read a file with lines of `sha256  file name` into a dictionary from file names to sha256."""
    pairs = [line.split() for line in path.read_text("utf-8").splitlines() if line.strip()]
    return {name: digest for digest, name in pairs}


def read_verified(folder: Path, table: dict[str, str]) -> dict[str, bytes]:
    """Read all files and return their content by name.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file does not have the sha256 that `table` has.
    """
    content = {}
    for name in IMAGES + TEXTS:
        path, digest = folder / name, table.get(name)
        expected = f"expected sha256 {digest or 'in the table'}"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: {expected}, found no file")
        content[name] = path.read_bytes()
        if (found := hashlib.sha256(content[name]).hexdigest()) != digest:
            raise ValueError(f"{path}: {expected}, found {found}")
    return content


def download(table: dict[str, str]) -> Path:
    """Download the files that the cache folder lacks from the public repository. Return the cache folder."""
    with extra("fetch"):
        import pooch

    places = dict.fromkeys(IMAGES, "image_splits") | dict.fromkeys(TEXTS, "raw")
    registry = {name: f"sha256:{table[name]}" for name in places}
    urls = {name: f"{URL}/{place}/{name}" for name, place in places.items()}
    cache_folder = pooch.os_cache("vsrpp_lite") / "multi30k"
    fetcher = pooch.create(cache_folder, URL, registry=registry, urls=urls, retry_if_failed=2)
    for name in places:
        fetcher.fetch(name)
    return Path(fetcher.path)


def read_lines(content: dict[str, bytes], name: str) -> list[str]:
    """Return the lines of one file, with single spaces between words.

    Raises:
        ValueError: a line is empty or is not UTF-8.
    """
    raw = gzip.decompress(content[name]) if name.endswith(".gz") else content[name]
    lines = []
    for number, line in enumerate(raw.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            lines.append(" ".join(line.decode("utf-8").split()))
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}, line {number}: not UTF-8 ({error.reason})") from error
        if not lines[-1]:
            raise ValueError(f"{name}, line {number}: empty")
    return lines


def read_ids(content: dict[str, bytes], name: str) -> list[int]:
    """Return the integers in the image file names, such as 1000092795.jpg.

    Raises:
        ValueError: a line is not such a name, or an integer occurs twice.
    """
    ids: dict[int, None] = {}  # a dictionary keeps the order
    for number, line in enumerate(read_lines(content, name), start=1):
        match = re.fullmatch(r"([0-9]+)\.jpg", line)
        if match is None or int(match[1]) in ids:
            raise ValueError(f"{name}, line {number}: expected a new <integer>.jpg, found {line!r}")
        ids[int(match[1])] = None
    return list(ids)


def read_split(content: dict[str, bytes], raw: str) -> tuple[list[int], Texts, Texts]:
    """Return the ids, the English captions and the German descriptions of one split, one entry per image."""
    ids = read_ids(content, f"{raw}_images.txt")
    texts = {}
    for language in ("en", "de"):
        columns = []
        for name in (f"{raw}.{i}.{language}.gz" for i in range(1, 6)):
            columns.append(lines := read_lines(content, name))
            if len(lines) != len(ids):
                raise ValueError(f"{name}: expected {len(ids)} lines, as images, not {len(lines)}")
        texts[language] = [list(row) for row in zip(*columns, strict=True)]
    return ids, texts["en"], texts["de"]


def make_split(ids: list[int], captions: Texts, descriptions: Texts) -> RawSplit:
    """Return a split with the English captions, and with features from the German descriptions, padded to 36."""
    chosen = [fragments(five) for five in descriptions]
    row = {word: i for i, word in enumerate(dict.fromkeys(w for words in chosen for w in words))}
    vectors = word_vectors(list(row)).astype(np.float16)
    features = np.zeros((len(ids), REGIONS, SIZE), np.float16)
    for image, out, words in zip(ids, features, chosen, strict=True):
        if not words:
            raise ValueError(f"image {image}: no content word in its German descriptions")
        out[: len(words)] = vectors[[row[word] for word in words]]
    counts = np.array([len(words) for words in chosen])
    return RawSplit(features=features, captions=captions, image_ids=ids, counts=counts)


def convert(out: Path, folder: Path, table: dict[str, str], images: int = 0, seed: int = 0) -> Path:
    """Verify the files in `folder` and write the data set to `out`, whole or not at all.

    With `images` > 0, it keeps this number of training images, which `seed` draws and which stay in the order of the
    file. It keeps the first dev images, half as many, since every epoch evaluates dev, and the whole dev split would
    take longer than the training. It keeps all test images.
    """
    refuse_existing(out)
    content = read_verified(folder, table)
    parts = {name: read_split(content, raw) for name, raw in SPLITS.items()}
    source, total = SOURCE, len(parts["train"][0])
    if not 0 <= images <= total:
        raise ValueError(f"images: expected 1 to {total}, or 0 for all of them, found {images}")
    if images:
        kept = sorted(np.random.RandomState(seed).permutation(total)[:images].tolist())
        ids, captions, descriptions = ([column[i] for i in kept] for column in parts["train"])
        parts["train"] = ids, captions, descriptions
        half = max(1, images // 2)
        parts["dev"] = tuple(column[:half] for column in parts["dev"])
        source += f" Subset: {images} of {total} training images, seed {seed}; the first {half} of dev, at most."
    splits = {name: make_split(*part) for name, part in parts.items()}
    write_dataset(out, name="multi30k", source=source, splits=splits)
    for name, split in splits.items():
        typer.echo(f"{name}: {len(split.counts)} images, {split.counts.mean():.1f} fragments each")
    return out


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")],
    folder: Annotated[
        Path | None, typer.Option("--from", help="A folder with the files; without it, they are downloaded.")
    ] = None,
    images: Annotated[int, typer.Option(help="Training images to keep, and half as many of dev; 0 keeps all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed that draws the training images.")] = 0,
) -> None:
    """Prepare multi30k: English captions, with German descriptions standing in for image regions."""
    with errors_in_a_line():
        table = read_table(Path(__file__).with_suffix(".sha256"))
        convert(out, folder or download(table), table, images, seed)


if __name__ == "__main__":
    typer.run(main)
