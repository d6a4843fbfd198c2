"""Released features into the one format: an image once, half precision, captions from either source."""

import json
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import open_split

pytestmark = pytest.mark.slow

sys.path.insert(0, str(Path(__file__).parent.parent / "data_scripts"))
import released
import sources
from kaggle_server import served

SIZES = {"train": 6, "dev": 3, "test": 2, "testall": 4}  # images


@pytest.fixture
def coco(tmp_path):
    """As COCO is released: train an image a row, the others a caption a row; `test` is the beginning of `testall`."""
    rng, folder = np.random.default_rng(0), tmp_path / "coco_precomp"
    folder.mkdir()
    first = {"train": 100, "dev": 200, "test": 300, "testall": 300}
    for split, size in SIZES.items():
        ids = np.arange(first[split], first[split] + size)
        features = rng.standard_normal((size, 4, 8), dtype=np.float32)
        times = 1 if split == "train" else 5
        np.save(folder / f"{split}_ims.npy", features.repeat(times, axis=0))
        (folder / f"{split}_ids.txt").write_text("".join(f"{i}\n" for i in ids.repeat(times)))
        captions = [f"a picture of {i} told {k}\n" for i in ids for k in range(5)]
        (folder / f"{split}_caps.txt").write_text("".join(captions))
    return folder


