"""Models leave the house: exported, loaded where the data are not, and an eighth system goes the whole way."""

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
import torch
from conftest import SMALL
from eighth import Eighth

import vsrpp_lite as vl
from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.sealed_folder import DamagedError
from vsrpp_lite.settings import Training
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN, VARIANTS
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import train as machine
from vsrpp_lite.training.identity import identity, rebuild
from vsrpp_lite.training.models import card
from vsrpp_lite.training.ranking import all_scores
from vsrpp_lite.training.run_folder import run_folder

pytestmark = pytest.mark.slow

SHORT = Training(epochs=2, batch_size=20, learning_rate=0.01, min_count=1)


@pytest.fixture
def run(toy):
    return vl.Run(system=VSRpp(), data=str(toy), sizes=SMALL, training=SHORT)


@pytest.mark.parametrize("system", [VSEpp(), SCO(), VARIANTS["i2t LSE"], vl.GVSE(), SAEM(), VSRN(), VSRpp()], ids=repr)
def test_an_exported_model_scores_to_the_last_digit_without_its_data(run, system, tmp_path):
    result = replace(run, system=system).fit()
    scores, test = result.scores(), run.dataset("test")
    exported = result.export(tmp_path / "exported")
    assert {path.name for path in exported.iterdir()} == {
        "README.md",
        "checksums.json",
        "config.json",
        "model.safetensors",
        "vocabulary.json",
    }
    for path in exported.iterdir():  # an export is for others, and this folder is its author's
        assert str(run.data_folder).encode() not in path.read_bytes(), path
    kept = test[:], test.features.copy()
    moved = replace(kept[0], features=kept[1])
    shutil.rmtree(run.data_folder)
    shutil.rmtree(result.run.folder)
    matcher = vl.load(exported)
    assert not matcher.training
    assert np.array_equal(all_scores(matcher, moved, matcher.similarity), scores)


def test_the_model_card_has_the_measured_recalls(run, tmp_path):
    result = run.fit()
    card = (result.export(tmp_path / "exported") / "README.md").read_text()
    for metric, value in result.recalls.items():
        assert f"| {metric} | {value:.1f} |" in card
    assert "VSRpp(mu=2.0" in card
    assert f"| split `test` of `toy`, {len(run.dataset('test'))} images | per cent |" in card
    assert 'vl.load("the folder of this file")' in card
    assert len({path.stat().st_mode for path in (tmp_path / "exported").iterdir() if path.is_file()}) == 1


@pytest.mark.parametrize(
    ("module", "name", "way"),
    [
        ("vsrpp_lite.systems.vsepp", "VSEpp", None),
        ("my_gpo", "GPO", "from my_gpo import GPO"),
        ("__main__", "GPO", "# first define the class GPO"),
        ("my_gpo", "Outer.GPO", "# first define the class Outer.GPO"),
    ],
)
def test_the_card_says_where_the_class_of_an_own_system_comes_from(module, name, way):
    about = {"system": {"module": module, "name": name, "choices": {}}, "feature_size": 12}
    code = card(about, {}).split("```")[1]
    assert way is None or way in code
    assert f'vl.load("the folder of this file"{f", {name}" if way else ""})' in code
    assert "import __main__" not in code and "from __main__" not in code


def test_the_folder_of_a_run_loads_too_once_it_is_done(run):
    result = run.fit()
    matcher = vl.load(run.folder)
    assert np.array_equal(all_scores(matcher, run.dataset("test"), matcher.similarity), result.scores())
    half_way = run_folder(run.folder.with_name("half-way"))
    half_way.write_text("config.json", (run.folder / "config.json").read_text())
    half_way.write_text("vocabulary.json", (run.folder / "vocabulary.json").read_text())
    for name in ("best.pt", "last.pt"):
        with half_way.write(name) as draft:
            shutil.copy(run.folder / name, draft)
    with pytest.raises(FileNotFoundError, match="not trained to its end"):
        vl.load(half_way.folder)
    for name in ("best.pt", "last.pt"):  # stopped in its first epoch
        half_way.remove(name)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: missing; expected .* trained to its end"):
        vl.load(half_way.folder)
    with pytest.raises(FileNotFoundError, match=r"config\.json: missing; expected an exported model"):
        vl.load(run.folder.parent)


