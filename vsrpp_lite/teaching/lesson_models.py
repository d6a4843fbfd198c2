"""The trained models of the lessons, which the package carries for readers who do not want to wait for trainings.

`vsrpp-lite lesson-models` puts them from notebooks/models into runs/, where a lesson finds them and trains nothing. On
Colab and Kaggle, the first cell of each notebook calls it. The notebooks of the tables show recorded results instead.
Lessons 4, 8 and 10 and *Add your own system* still train models of their own.

The pictures are drawn on the reader's machine, and other processors round the features of some regions otherwise. So a
run has another digest there. A model is taken all the same if a sample of the regions is close to that of the machine
that trained it.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.text import VOCABULARY
from vsrpp_lite.files import notebooks_folder, scratch
from vsrpp_lite.paper.tuned import tuned
from vsrpp_lite.sealed_folder import LOCK, SealedFolder
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import grid
from vsrpp_lite.training.run_folder import BEST, CONFIG, HISTORY, RESULT, forget, run_folder
from vsrpp_lite.training.runs import Run

CARRIED = (CONFIG, VOCABULARY, HISTORY, BEST, RESULT)
"""The files of a run folder that a lesson reads, the last one last. Ranks and scores are computed at first use."""
SAMPLE = "regions.npy"
"""The regions of the first pictures of the dev split, as the models were trained on them."""
PICTURES, APART = 8, 0.02
"""Number of pictures in the sample, and the largest difference of a feature that counts as rounding."""


def models_folder() -> Path:
    """Return the folder of the carried models, notebooks/models."""
    return notebooks_folder() / "models"


def lesson_runs() -> dict[str, Run]:
    """Return the runs that the lessons share by name: five tuned systems, and VSR++ without its graph."""
    systems = {"vsrpp": VSRpp(mu=2.0), "vsepp": VSEpp(), "scan": SCAN(), "gvse": GVSE(), "vsrn": VSRN()}
    runs = {name: tuned(system) for name, system in systems.items()}
    whole = runs["vsrpp"]
    return runs | {"vsrpp-without-graph": replace(whole, sizes=replace(whole.settings.sizes, layers=0))}


def record_lesson_models() -> list[Path]:
    """Train the runs of the lessons that are not trained yet, and keep them in notebooks/models in place of others.

    Raises:
        GridError: a training failed; nothing is changed.
        DamagedError: a file of a run is damaged; nothing is changed.
    """
    runs = lesson_runs()
    list(grid.train(runs.values()))
    with scratch(notebooks_folder()) as drafts:
        draft = drafts / "models"
        for name, run in runs.items():
            _copy(run.files, run_folder(draft / name, run.digest), (run.folder / CONFIG).read_text(encoding="utf-8"))
            (draft / name / LOCK).unlink()
        np.save(draft / SAMPLE, _sample(runs["vsrpp"]))
        shutil.rmtree(models_folder(), ignore_errors=True)
        draft.rename(models_folder())
    return [models_folder() / name for name in runs]


def take_lesson_models() -> list[Path]:
    """Put the carried models into runs/, and return their folders there. A run that is trained already is left alone.

    It draws the pictures of `scenes` if they are not there yet. If another process trains such a run, it waits.

    Raises:
        DataError: the regions that this machine draws are other ones than those of the models.
        ValueError: the lessons have other settings now than the carried models.
        DamagedError: a carried model is damaged.
    """
    runs = lesson_runs()
    carried = {name: run_folder(models_folder() / name) for name in runs}
    for name, run in runs.items():
        carried[name].check(CARRIED)
        _check_settings(carried[name], run)
    _check_regions(runs["vsrpp"])
    for name, run in runs.items():
        run.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(run.folder / ".lock"):  # a training holds it, too
            if not run.files.has(RESULT):
                forget(run.files)
                here = run.config(run.dataset("train").feature_size)  # with the fingerprint of the data as drawn here
                _copy(carried[name], run.files, json.dumps(here, indent=2))
    return [run.folder for run in runs.values()]


def _check_settings(carried: SealedFolder, run: Run) -> None:
    """Refuse a carried model if a lesson would train another one. The bytes of the data may differ."""
    config, content = carried.read_json(CONFIG), json.loads(json.dumps(run.content))
    for key in content.keys() - {"data"}:
        if config[key] != content[key]:
            told = f"was trained with {key} = {config[key]}; the lessons have {content[key]} now"
            raise ValueError(f"{carried.folder}: its model {told}")


def _check_regions(run: Run) -> None:
    """Refuse the carried models if they could not read the regions that this machine has drawn."""
    with (models_folder() / SAMPLE).open("rb") as file:
        recorded, here = np.load(file, allow_pickle=False), _sample(run)
    if recorded.shape != here.shape or np.abs(recorded - here).max() > APART:
        raise DataError(
            f"{run.data_folder}: its regions are other ones than those of the carried models, perhaps since another "
            "library computed them. So the lessons train models of their own; nothing was taken"
        )


def _sample(run: Run) -> np.ndarray:
    """Return the regions of the first pictures of the dev split, float32."""
    return np.asarray(run.dataset("dev").features[:PICTURES], dtype=np.float32)


def _copy(source: SealedFolder, target: SealedFolder, config: str) -> None:
    """Copy the carried files from one folder of a run to another, with another config.json."""
    for name in CARRIED:
        with target.write(name) as draft, source.open(name) as file:
            draft.write_bytes(config.encode() if name == CONFIG else file.read())
