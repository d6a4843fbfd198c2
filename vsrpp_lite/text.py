"""Words: one tokenizer for every system, a vocabulary from training captions only, token ids cached on disk."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vsrpp_lite.data import atomic

SPECIALS = ("<pad>", "<start>", "<end>", "<unk>")
PAD, START, END, UNK = range(4)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def tokenize(caption: str) -> list[str]:
    """Lower-case words; an apostrophe may stand inside one, other punctuation is dropped.

    >>> tokenize("A dog's red ball, by the sea.")
    ['a', "dog's", 'red', 'ball', 'by', 'the', 'sea']

    Raises:
        TypeError: given bytes. `str(b"a dog")` is `"b'a dog'"`, and its first word would be unknown to any vocabulary.
        ValueError: given a text that such a conversion has already spoiled.
    """
    if not isinstance(caption, str):
        raise TypeError(f"expected a caption as str, found {type(caption).__name__}: decode it as UTF-8 first")
    if caption[:2] in ("b'", 'b"'):
        raise ValueError(f"caption {caption[:20]!r} is bytes turned to text; expected the decoded caption")
    return _WORD.findall(caption.lower())


FUNCTION_WORDS = frozenset(
    tokenize(
        "a about after all along an and another are around as at be been being beside between both but by down each "
        "for from has have he her here him his in inside into is it its near next of off on one onto or other out "
        "outside over she some something standing that the their them there these they this through to together "
        "towards two under up very was what where which while who whose with"
    )
)
"""What holds sentences together: no concepts of a picture, and nothing in it to look at."""


@dataclass(frozen=True)
class Vocabulary:
    """Words in a fixed order: four specials, then by falling count, equal counts by alphabet."""

    words: tuple[str, ...]

    @classmethod
    def build(cls, captions: Iterable[str], min_count: int = 1) -> "Vocabulary":
        """From *training* captions alone; words seen less than `min_count` times become `<unk>`."""
        counts = Counter(word for caption in captions for word in tokenize(caption))
        kept = sorted((word for word, n in counts.items() if n >= min_count), key=lambda word: (-counts[word], word))
        return cls(SPECIALS + tuple(kept))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def index(self) -> dict[str, int]:
        """Word to id."""
        return {word: k for k, word in enumerate(self.words)}

    def encode(self, caption: str) -> np.ndarray:
        """Token ids, int32, between `<start>` and `<end>`."""
        ids = [self.index.get(word, UNK) for word in tokenize(caption)]
        return np.array([START, *ids, END], dtype=np.int32)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of token ids, specials left out."""
        return [self.words[k] for k in ids if k > UNK]

    def encode_all(self, captions: list[str], cache: Path | None = None) -> list[np.ndarray]:
        """Token ids of many captions; with `cache`, a folder, they are kept there and tokenised only once."""
        if cache is None:
            return [self.encode(caption) for caption in captions]
        digest = hashlib.sha256("\n".join([*self.words, "", *captions]).encode()).hexdigest()[:16]
        path = cache / f"tokens-{digest}.npz"
        if not path.exists():
            tokens = [self.encode(caption) for caption in captions]
            cache.mkdir(parents=True, exist_ok=True)
            with atomic(path) as draft:
                np.savez(draft, ids=np.concatenate(tokens), ends=np.cumsum([len(t) for t in tokens]))
        with np.load(path, allow_pickle=False) as stored:
            return np.split(stored["ids"], stored["ends"][:-1])
