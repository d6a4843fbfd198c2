"""Released features into the one format: an image once, half precision, captions from either source."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import open_split

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent / "data_scripts" / "released.py"
specification = importlib.util.spec_from_file_location("released", SCRIPT)
released = importlib.util.module_from_spec(specification)
specification.loader.exec_module(released)

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
    out = released.prepare(coco, tmp_path / "data" / "coco")
    verify(out)
    for split, name in (("train", "train"), ("dev", "dev"), ("test", "testall")):
        before, after = open_split(coco, name), open_split(out, split)
        assert after.features.shape == (SIZES[name], 4, 8)
        assert after.features.dtype == np.float16
        np.testing.assert_allclose(after.features, before.features[before.rows], rtol=1e-3, atol=1e-4)
        assert after.captions == before.captions
        assert after.image_ids.tolist() == before.image_ids.tolist()
        assert after.caption_to_image.tolist() == before.caption_to_image.tolist()
    assert not list(out.parent.glob(".*"))  # no scratch is left


@pytest.mark.parametrize("own_captions", [True, False])
def test_captions_of_karpathy_s_json_are_the_first_five(coco, karpathy, tmp_path, own_captions):
    if not own_captions:  # features of one's own need ids alone
        for path in coco.glob("*_caps.txt"):
            path.unlink()
    out = released.prepare(coco, tmp_path / "out", karpathy)
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
    features[4, 1, 2] = 1e6
    np.save(coco / "train_ims.npy", features)
    with pytest.raises(DataError, match=r"train_ims.npy: image 4 has a feature of 1e\+06; expected at most 65504"):
        released.prepare(coco, tmp_path / "out")
    karpathy.write_text("{}")
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
    assert CliRunner().invoke(app, [str(tmp_path / "out")]).exit_code == 2  # --from is needed
