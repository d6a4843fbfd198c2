"""What the words of a minimal pair give away: a model of sentences that never sees a picture.

It counts which word follows which two words in the training captions. If three words never stood together there, it
asks which word follows the last one, and takes 0.4 of that share; if that never happened either, it takes 0.16 of the
share of the word among all words. (This is called *stupid backoff*: Brants et al., EMNLP-CoNLL 2007, section 4.) If a
matcher is not better than this model on a kind of minimal pairs, then these pairs do not show that it looks.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool

from vsrpp_lite.data.scenes.probes import Probe
from vsrpp_lite.data.text import tokenize

LONGEST, FACTOR = 3, 0.4
"""Number of words that are counted together, and the factor for each word that is left out."""
_START, _END = "<start>", "<end>"


class WordTriples:
    """The counts of training captions, and the score that they give to a sentence."""

    def __init__(self, captions: Iterable[str]):
        self.runs: Counter[tuple[str, ...]] = Counter()
        """How often each run of one to three words stands in the captions."""
        self.before: Counter[tuple[str, ...]] = Counter()
        """How often each run of none to two words stands before another word."""
        for caption in captions:
            words = _framed(caption)
            for place in range(LONGEST - 1, len(words)):
                for length in range(LONGEST):
                    self.runs[words[place - length : place + 1]] += 1
                    self.before[words[place - length : place]] += 1

    def score(self, caption: str) -> float:
        """Return the sum of the logarithms of the shares of a caption's words and of its end.

        Of three captions, "a dog" twice and "a cat" once, "a cat" has the shares 1, 1/3 and 1:

        >>> round(math.exp(WordTriples(["a dog", "a dog", "a cat"]).score("a cat")), 4)
        0.3333
        """
        words = _framed(caption)
        return sum(math.log(self._share(words, place)) for place in range(LONGEST - 1, len(words)))

    def _share(self, words: tuple[str, ...], place: int) -> float:
        """Return the share of the word at this place after the words before it."""
        for left_out, length in enumerate(reversed(range(LONGEST))):
            if count := self.runs[words[place - length : place + 1]]:
                return FACTOR**left_out * count / self.before[words[place - length : place]]
        return FACTOR ** (LONGEST - 1) / self.before[()]  # a word that no caption has counts as if it had stood once


def preferred_unseen(captions: Iterable[str], probes: Sequence[Probe]) -> Bool[np.ndarray, " P"]:
    """Return for each probe whether the counts of these captions prefer its true caption to its false one."""
    model = WordTriples(captions)
    return np.array([model.score(probe.right) > model.score(probe.wrong) for probe in probes])


def _framed(caption: str) -> tuple[str, ...]:
    return (*[_START] * (LONGEST - 1), *tokenize(caption), _END)
