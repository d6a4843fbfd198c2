"""Tests of the multi30k script: German descriptions standing in for image regions. No network."""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from vsrpp_lite.data.write import RawSplit, write_dataset

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "data_scripts"))
import multi30k as m

pytestmark = pytest.mark.slow
REAL = ROOT.parent / "shared" / "data" / "multi30k"
COUNTS = {"train": 6, "val": 3, "test_2016": 2}
PINNED = [0.01566, 0.01439, 0.01161]


def table_of(folder: Path) -> dict[str, str]:
    """Return the checksum table that makes `folder` valid."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def put(folder: Path, name: str, content: bytes) -> None:
    """Write one raw file, gzipped when its name says so."""
    data = gzip.compress(content, mtime=0) if name.endswith(".gz") else content
    (folder / name).write_bytes(data)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Make a tiny folder of 6 + 3 + 2 images with the file names of the real one."""
    folder = tmp_path / "raw"
    folder.mkdir()
    start = 10**10  # larger than 32 bits, as in Flickr
    for split, count in COUNTS.items():
        ids = range(start, start + count)
        start += count
        put(folder, f"{split}_images.txt", "".join(f"{i}.jpg\n" for i in ids).encode())
        for k in range(1, 6):
            english = "".join(f"  Dog {i}  runs {k}. \n" for i in ids)
            german = "".join(f"Ein Hund {i} läuft.\n" for i in ids)
            put(folder, f"{split}.{k}.en.gz", english.encode())
            put(folder, f"{split}.{k}.de.gz", german.encode())
    return folder


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, RawSplit]:
    """The splits that the last call gave to the writer."""
    kept: dict[str, RawSplit] = {}

    def write(folder: Path, *, splits: dict[str, RawSplit], **about: str) -> Path:
        kept.clear()
        kept.update(splits)
        return write_dataset(folder, splits=splits, **about)

    monkeypatch.setattr(m, "write_dataset", write)
    return kept


def refused(raw: Path, table: dict[str, str], error: type[Exception], *parts: str) -> None:
    """Check that the conversion fails with all `parts` in the message and leaves nothing behind."""
    out = raw.parent / "out"
    before = sorted(raw.parent.iterdir())
    with pytest.raises(error) as caught:
        m.convert(out, raw, table)
    assert all(part in str(caught.value) for part in parts), str(caught.value)
    assert sorted(raw.parent.iterdir()) == before


def test_fragments_by_pencil() -> None:
    """Votes: hund 4, strasse 3, ball 2 (one description counts once), then first appearance."""
    descriptions = [
        "Ein brauner Hund jagt einen Ball, Ball, Ball!",
        "Der Hund ist auf der Straße.",
        "hund auf einer STRASSE",
        "Die Strasse und der Ball",
        "2 Leute im T-Shirt sehen den Hund_",
    ]
    expected = ["hund", "strasse", "ball", "brauner", "jagt", "2", "leute", "t-shirt", "sehen"]
    assert m.fragments(descriptions) == expected
    assert m.fragments(["Der Ko\u0308nig"]) == m.fragments(["der K\u00f6nig"]) == ["k\u00f6nig"]
    assert m.fragments(["und der die das", " - "]) == []


def test_fragments_are_cut_at_36_keeping_the_most_agreed_upon() -> None:
    """Forty words said once lose against one said twice, and only 36 stay."""
    many = " ".join(f"wort{i}" for i in range(40))
    chosen = m.fragments([many, "später spät", "später"])
    assert chosen == ["später", *(f"wort{i}" for i in range(35))]


def test_ngrams_by_pencil() -> None:
    """All n-grams of `<hund>` with n = 3, 4, 5, and the whole; a short word has no duplicate."""
    expected = ["<hu", "hun", "und", "nd>", "<hun", "hund", "und>", "<hund", "hund>", "<hund>"]
    assert m.ngrams("hund") == expected
    assert m.ngrams("2") == ["<2>"]


def test_word_vectors_are_fixed_unit_and_related() -> None:
    """The vectors depend on the word alone, have norm 1, and know that Hunde are like Hund."""
    words = ["hund", "hunde", "gitarre"]
    vectors = m.word_vectors(words)
    assert vectors.shape == (3, 256) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(m.word_vectors(["gitarre"])[0], vectors[2])
    related, unrelated = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert related > 0.4 and abs(unrelated) < 0.25
    assert m.word_vectors([]).shape == (0, 256)


def test_word_vectors_never_change() -> None:
    """A stored number guards the hash, the table and its seed across versions and machines."""
    assert m.word_vectors(["hund"])[0, :3] == pytest.approx(PINNED, abs=1e-5)


def test_whole_conversion(raw: Path, written: dict[str, RawSplit]) -> None:
    """Splits are named and shaped as the writer wants them, captions only lose white space."""
    out = m.convert(raw.parent / "deep" / "out", raw, table_of(raw))
    assert [p.name for p in out.parent.iterdir()] == ["out"]
    assert {name: len(s.image_ids) for name, s in written.items()} == {
        "train": 6,
        "dev": 3,
        "test": 2,
    }
    train = written["train"]
    assert train.features.shape == (6, 36, 256) and train.features.dtype == np.float16
    assert train.image_ids == list(range(10**10, 10**10 + 6))
    assert train.captions[1] == [f"Dog {10**10 + 1} runs {k}." for k in range(1, 6)]
    assert train.counts.tolist() == [3] * 6
    expected = m.word_vectors(["hund", str(10**10), "läuft"]).astype(np.float16)
    np.testing.assert_array_equal(train.features[0, :3], expected)
    assert not train.features[:, 3:].any()
    manifest = json.loads((out / "manifest.json").read_text())
    name, source = manifest["name"], manifest["source"]
    assert name == "multi30k" and "German descriptions standing in for image regions" in source
    assert "non-commercial research and teaching" in source