@pytest.fixture
def karpathy(tmp_path):
    """A json of the same images, six sentences each, one of them over two lines."""
    images = [
        {
            "imgid": i - 100,
            "cocoid": i,
            "split": "restval" if i == 103 else {1: "train", 2: "val", 3: "test"}[i // 100],
            "sentences": [{"raw": f"Karpathy's {i},\n number {k} "} for k in range(6)],
        }
        for i in [*range(100, 106), *range(200, 203), *range(300, 304)]
    ]
    path = tmp_path / "dataset_coco.json"
    path.write_text(json.dumps({"images": images, "dataset": "coco"}))
    return path


def test_an_image_is_kept_once_and_testall_is_the_test(coco, tmp_path):
    out = tmp_path / "data" / "coco"
    released.prepare(coco, out)
    verify(out)
    for split, name in (("train", "train"), ("dev", "dev"), ("test", "testall")):
        before, after = open_split(coco, name), open_split(out, split)
        assert after.features.shape == (SIZES[name], 4, 8)
        assert after.features.dtype == np.float16
        np.testing.assert_allclose(after.features, before.features[before.rows], rtol=1e-3, atol=1e-4)
        assert after.captions == before.captions
        assert after.image_ids.tolist() == before.image_ids.tolist()
        assert after.caption_to_image.tolist() == before.caption_to_image.tolist()
    assert [path.name for path in out.parent.iterdir()] == ["coco"]  # neither scratch nor parts are left


@pytest.mark.parametrize("own_captions", [True, False])
def test_captions_of_karpathy_s_json_are_the_first_five(coco, karpathy, tmp_path, own_captions):
    if not own_captions:  # features of one's own need ids alone
        for path in coco.glob("*_caps.txt"):
            path.unlink()
    out = tmp_path / "out"
    released.prepare(coco, out, karpathy)
    for split, first in (("train", 100), ("dev", 200), ("test", 300)):
        dataset = open_split(out, split)
        assert dataset.captions_of(1) == [f"Karpathy's {first + 1}, number {k}" for k in range(5)]
        assert len(dataset.captions) == 5 * len(dataset)


def test_what_cannot_be_is_named_and_nothing_is_written(coco, karpathy, tmp_path):
    wrong = coco / "dev_ids.txt"
    ids = wrong.read_text()
    for found, where in (("999", "nowhere"), ("105", "train")):
        wrong.write_text(ids.replace("201", found))
        with pytest.raises(DataError, match=rf"dev_ids.txt: line 6, image {found} is in {where} of Karpathy's json"):
            released.prepare(coco, tmp_path / "out", karpathy)
    wrong.write_text(ids)
    features = np.load(coco / "train_ims.npy")
    features[4, 1, 2] = 7e4
    np.save(coco / "train_ims.npy", features)
    with pytest.raises(DataError, match=r"train_ims.npy: image 4 has a feature of 70000; expected at most 65504"):
        released.prepare(coco, tmp_path / "out")
    for content in ({}, {"images": ["a"]}, {"images": [{"imgid": 1, "split": "val", "sentences": [{"raw": None}]}]}):
        karpathy.write_text(json.dumps(content))
        with pytest.raises(DataError, match="not a Karpathy json"):
            released.prepare(coco, tmp_path / "out", karpathy)
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_is_wrong_in_a_line(coco, tmp_path):
    app = Typer()
    app.command()(released.main)
    (coco / "dev_caps.txt").unlink()
    found = CliRunner().invoke(app, [str(tmp_path / "out"), "--from", str(coco)])
    assert found.exit_code == 1
    assert "dev_caps.txt: missing" in found.output
    found = CliRunner().invoke(app, [str(tmp_path / "out"), "--from", str(tmp_path / "elsewhere")])
    assert found.exit_code == 1
    assert "elsewhere: missing; expected a folder, a zip or tar archive, or the word kaggle" in found.output


def files(folder):
    """All that a folder holds, but for its name in the manifest and for where it comes from."""
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    return content | {"manifest.json": json.loads(content["manifest.json"])["sha256"]}


@pytest.fixture
def release(coco, tmp_path):
    """A release of two data sets with equal names of files, in folders of their own."""
    folder = tmp_path / "release"
    shutil.copytree(coco, folder / "data" / "coco_precomp")
    shutil.copytree(coco, folder / "data" / "f30k_precomp", ignore=shutil.ignore_patterns("testall*"))
    return folder


@pytest.fixture
def expected(coco, tmp_path):
    """The data folder that every source must give."""
    released.prepare(coco, tmp_path / "expected" / "coco")
    return files(tmp_path / "expected" / "coco")


def zipped(folder, archive):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in folder.rglob("*"):
            opened.write(path, path.relative_to(folder))


def tarred(folder, archive, mode):
    with tarfile.open(archive, mode) as opened:
        opened.add(folder, arcname=".")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_a_folder_and_archives_give_the_same(release, expected, tmp_path, kind):
    source = release
    if kind == "zip":
        source = tmp_path / "data.zip"
        zipped(release, source)
    elif kind != "folder":
        source = tmp_path / f"data.{kind}"
        tarred(release, source, "w:gz" if kind == "tar.gz" else "w")
    released.prepare(source, tmp_path / "data" / "coco")
    assert files(tmp_path / "data" / "coco") == expected
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["coco"]


def test_paths_may_be_relative(release, expected, tmp_path, monkeypatch):
    zipped(release, tmp_path / "data.zip")
    monkeypatch.chdir(tmp_path)
    for source in (Path("data.zip"), Path("release")):
        released.prepare(source, Path(f"of {source}") / "coco")
        assert files(Path(f"of {source}") / "coco") == expected


def test_paths_that_leave_an_archive_are_not_followed(release, tmp_path):
    """The name of the file alone is used, within the place of the work."""
    source = tmp_path / "data.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for path in (release / "data" / "coco_precomp").iterdir():
            archive.write(path, f"../../{path.name}")
    released.prepare(source, tmp_path / "below" / "data" / "coco")
    assert not list(tmp_path.glob("*.npy"))
    assert not list((tmp_path / "below").glob("*.npy"))


def test_an_archive_that_was_mended_is_unpacked_again(release, expected, tmp_path):
    """The first one lacks a caption. What was unpacked of it is no part of the second one."""
    source, captions = tmp_path / "data.zip", release / "data" / "coco_precomp" / "train_caps.txt"
    whole = captions.read_text()
    captions.write_text(whole.partition("\n")[2])
    zipped(release, source)
    with pytest.raises(DataError, match=r"train_caps\.txt"):
        released.prepare(source, tmp_path / "data" / "coco")
    captions.write_text(whole)
    zipped(release, source)
    released.prepare(source, tmp_path / "data" / "coco")
    assert files(tmp_path / "data" / "coco") == expected


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_was_not_downloaded_to_its_end_is_named(release, tmp_path, kind):
    source = tmp_path / f"data.{kind}"
    zipped(release, source) if kind == "zip" else tarred(release, source, "w:gz")
    source.write_bytes(source.read_bytes()[: -source.stat().st_size // 2])
    with pytest.raises(DataError, match=r"data\.(zip|tar\.gz): (neither a zip|its files cannot be listed)"):
        released.prepare(source, tmp_path / "coco")


def test_a_broken_archive_is_named(release, tmp_path):
    (tmp_path / "no.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"no\.zip: neither a zip nor a tar archive"):
        released.prepare(tmp_path / "no.zip", tmp_path / "coco")
    source = tmp_path / "data.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for path in (release / "data" / "coco_precomp").iterdir():
            archive.write(path, path.name)
    content = bytearray(source.read_bytes())
    content[len(content) // 4] ^= 1
    source.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.zip: .*cannot be unpacked"):
        released.prepare(source, tmp_path / "coco")


def test_kaggle_s_files_are_found_by_name_fetched_one_by_one_and_removed(release, expected, tmp_path):
    with served(release) as kaggle:
        said = released.prepare("kaggle", tmp_path / "data" / "coco")
    assert files(tmp_path / "data" / "coco") == expected
    assert kaggle.asked == [
        f"data/coco_precomp/{split}_{kind} from 0"
        for split in ("train", "dev", "testall")
        for kind in ("ims.npy", "ids.txt", "caps.txt")
    ]
    assert said[0] == "train: 6 images, 30 captions"
    assert "train has 6 images; the release has 113,287" in said
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["coco"]


def test_a_download_that_breaks_off_is_resumed(release, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("kagglehub.clients.CHUNK_SIZE", 64)  # it keeps whole chunks, of a megabyte
    with served(release) as kaggle:
        kaggle.broken = 1
        with pytest.raises(DataError, match=r"train_ims\.npy could not be fetched .*call again to go on"):
            released.prepare("kaggle", tmp_path / "data" / "coco")
        released.prepare("kaggle", tmp_path / "data" / "coco")
    half = (release / "data" / "coco_precomp" / "train_ims.npy").stat().st_size // 2
    assert f"data/coco_precomp/train_ims.npy from {half // 64 * 64}" in kaggle.asked
    assert files(tmp_path / "data" / "coco") == expected


def test_what_is_converted_is_not_fetched_again(release, tmp_path, monkeypatch):
    convert = released.convert

    def stops(source, paths, split, *more):
        if split == "testall":
            raise KeyboardInterrupt
        convert(source, paths, split, *more)

    with served(release) as kaggle:
        with monkeypatch.context() as patch:
            patch.setattr(released, "convert", stops)
            with pytest.raises(KeyboardInterrupt):
                released.prepare("kaggle", tmp_path / "coco")
        assert not list((tmp_path / "coco.parts").rglob("dev_ims.npy.part"))
        assert not (tmp_path / "coco.parts" / "downloads" / "dev_ims.npy").exists()
        kaggle.asked.clear()
        released.prepare("kaggle", tmp_path / "coco", keep=True)
    assert {name.split("/")[-1].split("_")[0] for name in kaggle.asked} == {"testall"}
    kept = {path.name for path in (tmp_path / "coco.downloads").rglob("*") if path.is_file()}
    assert "testall_ims.npy" in kept


def test_where_kaggle_is_out_of_reach_that_is_said(release, tmp_path):
    with served(release) as kaggle:
        kaggle.folder = release / "nothing"
        with pytest.raises(
            DataError, match=r"train_ims\.npy: missing in kaggle\.com/datasets/kuanghueilee/scan-features"
        ):
            released.prepare("kaggle", tmp_path / "coco")
        kaggle.do_POST = lambda self: self.send_error(503)
        with pytest.raises(DataError, match=r"its files could not be listed .*or a copy of the release with FROM="):
            released.prepare("kaggle", tmp_path / "coco")


def test_two_files_of_one_name_need_a_hint(release, tmp_path):
    with pytest.raises(DataError, match=r"train_ims\.npy: found data/coco_precomp/train_ims\.npy, data/f30k_precomp/"):
        released.prepare(release, tmp_path / "mine")


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(release, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with served(release) as kaggle, pytest.raises(OSError, match=r"0\.0 are free: expected a larger disk"):
        released.prepare("kaggle", tmp_path / "coco")
    assert kaggle.asked == []


@pytest.mark.parametrize(("dtype", "share"), [("float16", 1), ("float32", 2)])
def test_float32_takes_half_of_its_size_and_float16_all_of_it(tmp_path, monkeypatch, dtype, share):
    np.save(tmp_path / "train_ims.npy", np.zeros((50, 4, 8), dtype=dtype))
    size = (tmp_path / "train_ims.npy").stat().st_size
    arguments = sources.Folder(tmp_path), {"train": ("", {"ims.npy": "train_ims.npy"})}, [], tmp_path
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size // share))
    released.check_disk(*arguments, keep=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size // share - 1))
    with pytest.raises(OSError, match="expected a larger disk"):
        released.check_disk(*arguments, keep=False)


def test_downloads_that_stay_need_room_for_all_of_them(tmp_path, monkeypatch):
    """Splits of 600 and 400 bytes in float32: half of 1,000 is written, and 600 or all 1,000 are kept beside it."""
    source = SimpleNamespace(writes=True, paths={"train_ims.npy": 600, "dev_ims.npy": 400})
    located = {split: (split, {"ims.npy": f"{split}_ims.npy"}) for split in ("train", "dev")}
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1100))
    released.check_disk(source, located, [], tmp_path, keep=False)
    with pytest.raises(OSError, match="expected a larger disk"):
        released.check_disk(source, located, [], tmp_path, keep=True)


def test_the_release_is_known_by_its_sizes_and_first_captions(tmp_path):
    def raw(count, caption):
        return released.RawSplit(features=np.zeros(0), captions=[[caption]] * count, image_ids=list(range(count)))

    right = {
        "dev": raw(1014, "A group of people stand in the back of a truck filled with cotton ."),
        "test": raw(1000, "the man with pierced ears is wearing glasses and an orange hat"),
    }
    assert released.compared(tmp_path / "f30k", right) == []
    assert released.compared(tmp_path / "f30k", {"test": raw(999, "a dog")}) == [
        "test has 999 images; the release has 1,000",
        "test begins 'a dog'; the release begins 'The man with pierced ears is wearing glasses and an orange h'",
    ]
    assert released.compared(tmp_path / "mine", {"test": raw(9, "a dog")}) == []
