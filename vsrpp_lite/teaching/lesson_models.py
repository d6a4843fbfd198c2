"""The trained models of the lessons, which the package carries for readers who do not want to wait for trainings.

`vsrpp-lite lesson-models` copies them from notebooks/models to runs/, where a lesson finds them and trains nothing. On
Colab and Kaggle, the first cell of each notebook calls it. The notebooks of the tables show recorded results instead.
Lessons 4, 8 and 10 and *Add your own system* still train models of their own.
"""

import shutil
from dataclasses import replace
from pathlib import Path

from vsrpp_lite.data.text import VOCABULARY
from vsrpp_lite.files import home, new_folder, notebooks_folder
from vsrpp_lite.paper.tuned import tuned
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training import grid
from vsrpp_lite.training.run_folder import BEST, CONFIG, HISTORY, RESULT, run_folder
from vsrpp_lite.training.runs import Run

CARRIED = (CONFIG, VOCABULARY, HISTORY, BEST, RESULT)
"""The files of a run folder that a lesson reads. Ranks and scores are computed at their first use."""


def models_folder() -> Path:
    """Return the folder of the carried models, notebooks/models."""
    return notebooks_folder() / "models"


def lesson_runs() -> list[Run]:
    """Return the runs that the lessons share: the tuned VSR++, the systems beside it, and VSR++ without its graph."""
    runs = [tuned(system) for system in (VSRpp(mu=2.0), VSEpp(), SCAN(), GVSE(), VSRN())]
    return [*runs, replace(runs[0], sizes=replace(runs[0].settings.sizes, layers=0))]


def record_lesson_models() -> list[Path]:
    """Train the runs of the lessons that are not trained yet, and keep them in notebooks/models in place of others.

    Raises:
        GridError: a training failed; nothing is changed.
        DamagedError: a file of a run is damaged; the models before it are new already.
    """
    runs = lesson_runs()
    list(grid.train(runs))
    kept = [models_folder() / run.folder.name for run in runs]
    for run, target in zip(runs, kept):
        shutil.rmtree(target, ignore_errors=True)
        with new_folder(target) as draft:
            shutil.copytree(run.folder, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
            files = run_folder(draft, run.digest)
            files.check(CARRIED)
            for name in {*files.names} - {*CARRIED}:
                files.remove(name)
            for lock in draft.glob(".*"):
                lock.unlink()
    for old in {*models_folder().iterdir()} - {*kept}:
        shutil.rmtree(old)
    return kept


def take_lesson_models() -> list[Path]:
    """Copy the carried models to runs/, and return their folders there. A run that is there already is left alone.

    Raises:
        FileNotFoundError: this package carries no models.
    """
    places = []
    for model in sorted(models_folder().iterdir()):
        place = home() / "runs" / model.name
        if not place.exists():
            with new_folder(place) as draft:
                shutil.copytree(model, draft, dirs_exist_ok=True)
        places.append(place)
    return places
