"""Lesson 3 against SCAN as one would first write it: a loop over captions, attended vectors and all."""

import pytest
import torch
from conftest import random_encoded
from torch.nn.functional import leaky_relu, normalize

from vsrpp_lite.local_attention import _pool, attention_map, cross_attention

IMAGES, TEXTS = [4, 6, 3], [5, 7, 5, 2]


def loop(images, texts, direction, pooling, temperature=9.0, lse=6.0):
    """One pair at a time, one query at a time."""
    scores = torch.zeros(len(images.mask), len(texts.mask), dtype=torch.float64)
    for i, t in torch.cartesian_prod(torch.arange(len(images.mask)), torch.arange(len(texts.mask))).tolist():
        regions, words = images.fragments[i, images.mask[i]], texts.fragments[t, texts.mask[t]]
        query, context = (words, regions) if direction == "t2i" else (regions, words)
        clipped = leaky_relu(context @ query.T, 0.1)
        normed = clipped / (clipped.norm(dim=1, keepdim=True) + 1e-8)
        weights = (temperature * normed).softmax(0)
        cosines = []
        for q in range(len(query)):
            attended = sum(weights[k, q] * context[k] for k in range(len(context)))
            cosines.append(query[q] @ attended / (query[q].norm() * attended.norm()))
        cosines = torch.stack(cosines)
        scores[i, t] = {
            "mean": cosines.mean(),
            "sum": cosines.sum(),
            "max": cosines.max(),
            "lse": (lse * cosines).exp().sum().log() / lse,
        }[pooling]
    return scores


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
@pytest.mark.parametrize("pooling", ["mean", "lse", "max", "sum"])
def test_scores_and_gradients_equal_the_loop(direction, pooling):
    images, texts = random_encoded(IMAGES, seed=0), random_encoded(TEXTS, seed=1)
    leaves = [(3 * x.fragments).requires_grad_() for x in (images, texts)]
    images, texts = (
        x._replace(fragments=normalize(leaf, dim=-1)) for x, leaf in zip((images, texts), leaves, strict=True)
    )
    upstream = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = cross_attention(images, texts, direction=direction, pooling=pooling)
    expected = loop(images, texts, direction, pooling)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    gradients = torch.autograd.grad((found * upstream).sum(), leaves, retain_graph=True)
    expected_gradients = torch.autograd.grad((expected * upstream).sum(), leaves)
    for gradient, wanted, mask in zip(gradients, expected_gradients, (images.mask, texts.mask), strict=True):
        torch.testing.assert_close(gradient[mask], wanted[mask], atol=1e-10, rtol=0)


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_padding_and_order_change_nothing(direction):
    images, texts = random_encoded(IMAGES, seed=0), random_encoded(TEXTS, seed=1)
    plain = cross_attention(images, texts, direction=direction)

    def widened(x):
        return torch.cat([x, torch.zeros_like(x[:, :2])], 1) if x.ndim > 1 and x is not images.pooled else x

    wide = images._replace(fragments=widened(images.fragments), mask=widened(images.mask))
    long = texts._replace(fragments=widened(texts.fragments), mask=widened(texts.mask))
    torch.testing.assert_close(cross_attention(wide, long, direction=direction), plain)
    order, turn = torch.tensor([2, 0, 1]), torch.tensor([3, 1, 0, 2])
    shuffled = cross_attention(images.map(lambda x: x[order]), texts.map(lambda x: x[turn]), direction=direction)
    torch.testing.assert_close(shuffled, plain[order][:, turn])


def test_one_region_and_one_word_by_hand():
    image = random_encoded([1], seed=3)
    text = random_encoded([1], seed=4)
    cosine = image.fragments[0, 0] @ text.fragments[0, 0]
    # the only region gets all the attention, and the attended vector is that region
    torch.testing.assert_close(cross_attention(image, text)[0, 0], cosine)


def test_attention_of_a_pair_sums_to_one_over_its_context():
    regions, words = random_encoded([4]).fragments[0], random_encoded([5], seed=1).fragments[0]
    over_regions = attention_map(regions, words, direction="t2i")
    assert over_regions.shape == (5, 4)
    torch.testing.assert_close(over_regions.sum(1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(
        attention_map(regions, words, direction="i2t").sum(0), torch.ones(4, dtype=torch.float64)
    )


def test_no_tensor_grows_with_the_embedding_times_the_pairs(monkeypatch):
    """Attended vectors would hold I x T x W x D numbers; nothing larger than I x R x T x W, or the input, is made."""
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    size = 64
    images, texts = random_encoded([6] * 5, size=size), random_encoded([7] * 8, size=size, seed=1)
    with Watch():
        cross_attention(images, texts)
    assert largest < 5 * 8 * 7 * size / 4
    assert largest >= 5 * 6 * 8 * 7


@pytest.mark.parametrize("direction", ["t2i", "i2t"])
def test_single_precision_bears_a_hot_attention(direction):
    """At 100 a weight can be exp(-200) of another, which float32 cannot hold. One word is the worst case."""
    images, texts = random_encoded([36, 3], seed=0), random_encoded([1, 12], seed=1)
    expected = loop(images, texts, direction, "mean", temperature=100.0)
    images, texts = (x._replace(pooled=x.pooled.float(), fragments=x.fragments.float()) for x in (images, texts))
    found = cross_attention(images, texts, direction=direction, temperature=100.0)
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
    # one region that looks away from the only word
    word = random_encoded([1], dtype=torch.float32)
    region = word._replace(fragments=-word.fragments)
    leaf = region.fragments.clone().requires_grad_()
    away = cross_attention(region._replace(fragments=leaf), word, direction=direction, temperature=100.0)
    torch.testing.assert_close(away, torch.tensor([[-1.0]]))
    assert torch.autograd.grad(away.sum(), leaf)[0].isfinite().all()


def test_an_unknown_pooling_is_refused():
    plain = getattr(_pool, "__wrapped__", _pool)  # without the type checker of these tests
    with pytest.raises(ValueError, match="pooling is 'median'; expected mean, lse, max or sum"):
        plain(torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), "t2i", "median", 6.0)