def test_a_run_gives_its_best_weights_and_not_its_last(run, monkeypatch):
    """Of two epochs whose rsum on dev is told beforehand, the first is the better one."""
    told = iter([200.0, 100.0])
    monkeypatch.setattr(machine, "evaluate", lambda *_: {"rsum": next(told)})
    given = run.fit(accelerator="cpu").matcher().state_dict()
    best, last = (torch.load(run.folder / name, weights_only=True) for name in ("best.pt", "last.pt"))
    assert all(torch.equal(given[name], x) for name, x in best.items())
    assert not all(torch.equal(given[name], x) for name, x in last["model"].items())


def test_what_is_there_already_is_not_written_over(run, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="taken exists; nothing was written"):
        run.fit().export(tmp_path / "taken")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["thesis.txt"]


def test_weights_of_another_system_are_refused(run, tmp_path):
    exported = run.fit().export(tmp_path / "exported")
    config = json.loads((exported / "config.json").read_text())
    config["sizes"]["embed"] = 12
    (exported / "config.json").write_text(json.dumps(config))
    with pytest.raises(DamagedError, match=r"config\.json: found sha256"):
        vl.load(exported)
    (exported / "checksums.json").unlink()
    with pytest.raises(ValueError, match=r"model\.safetensors: expected weights of VSRpp with the sizes"):
        vl.load(exported)


def test_a_system_is_rebuilt_from_what_describes_it_or_refused_by_name():
    assert rebuild(json.loads(json.dumps(identity(VSRpp(mu=0.5))))) == VSRpp(mu=0.5)
    with pytest.raises(ValueError, match=r"the class VSRpq of .*vsrpp is not here .*vl.load\(folder, VSRpq\)"):
        rebuild(identity(VSRpp()) | {"name": "VSRpq"})
    with pytest.raises(ValueError, match=r"pathlib\.Path'> is no System"):
        rebuild(identity(VSRpp()) | {"module": "pathlib", "name": "Path"})
    with pytest.raises(ValueError, match="VSRpp has version 1; expected 7, as it was trained"):
        rebuild(identity(VSRpp()) | {"version": 7})
    for other, told in ((SCAN, "SCAN has other choices"), (int, "int'> is no System")):
        with pytest.raises(ValueError, match=rf"{told}.*expected VSRpp of vsrpp_lite\.systems\.vsrpp"):
            rebuild(identity(VSRpp()), other)


@dataclass(frozen=True, kw_only=True)
class Own(VSEpp):
    """A system of another module, with choices that JSON writes in another way, or cannot write."""

    ways: tuple[int, ...] = (1, 2)
    rate: Optional[float] = None  # noqa: UP045  # the older spelling of `float | None`
    kind: type = int


