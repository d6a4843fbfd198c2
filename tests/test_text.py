"""Words: the tokenizer by hand, a vocabulary from training captions in a fixed order, tokens cached."""

import numpy as np
import pytest

from vsrpp_lite.text import END, START, UNK, Vocabulary, tokenize


def test_words_by_hand():
    assert tokenize("A dog's red ball, by the sea.") == ["a", "dog's", "red", "ball", "by", "the", "sea"]
    assert tokenize("Ein Café – schön!") == ["ein", "café", "schön"]


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


def test_tokens_come_back_from_the_cache_as_int32(tmp_path, monkeypatch):
    captions = ["a dog", "a cat runs far", "!"]
    vocabulary = Vocabulary.build(captions)
    fresh = vocabulary.encode_all(captions, cache=tmp_path)
    monkeypatch.setattr("vsrpp_lite.text.tokenize", lambda _: pytest.fail("tokenised twice"))
    cached = vocabulary.encode_all(captions, cache=tmp_path)
    assert all(tokens.dtype == np.int32 for tokens in cached)
    assert [tokens.tolist() for tokens in cached] == [tokens.tolist() for tokens in fresh]
    assert cached[2].tolist() == [START, END]