def test_subset_is_fixed_by_seed_and_leaves_test_whole(raw: Path, written: dict[str, RawSplit]) -> None:
    """Equal seeds agree, file order is kept, rows stay together, other seeds differ somewhere."""
    draws = []
    for run, seed in enumerate([0, 0, 1, 2, 3]):
        out = m.convert(raw.parent / f"out{run}", raw, table_of(raw), images=3, seed=seed)
        train = written["train"]
        draws.append(tuple(train.image_ids))
        assert sorted(set(train.image_ids)) == train.image_ids and len(train.image_ids) == 3
        for image, captions, features in zip(train.image_ids, train.captions, train.features, strict=True):
            assert captions[0] == f"Dog {image} runs 1."
            word = m.word_vectors([str(image)])[0].astype(np.float16)
            np.testing.assert_array_equal(features[1], word)
        assert len(written["dev"].image_ids) == 1 and len(written["test"].image_ids) == 2
        assert f"3 of 6 training images, seed {seed}" in (out / "manifest.json").read_text()
    assert draws[0] == draws[1] and len(set(draws)) > 1


@pytest.mark.parametrize("images", [-1, 7])
def test_impossible_subset_is_refused(raw: Path, images: int) -> None:
    """More training images than there are, or fewer than none, is an error."""
    with pytest.raises(ValueError, match=f"found {images}"):
        m.convert(raw.parent / "out", raw, table_of(raw), images=images)
    assert not (raw.parent / "out").exists()


def test_changed_file_is_refused(raw: Path) -> None:
    """One changed file: the message names file, expected and found; nothing is written."""
    table = table_of(raw)
    put(raw, "val.3.de.gz", b"Etwas anderes\n")
    found = table_of(raw)["val.3.de.gz"]
    refused(raw, table, ValueError, "val.3.de.gz", table["val.3.de.gz"], found)


def test_missing_file_or_table_entry_is_refused(raw: Path) -> None:
    """A missing file and a file that the table does not know are errors that name it."""
    table = table_of(raw)
    refused(raw, {k: v for k, v in table.items() if k != "val.1.en.gz"}, ValueError, "val.1.en.gz")
    (raw / "test_2016.5.de.gz").unlink()
    digest = table["test_2016.5.de.gz"]
    refused(raw, table, FileNotFoundError, "test_2016.5.de.gz", digest, "no file")


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("train.2.en.gz", b"a\nb\nc\nd\ne\n", ["6 lines", "not 5"]),
        ("train.2.de.gz", b"a1\nb1\nc1\nd1\ne1\nf1\ng1\n", ["6 lines", "not 7"]),
        ("val.1.en.gz", b"a\n \t\nc\n", ["line 2", "empty"]),
        ("val.1.en.gz", b"a\nb\nc\n\n", ["line 4", "empty"]),
        ("val.4.de.gz", b"a1\nb1\nHund l\xe4uft\n", ["line 3", "UTF-8"]),
        ("val_images.txt", b"1.jpg\n2_a.jpg\n3.jpg\n", ["line 2", "2_a.jpg"]),
        ("val_images.txt", b"1.jpg\n2.jpg\n1.jpg\n", ["line 3", "1.jpg"]),
    ],
)
def test_bad_content_is_refused(raw: Path, name: str, content: bytes, parts: list[str]) -> None:
    """Wrong line counts, empty lines, bad UTF-8 and bad image names: file and place are named."""
    put(raw, name, content)
    refused(raw, table_of(raw), ValueError, name, *parts)


def test_image_without_content_words_is_refused(raw: Path) -> None:
    """An image must keep at least one fragment."""
    for k in range(1, 6):
        put(raw, f"test_2016.{k}.de.gz", b"Ein Hund.\nder und die\n")
    refused(raw, table_of(raw), ValueError, str(10**10 + 10), "no content word")


def test_existing_output_is_untouched(raw: Path) -> None:
    """An existing OUT is refused before anything is read."""
    out = raw.parent / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    refused(raw, {}, FileExistsError, "exists; nothing was written")
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_command_line_reports_errors_without_a_traceback(tmp_path: Path) -> None:
    """`--from` an empty folder: exit code 1 and one line on the terminal."""
    app = Typer()
    app.command()(m.main)
    result = CliRunner().invoke(app, [str(tmp_path / "out"), "--from", str(tmp_path)])
    assert result.exit_code == 1 and "train_images.txt" in result.output
    assert "Traceback" not in result.output and not (tmp_path / "out").exists()


def test_stored_table_is_complete() -> None:
    """The checksum table has exactly the files that the script reads."""
    table = m.read_table(ROOT / "data_scripts" / "multi30k.sha256")
    assert sorted(table) == sorted(m.IMAGES + m.TEXTS) and len(table) == 33
    assert all(len(digest) == 64 for digest in table.values())


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real files are not at {REAL}")
def test_real_files(tmp_path: Path, written: dict[str, RawSplit]) -> None:
    """The real files pass all checks; sizes, ids and the first dev image are as known."""
    table = m.read_table(ROOT / "data_scripts" / "multi30k.sha256")
    m.convert(tmp_path / "out", REAL, table, images=500)
    sizes = {name: len(split.image_ids) for name, split in written.items()}
    assert sizes == {"train": 500, "dev": 250, "test": 1000}
    ids = [i for split in written.values() for i in split.image_ids]
    assert len(set(ids)) == len(ids)
    for split in written.values():
        assert all(len(five) == 5 for five in split.captions)
        assert split.counts.min() >= 1 and split.counts.max() <= 36
        assert 15 < split.counts.mean() < 21
    assert written["dev"].image_ids[0] == 1018148011