def test_choices_come_back_as_they_were_or_are_refused_when_the_run_is_described():
    kept = Own(kind=int, ways=[3.0, 4], rate=2)
    assert (kept.ways, kept.rate) == ((3, 4), 2.0) and isinstance(kept.rate, float)
    for wrong in ({"ways": 3}, {"ways": ["x"]}, {"rate": "fast"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}.* is "):
            Own(**wrong)
    with pytest.raises(ValueError, match=r"Own\(.*cannot be made again from its fields \(.*type"):
        identity(kept)


def test_a_system_whose_fields_do_not_make_it_is_refused_before_it_is_trained(toy):
    class Configured(VSEpp):
        def __init__(self, width: int):
            super().__init__()
            object.__setattr__(self, "width", width)

    with pytest.raises(ValueError, match="cannot be made again from its fields"):
        vl.Run(system=Configured(3), data=str(toy)).digest  # noqa: B018


def test_an_edited_build_of_a_class_from_outside_is_another_system():
    @dataclass(frozen=True, kw_only=True)
    class Edited(VSEpp):
        def build(self, tokenizer, feature_size, sizes):
            return super().build(tokenizer, feature_size, sizes)

    before = identity(Edited())
    Edited.build = lambda self, tokenizer, feature_size, sizes: None
    assert before != identity(Edited())
    assert "code" not in identity(VSEpp())


def test_a_system_whose_code_has_changed_since_the_training_says_so(caplog):
    @dataclass(frozen=True, kw_only=True)
    class Edited(VSEpp):
        def build(self, tokenizer, feature_size, sizes):
            return super().build(tokenizer, feature_size, sizes)

    before = identity(Edited())
    assert rebuild(before, Edited) == Edited() and not caplog.records
    Edited.build = lambda self, tokenizer, feature_size, sizes: None
    rebuild(before, Edited)
    assert "has other code than when the model was trained" in caplog.text


def _own(tokenizer, similarity):
    """Return a class from outside of the package with these two methods."""
    return dataclass(frozen=True, kw_only=True)(
        type("Own", (VSEpp,), {"__module__": "mine", "tokenizer": tokenizer, "similarity": property(similarity)})
    )


def test_an_edited_method_or_property_is_another_system_and_another_docstring_is_not():
    def tokenizer(self, captions, min_count):
        """Take every word."""
        return Vocabulary.build(captions, 1)

    def retold(self, captions, min_count):
        """Take all the words."""
        return Vocabulary.build(captions, 1)

    def edited(self, captions, min_count):
        """Take every word."""
        return Vocabulary.build(captions, 2)

    first = identity(_own(tokenizer, lambda self: 1)())
    assert identity(_own(retold, lambda self: 1)()) == first
    assert identity(_own(edited, lambda self: 1)()) != first
    assert identity(_own(tokenizer, lambda self: 2)()) != first


def test_an_edit_counts_under_a_decorator_and_in_a_default_too():
    """The identity is that of a method, and not that of the function that a decorator puts around it."""

    def one(self, captions, min_count, least=1):
        return Vocabulary.build(captions, 1)

    def other(self, captions, min_count, least=1):
        return Vocabulary.build(captions, 2)

    def with_default(self, captions, min_count, least=2):
        return Vocabulary.build(captions, 1)

    def with_keyword(self, captions, min_count, *, least=1):
        return Vocabulary.build(captions, 1)

    def with_other_keyword(self, captions, min_count, *, least=2):
        return Vocabulary.build(captions, 1)

    for before, after in ((one, other), (one, with_default), (with_keyword, with_other_keyword)):
        for decorated in (lambda method: method, torch.no_grad(), functools.cache):
            first, second = (identity(_own(decorated(method), lambda self: 1)()) for method in (before, after))
            assert first != second
            assert first == identity(_own(decorated(before), lambda self: 1)())


def test_through_the_hubs_own_mixin_and_a_local_folder(run, tmp_path):
    hub = pytest.importorskip("vsrpp_lite.hub")
    result = run.fit()
    model = hub.HubModel(result.export(tmp_path / "exported"))
    model.save_pretrained(tmp_path / "saved")
    with pytest.raises(ValueError, match="exported: the model lies there already; expected another folder"):
        model.save_pretrained(tmp_path / "exported")  # the mixin would delete config.json first
    matcher = hub.HubModel.from_pretrained(tmp_path / "saved").matcher()
    assert np.array_equal(all_scores(matcher, run.dataset("test"), matcher.similarity), result.scores())


@pytest.mark.filterwarnings("ignore")  # torch and Fabric announce deprecations to one another
def test_an_eighth_system_from_outside_is_trained_exported_and_loaded_elsewhere(toy, tmp_path):
    """One file, eighth.py: on one process and on two, and then by a program that has neither the data nor the run."""
    one = vl.Run(system=Eighth(), data=str(toy), sizes=replace(SMALL, embed=32), training=replace(SHORT, epochs=8))
    result = one.fit(accelerator="cpu")
    two = replace(one, seed=1).fit(devices=2, accelerator="cpu", strategy="ddp_fork")
    for trained in (result, two):
        matcher = trained.matcher()
        assert not torch.equal(matcher.similarity.matrix, torch.eye(32))  # the similarity was learned,
        assert matcher.losses["ranking"].inverse_temperature.item() != pytest.approx(
            10, abs=1e-3
        )  # the temperature too
        assert trained.recalls["rsum"] > 200
    exported = result.export(tmp_path / "exported")
    test = one.dataset("test")
    np.save(tmp_path / "regions.npy", test.features[test.rows])
    np.save(tmp_path / "mask.npy", test.mask)
    (tmp_path / "captions.json").write_text(json.dumps(test.captions))
    program = """if True:
        import json, numpy as np, torch
        import vsrpp_lite as vl
        matcher = vl.load("exported")
        with torch.no_grad():
            images = matcher.images(torch.from_numpy(np.load("regions.npy")), torch.from_numpy(np.load("mask.npy")))
        scores = vl.score(matcher.similarity, images, matcher.encode_texts(json.load(open("captions.json"))))
        np.save("scores.npy", scores)
    """
    elsewhere = os.environ | {"VSRPP_HOME": str(tmp_path / "empty"), "PYTHONPATH": _path_of_eighth()}
    subprocess.run([sys.executable, "-c", program], cwd=exported.parent, env=elsewhere, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), result.scores(), atol=1e-6)


def _path_of_eighth():
    here = str(Path(__file__).parent)
    return os.pathsep.join([here, os.environ["PYTHONPATH"]]) if "PYTHONPATH" in os.environ else here
