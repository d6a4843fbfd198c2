"""How well a model retrieves if every true answer counts, and whether it prefers a true caption to its false twin.

`metrics` knows one right image for each text. Here the right answers are those of `data.scenes.truth`, or of people's
judgements. A tie counts against the model here, too.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.scenes.probes import Probe
from vsrpp_lite.matcher import Encoded, Matcher, evaluating
from vsrpp_lite.training.metrics import check_finite


def judged(scores: Float[np.ndarray, "I T"], true: Bool[np.ndarray, "I T"]) -> dict[str, float]:
    """Return R@1 and mAP@R of text and of image retrieval in per cent, with all true pairs as right answers.

    Queries without any right answer are left out.

    Raises:
        ValueError: a score is NaN or infinite, or nothing is true.
    """
    check_finite(scores, *map(np.arange, scores.shape))
    found = {}
    for direction, of_queries, right in (("i2t", scores, true), ("t2i", scores.T, true.T)):
        asked = right.any(1)
        if not asked.any():
            raise ValueError("no pair is true; expected a right answer for some query at least")
        ordered = best_first(of_queries[asked], right[asked])
        found[f"{direction}_r1"] = 100 * float(ordered[:, 0].mean())
        found[f"{direction}_mAP@R"] = 100 * float(average_precision_at_r(ordered).mean())
    return found


def best_first(scores: Float[np.ndarray, "Q C"], right: Bool[np.ndarray, "Q C"]) -> Bool[np.ndarray, "Q C"]:
    """Return, for each query, whether its candidates are right, from the highest score to the lowest.

    Of candidates with equal scores, the wrong ones come first.

    >>> import numpy as np
    >>> best_first(np.array([[0.1, 0.7, 0.7]]), np.array([[True, True, False]]))
    array([[False,  True,  True]])
    """
    return np.take_along_axis(right, np.lexsort((right, -scores), axis=1), axis=1)


def average_precision_at_r(ordered: Bool[np.ndarray, "Q C"]) -> Float[np.ndarray, " Q"]:
    """Return AP@R of each query: the mean, over its first R places, of the precision at each place that is right.

    R is the number of the query's right answers. So the value is 1 only if all of them stand at the top, and places
    behind the first R count nothing (Musgrave et al., ECCV 2020, section 2.3; used by ECCV Caption, Chun et al. 2022).

    With right answers at places 1 and 3 and a third one at place 5, R is 3: (1/1 + 2/3) / 3 = 5/9.

    >>> import numpy as np
    >>> average_precision_at_r(np.array([[True, False, True, False, True]])) * 9
    array([5.])

    Raises:
        ValueError: a query has no right answer.
    """
    count = ordered.sum(1)
    if not count.all():
        raise ValueError(f"query {int(np.argmin(count))} has no right answer; expected one at least")
    places = np.arange(1, ordered.shape[1] + 1)
    precision = ordered.cumsum(1) / places
    counted = ordered & (places <= count[:, None])
    return (precision * counted).sum(1) / count


def false_negative_share(
    scores: Float[np.ndarray, "I T"], true: Bool[np.ndarray, "I T"], caption_to_image: Int[np.ndarray, " T"]
) -> float:
    """Return how many failures of image retrieval at R@1 are false negatives, in per cent.

    A text query fails if another image scores at least as high as its own. The failure is a false negative if the best
    of these other images is right, too.
    """
    texts = np.arange(scores.shape[1])
    others = scores.copy()
    others[caption_to_image, texts] = -np.inf
    best = others.argmax(0)
    failed = others[best, texts] >= scores[caption_to_image, texts]
    return 100 * float(true[best, texts][failed].mean()) if failed.any() else 0.0


def preferred(matcher: Matcher, dataset: Dataset, probes: Sequence[Probe]) -> Bool[np.ndarray, " P"]:
    """Return for each probe whether the picture's score with the true caption is higher than with the false one."""
    images = matcher.encode_images(dataset)
    texts = matcher.encode_texts([text for probe in probes for text in (probe.right, probe.wrong)])
    higher = np.zeros(len(probes), bool)
    of_probes = np.array([probe.image for probe in probes])
    with evaluating(matcher), torch.no_grad():
        for image in np.unique(of_probes):
            asked = np.flatnonzero(of_probes == image)
            both = torch.from_numpy(np.stack([2 * asked, 2 * asked + 1]).ravel())
            one = Encoded(*(x[image : image + 1] for x in images))
            scores = matcher.similarity(one, Encoded(*(x[both] for x in texts)))[0].numpy(force=True)
            higher[asked] = scores[: len(asked)] > scores[len(asked) :]
    return higher
