"""Search in two stages: the global similarity proposes candidates, and the full similarity chooses among them.

`search.Index` does this with an index of faiss. Here is what it costs, and what it finds, if all scores are known.
"""

import numpy as np
from jaxtyping import Float, Int


def multiplications(entries: int, candidates: int, *, embed: int, regions: float, words: float) -> tuple[float, float]:
    """Return the multiplications of one query by a full scan, and in two stages.

    A global similarity of D numbers takes D multiplications. The local similarity compares every region with every
    word, and weights every region (or word) by the result: 2 R W D, as in SCAN's code. (`local_attention` weights no
    vectors: it needs R W D, and R^2 W or W^2 R for its Gram matrices, which an index can store.) Two stages compute
    the global part of every entry, and both parts of the candidates.

    >>> multiplications(1000, 50, embed=2, regions=3, words=5)
    (62000, 5100)
    """
    both = embed + 2 * regions * words * embed
    return entries * both, entries * embed + candidates * both


def two_stage(
    first: Float[np.ndarray, "I T"], whole: Float[np.ndarray, "I T"], candidates: int
) -> Int[np.ndarray, " T"]:
    """Return the image that two stages find for each text: of the `candidates` best by `first`, the best by `whole`.

    Of images with equal scores, either may be found.

    >>> import numpy as np
    >>> first, whole = np.array([[0.9], [0.5], [0.4]]), np.array([[0.1], [0.6], [0.8]])
    >>> [two_stage(first, whole, candidates).tolist() for candidates in (1, 2, 3)]
    [[0], [1], [2]]

    Raises:
        ValueError: there are no candidates.
    """
    if candidates < 1:
        raise ValueError(f"candidates is {candidates}; expected at least 1")
    chosen = np.argpartition(-first, min(candidates, len(first)) - 1, axis=0)[:candidates]
    best = np.take_along_axis(whole, chosen, axis=0).argmax(0)
    return chosen[best, np.arange(first.shape[1])]
