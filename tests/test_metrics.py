"""Ranks and recalls by eye, ties against us, folds, averages of two models."""

from functools import partial

import numpy as np
import pytest
import torch
from conftest import SMALL, encodings, random_encoded

from vsrpp_lite.fusion import fusion
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.matcher import Encoded
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.training import metrics, ranking
from vsrpp_lite.training.runs import Run

# four images, two captions each
WHERE = np.array([0, 0, 1, 1, 2, 2, 3, 3])
SCORES = np.array(
    [
        [0.9, 0.1, 0.8, 0.2, 0.3, 0.1, 0.0, 0.1],  # own best .9: nobody before it            rank 1
        [0.7, 0.6, 0.5, 0.3, 0.4, 0.2, 0.1, 0.0],  # own best .5: .7 and .6 before it         rank 3
        [0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4],  # constant: all six wrong ones count       rank 7
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.0],  # own best .6 ties with a wrong .6         rank 2
    ]
)


def test_ranks_by_eye():
    images, texts = metrics.ranks(SCORES, WHERE)
    assert images.tolist() == [1, 3, 7, 2]
    # column by column: .9 first; .1 behind .6 .4 .2; .5 behind .8; .3 behind .4 .4; .4 behind .5 and a tied .4; ...
    assert texts.tolist() == [1, 4, 2, 3, 3, 2, 1, 4]


def test_recalls_by_eye():
    found = metrics.recalls(*metrics.ranks(SCORES, WHERE), WHERE)
    assert found["i2t_r1"] == 25.0  # one image of four
    assert found["i2t_r5"] == 75.0
    assert found["t2i_r1"] == 25.0  # two texts of eight
    assert found["t2i_r5"] == 100.0
    assert found["rsum"] == pytest.approx(25 + 75 + 100 + 25 + 100 + 100)
    assert found["mR"] == pytest.approx(found["rsum"] / 6)


def test_a_constant_scorer_is_at_chance_or_below():
    where = np.repeat(np.arange(20), 5)
    found = metrics.recalls(*metrics.ranks(np.zeros((20, 100)), where), where)
    assert found["i2t_r1"] == 0  # chance is 5
    assert found["t2i_r10"] == 0  # chance is 50


