"""The data and the model of one draw, with which every assignment starts. Students get this file too."""

import vsrpp_lite as vl
from vsrpp_lite.data import scenes
from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.files import home
from vsrpp_lite.matcher import Matcher
from vsrpp_lite.settings import Sizes


def course_run(draw: int) -> vl.Run:
    """Return the run of a small VSR++ on 340 pictures that are drawn with seed `draw`.

    Drawing and training take seconds each. Another draw gives other pictures, other weights and other answers.
    """
    folder = scenes.ensure(home() / "data" / f"course-{draw}", seed=draw, size="tiny")
    sizes = Sizes(embed=64, word=32, caption=32, layers=1)
    training = vl.Training(epochs=12, batch_size=32, learning_rate=6e-3, min_count=1)
    return vl.Run(system=vl.VSRpp(mu=2.0), data=str(folder), sizes=sizes, training=training)


def trained(draw: int) -> tuple[Matcher, Dataset]:
    """Return the matcher and its test split, 100 pictures with 500 captions. The first call trains the matcher."""
    run = course_run(draw)
    return run.fit().matcher(), run.dataset("test")


def practice_split(draw: int) -> Dataset:
    """Return the 1,000 pictures on which the capstone is designed. The matcher of the course has not seen them."""
    return unseen_split(practice_seed(draw))


def practice_seed(draw: int) -> int:
    """Return the seed of `practice_split`."""
    return 1_000_000 + draw


def unseen_split(seed: int) -> Dataset:
    """Return 1,000 pictures of another draw, which the trained matcher has not seen. The first call draws them."""
    folder = home() / "data" / f"course-unseen-{seed}"
    return vl.open_split(scenes.ensure(folder, seed=seed, size="exam"), "test")
