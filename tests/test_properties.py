"""What holds of any input, tried on many that hypothesis draws; the same ones in every run."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import encodings, random_encoded
from hypothesis import given, settings
from hypothesis import strategies as st

from vsrpp_lite.data.manifest import verify
from vsrpp_lite.data.precomp import open_split
from vsrpp_lite.data.write import RawSplit, write_dataset
from vsrpp_lite.global_alignment import cosine, hinge, ranking_loss
from vsrpp_lite.info_nce import info_nce
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.matcher import Encoded
from vsrpp_lite.training import metrics, significance
from vsrpp_lite.training.ranking import fold_ranks

tried = settings(derandomize=True, deadline=None, max_examples=60, database=None)
seeds = st.integers(0, 2**32 - 1)
lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@st.composite
def retrieval(draw):
    """Scores of few values, so that many tie, and which image each text belongs to: every image has a text."""
    images, more, values = draw(st.integers(1, 6)), draw(st.integers(0, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(seeds))
    where = rng.permutation(np.concatenate([np.arange(images), rng.integers(0, images, more)]))
    return rng.integers(0, values, (images, len(where))) / 4, where


def place_of_the_first(right, scores):
    """Sorted by falling score, wrong ones before right ones where they tie: where does the first right one stand?"""
    in_order = sorted(zip(-scores, right, strict=True))
    return 1 + [is_right for _, is_right in in_order].index(True)


@tried
@given(retrieval())
def test_ranks_and_recalls_are_those_of_a_sort_in_which_ties_count_against_us(drawn):
    scores, where = drawn
    image_ranks, text_ranks = metrics.ranks(scores, where)
    images = np.arange(len(scores))
    assert image_ranks.tolist() == [place_of_the_first(where == image, scores[image]) for image in images]
    assert text_ranks.tolist() == [place_of_the_first(images == where[t], scores[:, t]) for t in range(len(where))]
    found = metrics.recalls(image_ranks, text_ranks, where)
    for direction, of_direction in (("i2t", image_ranks), ("t2i", text_ranks)):
        for cut in (1, 5, 10):
            hits = sum(rank <= cut for rank in of_direction)
            assert found[f"{direction}_r{cut}"] == pytest.approx(100 * hits / len(of_direction))
    assert found["rsum"] == pytest.approx(6 * found["mR"])


@tried
@given(retrieval(), seeds)
def test_recalls_do_not_ask_in_which_order_images_and_texts_stand(drawn, seed):
    scores, where = drawn
    rng = np.random.default_rng(seed)
    images, texts = rng.permutation(len(scores)), rng.permutation(len(where))
    back = np.argsort(images)  # where each image stands now
    turned = metrics.ranks(scores[images][:, texts], back[where[texts]])
    plain = metrics.ranks(scores, where)
    assert turned[0].tolist() == plain[0][images].tolist()
    assert turned[1].tolist() == plain[1][texts].tolist()
    assert metrics.recalls(*turned, back[where[texts]]) == pytest.approx(metrics.recalls(*plain, where))


@tried
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), seeds)
def test_folds_joined_are_the_folds_apart(folds, size, captions, seed):
    images = random_encoded([1] * folds * size, seed=seed % 2**31)
    texts = random_encoded([1] * folds * size * captions, seed=seed // 2)
    where = np.random.default_rng(seed).permutation(np.repeat(np.arange(size), captions))
    where = np.concatenate([where + size * fold for fold in range(folds)])
    joined = fold_ranks([encodings(images, texts)], where, folds)
    scores = cosine(images, texts).float().numpy()
    means = []
    for fold in range(folds):
        rows, columns = np.arange(fold * size, (fold + 1) * size), np.flatnonzero(where // size == fold)
        apart = metrics.ranks(scores[np.ix_(rows, columns)], where[columns] - fold * size)
        assert joined[0][rows].tolist() == apart[0].tolist()
        assert joined[1][columns].tolist() == apart[1].tolist()
        means.append(list(metrics.recalls(*apart, where[columns] - fold * size).values()))
    assert list(metrics.recalls(*joined, where).values()) == pytest.approx(np.mean(means, 0).tolist())


def widened(x, by):
    return torch.cat([x, x.new_zeros(len(x), by, *x.shape[2:])], 1)


@tried
@given(
    lengths,
    lengths,
    st.sampled_from(["t2i", "i2t"]),
    st.sampled_from(["mean", "lse", "max", "sum"]),
    st.integers(0, 3),
    st.integers(0, 3),
    seeds,
)
def test_cross_attention_sees_neither_padding_nor_order(regions, words, direction, pooling, rows, columns, seed):
    images, texts = random_encoded(regions, seed=seed), random_encoded(words, seed=seed + 1)
    choices = {"direction": direction, "pooling": pooling}
    plain = cross_attention(images, texts, **choices)
    wide = Encoded(images.pooled, widened(images.fragments, rows), widened(images.mask, rows))
    long = Encoded(texts.pooled, widened(texts.fragments, columns), widened(texts.mask, columns))
    torch.testing.assert_close(cross_attention(wide, long, **choices), plain, atol=1e-10, rtol=0)
    rng = np.random.default_rng(seed)
    order, turn = (torch.from_numpy(rng.permutation(len(x))) for x in (regions, words))
    turned = cross_attention(images.map(lambda x: x[order]), texts.map(lambda x: x[turn]), **choices)
    torch.testing.assert_close(turned, plain[order][:, turn], atol=1e-10, rtol=0)
    # the order of the regions within an image does not matter, either
    inside = Encoded(images.pooled, images.fragments.clone(), images.mask)
    for row, length in enumerate(regions):
        inside.fragments[row, :length] = inside.fragments[row, torch.from_numpy(rng.permutation(length))]
    torch.testing.assert_close(cross_attention(inside, texts, **choices), plain, atol=1e-10, rtol=0)


@st.composite
def batch(draw):
    """Scores (N, N) of N pairs, and the image of each pair; some images stand twice."""
    pairs = draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(seeds))
    ids = torch.from_numpy(rng.integers(0, draw(st.integers(1, 7)), pairs))
    return torch.from_numpy(rng.uniform(-1, 1, (pairs, pairs))), ids


@tried
@given(batch(), st.booleans(), st.floats(0, 1), st.integers(0, 3), seeds)
def test_ranking_losses_see_neither_order_nor_what_is_no_negative(drawn, hardest, margin, more, seed):
    scores, ids = drawn
    positives, negatives = torch.arange(len(ids)), ids[:, None] != ids
    rng = np.random.default_rng(seed)
    order = torch.from_numpy(rng.permutation(len(ids)))
    back = order.argsort()
    turned, turned_negatives = scores[:, order], negatives[:, order]  # candidates in another order
    strangers = torch.from_numpy(rng.uniform(-9, 9, (len(ids), more)))  # and others, which are no negatives
    wide = torch.cat([turned, strangers], 1)
    wide_negatives = torch.cat([turned_negatives, torch.zeros(strangers.shape, dtype=torch.bool)], 1)
    plain = hinge(scores, positives, negatives, margin=margin, hardest=hardest)
    found = hinge(wide, back, wide_negatives, margin=margin, hardest=hardest)
    torch.testing.assert_close(found, plain)
    assert (plain >= 0).all()
    torch.testing.assert_close(info_nce(wide, back, wide_negatives, 5.0), info_nce(scores, positives, negatives, 5.0))
    assert (info_nce(scores, positives, negatives, 5.0) >= 0).all()

    choices = {"margin": margin, "hardest": hardest}
    both = scores[order][:, order]  # whole pairs in another order
    whole = ranking_loss(scores, ids, **choices)
    torch.testing.assert_close(ranking_loss(both, ids[order], **choices), whole)
    torch.testing.assert_close(ranking_loss(scores.T, ids, **choices), whole)  # both directions
    assert ranking_loss(scores, ids, margin=margin, hardest=True) <= (
        ranking_loss(scores, ids, margin=margin, hardest=False) + 1e-12
    )


words = st.text(st.characters(categories=["L", "N"], include_characters=" ,.'"), min_size=1, max_size=12)
sentences = words.map(str.strip).filter(lambda text: text and text[:2] != "b'")


@st.composite
def split(draw):
    """A split of any numbers: regions, features, captions an image, with or without masks and boxes."""
    captions = draw(st.lists(st.lists(sentences, min_size=1, max_size=3), min_size=1, max_size=5))
    images, regions, size = len(captions), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(seeds))
    kind = draw(st.sampled_from([np.float16, np.float32]))
    corners = np.sort(rng.random((images, regions, 2, 2), dtype=np.float32), 2)  # left before right, top before bottom
    boxes = corners.reshape(images, regions, 4)
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=images, max_size=images, unique=True))
    return RawSplit(
        features=rng.normal(size=(images, regions, size)).astype(kind),
        captions=captions,
        image_ids=ids,
        counts=rng.integers(1, regions + 1, images) if draw(st.booleans()) else None,
        boxes=boxes if draw(st.booleans()) else None,
    )


@settings(tried, max_examples=40)
@given(split())
def test_what_is_written_is_what_is_read(raw):
    images = len(raw.captions)
    with tempfile.TemporaryDirectory() as folder:
        path = write_dataset(Path(folder) / "any", name="any", source="tests", splits={"dev": raw})
        verify(path)
        found = open_split(path, "dev")
        assert len(found) == images
        assert found.image_ids.tolist() == raw.image_ids
        assert [found.captions_of(image) for image in range(images)] == raw.captions
        counts = [raw.features.shape[1]] * images if raw.counts is None else raw.counts.tolist()
        regions, mask = found.regions(np.arange(images))
        assert mask.sum(1).tolist() == counts
        np.testing.assert_array_equal(regions.numpy(), raw.features.astype(np.float32))
        for image, example in enumerate(found):
            assert example.captions == raw.captions[image]
            np.testing.assert_array_equal(example.regions, raw.features[image, : counts[image]])
            if raw.boxes is None:
                assert example.boxes is None
            else:
                np.testing.assert_array_equal(example.boxes, raw.boxes[image, : counts[image]])


@tried
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_makes_a_p_smaller(p_values):
    adjusted = significance.holm(p_values)
    assert len(adjusted) == len(p_values)
    for plain, after in zip(p_values, adjusted, strict=True):
        assert plain - 1e-11 <= after <= 1
        assert after <= min(1, len(p_values) * plain) + 1e-11 or any(other < plain for other in p_values)
    by_plain = [after for _, after in sorted(zip(p_values, adjusted, strict=True))]
    assert by_plain == sorted(by_plain)