def test_ranks_equal_a_sort_where_nothing_ties():
    rng = np.random.default_rng(0)
    where = rng.permutation(np.concatenate([np.arange(9), rng.integers(0, 9, 14)]))  # ragged numbers of captions
    scores = rng.random((9, 23))
    images, texts = metrics.ranks(scores, where)
    for image in range(9):
        order = where[np.argsort(-scores[image])]
        assert images[image] == 1 + np.flatnonzero(order == image)[0]
    for text in range(23):
        assert texts[text] == 1 + np.flatnonzero(np.argsort(-scores[:, text]) == where[text])[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_numbers_are_refused(bad):
    scores = SCORES.copy()
    scores[2, 3] = bad
    with pytest.raises(ValueError, match=f"image 2 and text 3 is {bad}"):
        metrics.ranks(scores, WHERE)


def test_an_image_without_caption_is_refused():
    with pytest.raises(ValueError, match="image 1 has no caption"):
        metrics.ranks(np.eye(2), np.array([0, 0]))


@pytest.mark.parametrize("affinities", [1, 37, 10**9])
def test_pieces_equal_the_whole(affinities, monkeypatch):
    monkeypatch.setattr(metrics, "AFFINITIES", affinities)
    images, texts = random_encoded([3, 5, 4] * 3), random_encoded([4, 2, 6, 4, 3] * 4, seed=1)
    similarity = lambda i, t: fusion(i, t, mu=2.0)  # noqa: E731
    whole = similarity(images, texts).float().numpy()
    np.testing.assert_allclose(metrics.score(similarity, images, texts), whole, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_ranks_do_not_depend_on_the_pieces_of_texts(seed, monkeypatch):
    """Pieces of three texts; the captions of an image stand anywhere, and some are equal."""
    monkeypatch.setattr(ranking, "PIECE", 3)
    rng = np.random.default_rng(seed)
    where = rng.permutation(np.concatenate([np.arange(9), rng.integers(0, 9, 14)]))
    images, texts = random_encoded([3, 2, 4] * 3, seed=seed), random_encoded(rng.integers(2, 6, 23).tolist(), seed=9)
    texts = texts.map(lambda x: x[[0, 0, *range(2, 23)]])  # two captions are the same, and tie
    similarity = partial(fusion, mu=2.0)
    of_pieces = ranking.fold_ranks([encodings(images, texts, similarity)], where)
    whole = metrics.ranks(similarity(images, texts).numpy(), where)
    assert of_pieces[0].tolist() == whole[0].tolist()
    assert of_pieces[1].tolist() == whole[1].tolist()


def test_a_score_that_is_no_number_is_named_by_its_places_in_the_split():
    images, texts = random_encoded([1] * 6), random_encoded([1] * 6, seed=1)
    texts.pooled[4] = np.nan
    with pytest.raises(ValueError, match="score of image 3 and text 4 is nan"):
        ranking.fold_ranks([encodings(images, texts)], np.arange(6), folds=2)


def test_folds_are_means_over_consecutive_images():
    texts = random_encoded([2] * 24, seed=1)
    images = Encoded(
        *(x[::2] + 0.2 * y for x, y in zip(texts[:2], random_encoded([2] * 12)[:2], strict=True)), texts.mask[::2]
    )
    where = np.repeat(np.arange(12), 2)
    joined = metrics.recalls(*ranking.fold_ranks([encodings(images, texts)], where, folds=3), where)
    whole = cosine(images, texts).numpy()
    each = [
        metrics.recalls(
            *metrics.ranks(whole[4 * k : 4 * k + 4, 8 * k : 8 * k + 8], np.repeat(np.arange(4), 2)),
            np.repeat(np.arange(4), 2),
        )
        for k in range(3)
    ]
    for metric in metrics.METRICS:
        assert joined[metric] == pytest.approx(np.mean([fold[metric] for fold in each]))
    with pytest.raises(ValueError, match="12 images with 24 captions do not divide into 5"):
        ranking.fold_ranks([encodings(images, texts)], where, folds=5)


def test_contributions_average_to_the_recalls():
    rng = np.random.default_rng(1)
    where = np.sort(np.concatenate([np.arange(30), rng.integers(0, 30, 70)]))
    ranks = metrics.ranks(rng.random((30, 100)), where)
    means = metrics.contributions(*ranks, where).mean(0)
    assert means[0] == pytest.approx(100 * (ranks[0] <= 1).mean())
    assert means[5] == pytest.approx(100 * (ranks[1] <= 10).mean())


def test_the_scores_of_two_models_are_averaged_piece_by_piece(monkeypatch):
    monkeypatch.setattr(ranking, "PIECE", 3)
    pairs = [(random_encoded([2] * 4, seed=k), random_encoded([3, 2, 4, 3, 2], seed=9 + k)) for k in (0, 1)]
    found = ranking.mean_scores([encodings(*pair) for pair in pairs], slice(1, 3), np.array([4, 0, 2]))
    whole = np.mean([cosine(*pair).numpy() for pair in pairs], axis=0)
    np.testing.assert_allclose(found, whole[np.ix_([1, 2], [4, 0, 2])], atol=1e-6)


@pytest.mark.parametrize("turn", [lambda x: x.T, lambda x: x[None], lambda x: x[:, 0]])
def test_a_similarity_of_another_shape_is_refused(turn):
    images = Encoded(torch.rand(5, 4), torch.rand(5, 2, 4), torch.ones(5, 2, dtype=torch.bool))
    texts = Encoded(torch.rand(3, 4), torch.rand(3, 2, 4), torch.ones(3, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"5 images and 3 texts has shape .*; expected \(5, 3\)"):
        metrics.score(lambda i, t: turn(i.pooled @ t.pooled.T), images, texts)


def test_evaluation_leaves_the_mode_of_the_model(toy):
    run = Run(system=VSRN(), data=str(toy), sizes=SMALL)
    matcher = run.build().train()
    before = matcher.images.read.norm.running_mean.clone()
    ranking.evaluate(matcher, run.dataset("test"))
    assert matcher.training
    assert torch.equal(matcher.images.read.norm.running_mean, before)


def test_no_texts_have_no_scores():
    images, texts = (Encoded(torch.ones(n, 4), torch.ones(n, 1, 4), torch.ones(n, 1, dtype=torch.bool)) for n in (3, 0))
    assert metrics.score(cosine, images, texts).shape == (3, 0)


class Dropping(torch.nn.Module):
    """A similarity that drops half of the image's numbers while it trains."""

    def __init__(self):
        super().__init__()
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, images, texts):
        return self.dropout(images.pooled) @ texts.pooled.T


def test_a_similarity_with_dropout_is_scored_in_evaluation_mode_and_trains_on_afterwards(toy):
    run = Run(system=VSEpp(), data=str(toy), sizes=SMALL)
    matcher, dev = run.build().train(), run.dataset("dev")
    plain = ranking.evaluate(matcher, dev)
    matcher.similarity = Dropping().train()
    torch.manual_seed(0)
    assert [ranking.evaluate(matcher, dev) for _ in range(2)] == [plain, plain]
    assert matcher.training and matcher.similarity.training and matcher.similarity.dropout.training
    matcher.eval()
    ranking.evaluate(matcher, dev)
    assert not matcher.training and not matcher.similarity.training


def test_a_split_is_encoded_alike_in_both_modes_and_the_mode_stays(toy):
    """VSRN normalises over the batch while it trains; a picture must not depend on which others are encoded with it."""
    run = Run(system=VSRN(), data=str(toy), sizes=SMALL)
    matcher, dev = run.build(), run.dataset("dev")
    evaluated = matcher.eval().encode(dev)
    assert not matcher.training
    training = matcher.train().encode(dev)
    assert matcher.training
    for one, other in zip(evaluated, training, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))
