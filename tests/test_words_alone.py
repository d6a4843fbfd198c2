"""A model of sentences that never sees a picture: every share is counted by hand."""

import math

import pytest

from vsrpp_lite.data.scenes.probes import Probe
from vsrpp_lite.paper.words_alone import WordTriples, preferred_unseen

CAPTIONS = ["a red dog.", "a red dog.", "a dog.", "the dog."]


def test_a_sentence_gets_the_product_of_its_shares():
    """ "a" begins 3 of 4 captions, and "red" follows it 2 of 3 times. Then "dog" and the end follow each time."""
    assert math.exp(WordTriples(CAPTIONS).score("A red dog")) == pytest.approx(3 / 4 * 2 / 3)


def test_three_words_that_never_stood_together_give_way_to_two_and_then_to_one():
    """ "the" begins 1 of 4 captions. No caption has "the red", so "red" counts alone: it is 2 of the 14 words and ends,
    times 0.16. No caption has "the red dog", but "red dog" stands 2 of 2 times, times 0.4. Then "red dog" ends 2 of 2.
    """
    expected = 1 / 4 * (0.16 * 2 / 14) * (0.4 * 1) * 1
    assert math.exp(WordTriples(CAPTIONS).score("the red dog")) == pytest.approx(expected)


def test_a_word_that_no_caption_has_counts_as_if_it_had_stood_once():
    """After the unknown word, the end counts alone: it is 4 of the 14, times 0.16."""
    expected = 3 / 4 * (0.16 * 1 / 14) * (0.16 * 4 / 14)
    assert math.exp(WordTriples(CAPTIONS).score("a zebra")) == pytest.approx(expected)


def test_the_likelier_caption_is_preferred_and_a_tie_counts_as_wrong():
    pairs = [
        Probe("another colour", 0, "a red dog.", "a blue dog."),
        Probe("another colour", 0, "a blue dog.", "a red dog."),
        Probe("another colour", 0, "a blue dog.", "a green dog."),
    ]
    assert preferred_unseen(CAPTIONS, pairs).tolist() == [True, False, False]
