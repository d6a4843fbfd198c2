"""What a finished run left in its folder: recalls, history, the matcher, its scores, its ranks."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from vsrpp_lite import evaluate as ev
from vsrpp_lite.data import atomic
from vsrpp_lite.matcher import Matcher, Similarity
from vsrpp_lite.text import Vocabulary

if TYPE_CHECKING:
    from vsrpp_lite.runs import Run


@dataclass(frozen=True)
class Result:
    """What a finished run left in its folder."""

    run: "Run"

    @cached_property
    def recalls(self) -> dict[str, float]:
        """Text (i2t) and image (t2i) retrieval at 1, 5, 10 on the test split, mR and rsum, in percent."""
        return json.loads((self.run.folder / "result.json").read_text())["recalls"]

    @property
    def seconds(self) -> float:
        """Of the training, from its last start."""
        return json.loads((self.run.folder / "result.json").read_text())["seconds"]

    def ranks_file(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> Path:
        """Where `search` keeps what it finds."""
        parts = ["ranks", str(folds or self.run.folds), *(partner.run.digest for partner in partners)]
        return self.run.folder / f"{'-'.join(parts)}.npz"

    def search(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> None:
        """Rank the test split, unless it was done before, in `folds` parts (the run's own number, if not given), by
        the average of this model's scores and its partners', on a GPU, where there is one.

        Raises:
            FileNotFoundError: one of the runs is not trained to its end.
        """
        for result in (self, *partners):
            result._check_done()
        if not self.ranks_file(partners, folds).exists():
            self._rank(partners, folds)

    def contributions(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> np.ndarray:
        """(I, M): what each test image adds to each metric; see `search`."""
        self.search(partners, folds)
        return self._ranked(partners, folds)

    def _rank(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> None:
        test = self.run.dataset("test")
        models = [result._encoded() for result in (self, *partners)]
        images, texts = ev.fold_ranks(models, test.caption_to_image, folds or self.run.folds)
        with atomic(self.ranks_file(partners, folds)) as draft:
            np.savez(draft, images=images, texts=texts, caption_to_image=test.caption_to_image)

    def _ranked(self, partners: "Sequence[Result]" = (), folds: int | None = None) -> np.ndarray:
        with np.load(self.ranks_file(partners, folds), allow_pickle=False) as stored:
            return ev.contributions(stored["images"], stored["texts"], stored["caption_to_image"])

    def _encoded(self, choose: Callable[[Matcher], Similarity] | None = None) -> ev.Encodings:
        matcher = self.matcher().to("cuda" if torch.cuda.is_available() else "cpu")
        return choose(matcher) if choose else matcher.similarity, *matcher.encode(self.run.dataset("test"))

    def _check_done(self) -> None:
        if not self.run.done:  # what is kept of a model that still learns would be taken for the last word
            raise FileNotFoundError(f"{self.run.folder}: not trained to its end; call fit() of the run first")

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: losses per caption and recalls on the dev split."""
        lines = (self.run.folder / "history.jsonl").read_text().splitlines()
        return pd.json_normalize([json.loads(line) for line in lines])

    def matcher(self) -> Matcher:
        """The trained matcher, in evaluation mode."""
        words = json.loads((self.run.folder / "vocabulary.json").read_text())
        matcher = self.run.build(Vocabulary(tuple(words)))
        matcher.load_state_dict(torch.load(self.run.folder / "best.pt", map_location="cpu", weights_only=True))
        return matcher.eval()

    def scores(self, name: str = "own", choose: Callable[[Matcher], Similarity] | None = None) -> np.ndarray:
        """The (I, T) test matrix, under the system's own similarity or the one that `choose` takes from its matcher.

        Kept in the run folder under `name`, since every ensemble and every sweep of mu begins with it.

        Raises:
            FileNotFoundError: the run is not trained to its end.
            ValueError: another similarity is to be kept as the system's own.
        """
        if choose and name == "own":
            raise ValueError("another similarity than the system's own needs a name of its own")
        self._check_done()
        path = self.run.folder / f"scores-{name}.npy"
        if not path.exists():
            with atomic(path) as draft:
                np.save(draft, ev.score(*self._encoded(choose)))
        return np.load(path, allow_pickle=False)
