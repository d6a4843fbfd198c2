"""Lesson 4: the similarity is the sum that the paper writes."""

import torch
from conftest import SMALL, random_encoded

from vsrpp_lite.data.text import Vocabulary
from vsrpp_lite.fusion import fusion
from vsrpp_lite.global_alignment import cosine
from vsrpp_lite.local_attention import cross_attention
from vsrpp_lite.systems.vsrpp import VSRpp


def test_fusion_is_global_plus_mu_times_local():
    images, texts = random_encoded([3, 4]), random_encoded([5, 2, 5], seed=1)
    for mu in (0.0, 0.5, 2.0):
        expected = cosine(images, texts) + mu * cross_attention(images, texts)
        torch.testing.assert_close(fusion(images, texts, mu=mu), expected)


def test_fusion_at_the_loss_trains_both_and_scores_with_the_global_one():
    matcher = VSRpp(fusion="loss").build(Vocabulary.build(["a dog"]), 4, SMALL)
    assert set(matcher.losses) == {"global", "local", "caption"}
    images, texts = random_encoded([3, 4]), random_encoded([5, 2], seed=1)
    torch.testing.assert_close(matcher.similarity(images, texts), cosine(images, texts))
    torch.testing.assert_close(matcher.losses["local"].similarity(images, texts), cross_attention(images, texts))


def test_one_branch_alone_is_scored_and_trained_with_its_own_similarity():
    images, texts = random_encoded([3, 4]), random_encoded([5, 2], seed=1)
    for branch, similarity in {"global": cosine, "local": cross_attention}.items():
        matcher = VSRpp(fusion=branch).build(Vocabulary.build(["a dog"]), 4, SMALL)
        torch.testing.assert_close(matcher.similarity(images, texts), similarity(images, texts))
        assert set(matcher.losses) == {"ranking", "caption"}
