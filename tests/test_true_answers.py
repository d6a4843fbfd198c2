"""R@1 and mAP@R when several answers are right, and choices between a caption and its false twin."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from vsrpp_lite.data.scenes.probes import Probe
from vsrpp_lite.paper.true_answers import average_precision_at_r, best_first, false_negative_share, judged, preferred
from vsrpp_lite.training.ranking import all_scores

SCORES = np.array([[0.9, 0.1, 0.8], [0.2, 0.7, 0.6]])  # two images, three texts
TRUE = np.array([[True, False, True], [False, True, True]])


def test_by_hand():
    """Image 0 ranks texts 0, 2, 1: both of its two are first. Image 1 ranks 1, 2, 0: the same. Each text's first image
    is true of it; text 2 has two right images, and no other."""
    assert judged(SCORES, TRUE) == {"i2t_r1": 100, "t2i_r1": 100, "i2t_mAP@R": 100, "t2i_mAP@R": 100}


def test_a_right_answer_at_the_second_place_of_two():
    """Image 1 now ranks 0, 1, 2, of which 1 and 2 are right: AP@R is (0 + 1/2) / 2 = 1/4, and image 0 has 1."""
    scores = np.array([[0.9, 0.1, 0.8], [0.9, 0.7, 0.6]])
    found = judged(scores, TRUE)
    assert found["i2t_r1"] == 50
    assert found["i2t_mAP@R"] == pytest.approx(100 * (1 + 1 / 4) / 2)


def test_ties_count_against_the_model():
    same = judged(np.zeros((2, 3)), np.array([[True, False, False], [False, True, False]]))
    assert same["i2t_r1"] == same["t2i_r1"] == 0


def test_queries_without_an_answer_are_left_out():
    true = np.array([[True, False, False], [False, False, False]])
    assert judged(SCORES, true)["i2t_r1"] == 100
    with pytest.raises(ValueError, match="no pair is true"):
        judged(SCORES, np.zeros((2, 3), bool))


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="score of image 0 and text 1 is nan"):
        judged(np.array([[1.0, np.nan, 0.0], [0.0, 0.0, 0.0]]), TRUE)


def test_average_precision_counts_the_first_r_places():
    ordered = np.array([[1, 0, 1, 0, 1], [1, 1, 1, 0, 0], [0, 0, 0, 1, 1]], bool)
    np.testing.assert_allclose(average_precision_at_r(ordered), [(1 + 2 / 3) / 3, 1, 0])
    with pytest.raises(ValueError, match="query 1 has no right answer"):
        average_precision_at_r(np.array([[True], [False]]))


def test_the_wrong_ones_of_equal_scores_come_first():
    ordered = best_first(np.array([[0.2, 0.9, 0.9, 0.9]]), np.array([[True, True, False, True]]))
    assert ordered.tolist() == [[False, True, True, True]]


def test_a_failure_whose_answer_is_true_is_counted_apart():
    """Text 2 belongs to image 1, but image 0 scores higher, and it is true of image 0, too. Nothing else fails."""
    assert false_negative_share(SCORES, TRUE, np.array([0, 1, 1])) == 100
    assert false_negative_share(SCORES, np.array([[True, False, False], [False, True, True]]), np.array([0, 1, 1])) == 0
    assert false_negative_share(SCORES, TRUE, np.array([0, 1, 0])) == 0  # no failure at all


def test_a_tie_is_a_failure_whose_other_image_is_asked():
    """Both texts of image 0 have equal scores with both images, and the second text is true of image 1, too."""
    scores, true = np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[True, True], [False, True]])
    assert false_negative_share(scores, true, np.array([0, 0])) == 50


def test_preferred_scores_each_picture_with_its_own_two_captions(toy):
    import vsrpp_lite as vl

    run = vl.Run(system=vl.VSEpp(), data="toy", preset="smoke")
    matcher, test = run.build(), run.dataset("test")
    asked = (*range(20), 4)
    pairs = [Probe("any", image, test.captions_of(image)[0], test.captions_of(19 - image)[1]) for image in asked]
    found = preferred(matcher, test, pairs)
    images = matcher.encode_images(test)
    for number, pair in enumerate(pairs):
        both = matcher.encode_texts([pair.right, pair.wrong])
        right, wrong = vl.score(matcher.similarity, images, both)[pair.image]
        assert found[number] == (right > wrong)
    assert 0 < found.sum() < len(found)


def test_a_similarity_that_drops_numbers_in_training_is_judged_without_dropout(toy):
    import vsrpp_lite as vl

    run = vl.Run(system=vl.VSEpp(), data="toy", preset="smoke")
    matcher, test = run.build(), run.dataset("test")
    matcher.similarity = Dropped()
    pairs = [Probe("any", image, test.captions_of(image)[0], test.captions_of(19 - image)[1]) for image in range(20)]
    matcher.train()
    assert len({tuple(preferred(matcher, test, pairs)) for _ in range(5)}) == 1
    scores = [all_scores(matcher, test, matcher.similarity) for _ in range(2)]
    assert np.array_equal(*scores)
    found = [plt.imread(drawn(vl.show.retrieval(matcher, test, "a dog"))) for _ in range(2)]
    assert np.array_equal(*found)
    assert matcher.training


def test_a_tie_is_no_preference(toy):
    """A similarity that gives all pairs one score knows nothing, so it prefers no caption."""
    import vsrpp_lite as vl

    run = vl.Run(system=vl.VSEpp(), data="toy", preset="smoke")
    matcher, test = run.build(), run.dataset("test")
    matcher.similarity = lambda images, texts: torch.zeros(len(images.pooled), len(texts.pooled))
    pairs = [Probe("any", image, test.captions_of(image)[0], test.captions_of(19 - image)[1]) for image in range(20)]
    assert not preferred(matcher, test, pairs).any()


def drawn(figure):
    file = io.BytesIO()
    figure.savefig(file, dpi=50)
    plt.close(figure)
    return io.BytesIO(file.getvalue())


class Dropped(torch.nn.Module):
    """A cosine of vectors that lose half of their numbers in training."""

    def __init__(self):
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, images, texts):
        return self.drop(images.pooled) @ texts.pooled.T
