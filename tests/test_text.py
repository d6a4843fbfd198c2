"""Words: the tokenizer by hand, a vocabulary from training captions in a fixed order, the unknown word."""

import numpy as np
import pytest

from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.text import END, START, UNK, Vocabulary, hide_rare, load_tokenizer, tokenize


def test_words_by_hand():
    assert tokenize("A dog's red ball, by the sea.") == ["a", "dog's", "red", "ball", "by", "the", "sea"]
    assert tokenize("Ein Café – schön!") == ["ein", "café", "schön"]


def test_two_spellings_of_one_word_are_one_word():
    """A typographic apostrophe, and an accent that a file writes as a letter of its own (NFD)."""
    assert tokenize("a dog’s café") == tokenize("a dog's cafe\u0301") == ["a", "dog's", "café"]


def test_bytes_are_refused_in_both_guises():
    plain = getattr(tokenize, "__wrapped__", tokenize)  # without the tests' own type checker
    with pytest.raises(TypeError, match="expected a caption as str, found bytes"):
        plain(b"a dog")
    with pytest.raises(ValueError, match="bytes turned to text"):
        tokenize(str(b"a dog"))


def test_order_is_by_count_then_alphabet_whatever_the_order_of_captions():
    captions = ["a cat", "a dog", "a dog runs", "zebra a"]
    words = Vocabulary.build(captions).words
    assert words == ("<pad>", "<start>", "<end>", "<unk>", "a", "dog", "cat", "runs", "zebra")
    assert Vocabulary.build(captions[::-1]).words == words


def test_rare_words_are_unknown():
    vocabulary = Vocabulary.build(["a dog", "a dog", "a cat"], min_count=2)
    assert vocabulary.encode("a cat").tolist() == [START, vocabulary.index["a"], UNK, END]
    assert vocabulary.decode(vocabulary.encode("a dog")) == ["a", "dog"]


def test_tokens_are_int32_and_a_caption_of_no_words_is_its_two_ends():
    tokens = Vocabulary.build(["a dog", "a cat runs far"]).encode_all(["a dog", "!"])
    assert all(ids.dtype == np.int32 for ids in tokens)
    assert tokens[1].tolist() == [START, END]


def test_a_vocabulary_is_saved_and_read_again(tmp_path):
    vocabulary = Vocabulary.build(["ein Café", "a dog"])
    vocabulary.save(tmp_path)
    assert load_tokenizer(tmp_path) == vocabulary
    (tmp_path / "vocabulary.json").write_text('["a", "dog"]')
    with pytest.raises(DataError, match=r"vocabulary\.json: begins with \['a', 'dog'\]; expected a list of words"):
        load_tokenizer(tmp_path)
    with pytest.raises(DataError, match=r"vocabulary\.json: missing; expected a list of words"):
        load_tokenizer(tmp_path / "elsewhere")


def test_training_shows_the_unknown_word_where_words_are_rare():
    """ "dog" occurs 1,000 times and is hidden in one of 4,001 cases; each of 1,000 other words in one of five."""
    captions = [f"dog word{k}" for k in range(1000)]
    vocabulary = Vocabulary.build(captions)
    tokens = vocabulary.encode_all(captions)
    shown = hide_rare(tokens, vocabulary, seed=0, epoch=0)
    hidden = np.array([ids == UNK for ids in shown])
    assert not hidden[:, [0, 3]].any()  # start and end
    assert hidden[:, 1].sum() <= 3
    assert hidden[:, 2].mean() == pytest.approx(0.2, abs=0.04)
    assert all(ids[k] in (UNK, real[k]) for ids, real in zip(shown, tokens) for k in range(4))
    again, other = (hide_rare(tokens, vocabulary, seed=0, epoch=epoch) for epoch in (0, 1))
    assert np.array_equal(again, shown)
    assert not np.array_equal(other, shown)
    assert not any((ids == UNK).any() for ids in tokens)  # the captions themselves stay as they are


def test_no_end_of_a_caption_is_hidden_however_rare_ends_are():
    """One caption: each of its tokens occurs once, and would be hidden in one epoch of five."""
    vocabulary = Vocabulary.build(["dog"])
    tokens = vocabulary.encode_all(["dog"])
    shown = np.concatenate([hide_rare(tokens, vocabulary, seed=0, epoch=epoch) for epoch in range(500)])
    assert shown[:, 0].tolist() == [START] * 500
    assert shown[:, 2].tolist() == [END] * 500
    assert (shown[:, 1] == UNK).mean() == pytest.approx(0.2, abs=0.05)
