"""Tokenizers, which turn captions into token ids, and the vocabulary, which comes from training captions alone."""

import json
import re
import shutil
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vsrpp_lite.data.document import read_json
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.extras import extra
from vsrpp_lite.files import write_text

SPECIALS = ("<pad>", "<start>", "<end>", "<unk>")
PAD, START, END, UNK = range(4)

VOCABULARY = "vocabulary.json"
"""The file of a tokenizer's words. A tokenizer of word pieces has the folder word_pieces instead."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def tokenize(caption: str) -> list[str]:
    """Return the words of a caption in lower case. A word keeps an apostrophe inside it; other punctuation is dropped.

    A typographic apostrophe counts as a plain one, and é is one letter, however a file writes it (Unicode's NFC).

    >>> tokenize("A dog's red ball, by the sea.")
    ['a', "dog's", 'red', 'ball', 'by', 'the', 'sea']

    Raises:
        TypeError: the caption is bytes. `str(b"a dog")` is `"b'a dog'"`, whose first word no vocabulary knows.
        ValueError: the caption is a text that such a conversion has already spoiled.
    """
    if not isinstance(caption, str):
        raise TypeError(f"expected a caption as str, found {type(caption).__name__}: decode it as UTF-8 first")
    if caption[:2] in ("b'", 'b"'):
        raise ValueError(f"caption {caption[:20]!r} is bytes turned to text; expected the decoded caption")
    return _WORD.findall(unicodedata.normalize("NFC", caption).replace("’", "'").lower())


def has_word(caption: str) -> bool:
    """Tell whether a caption has a word in it."""
    return _WORD.search(caption) is not None


def check_sentence(sentence: str) -> None:
    """Raise ValueError for a sentence without a word, which no matcher can read."""
    if not has_word(sentence):
        raise ValueError(f"the sentence is {sentence!r}; expected at least one word")


FUNCTION_WORDS = frozenset(
    tokenize(
        "a about after all along an and another are around as at be been being beside between both but by down each "
        "for from has have he her here him his in inside into is it its near next of off on one onto or other out "
        "outside over she some something standing that the their them there these they this through to together "
        "towards two under up very was what where which while who whose with"
    )
)
"""Words that connect the others in a sentence. They name nothing that one could point at in a picture."""


class Tokenizer(ABC):
    """Turns captions into token ids and back. It is saved beside the weights of the model that was trained with it."""

    words: tuple[str, ...]
    """The word of each token id."""
    start: int
    """Id of the token that begins every caption."""
    end: int
    """Id of the token that closes every caption."""
    unknown: int
    """Id of the token that replaces words which the training captions did not contain."""

    def __len__(self) -> int:
        return len(self.words)

    @abstractmethod
    def encode(self, caption: str) -> np.ndarray:
        """Return the token ids of a caption, int32, from `start` to `end`."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the file or folder that `load_tokenizer` reads."""

    def encode_all(self, captions: Iterable[str]) -> list[np.ndarray]:
        """Return the token ids of many captions, one array for each."""
        return [self.encode(caption) for caption in captions]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words of token ids, without the tokens for start, end, padding and unknown words."""
        specials = {0, self.start, self.end, self.unknown}
        return [self.words[k] for k in ids if k not in specials]


@dataclass(frozen=True)
class Vocabulary(Tokenizer):
    """Words in a fixed order: four special tokens, then the words by falling count; equal counts are alphabetical."""

    words: tuple[str, ...]
    start = START
    end = END
    unknown = UNK

    @classmethod
    def build(cls, captions: Iterable[str], min_count: int = 1) -> "Vocabulary":
        """Collect the words of *training* captions. Words that occur less than `min_count` times become `<unk>`.

        Raises:
            ValueError: the captions are a single text, whose letters would become words, or no word is frequent enough.
        """
        if isinstance(captions, str):
            raise ValueError(f"the captions are {captions[:20]!r}; expected a list of captions")
        counts = Counter(word for caption in captions for word in tokenize(caption))
        kept = sorted((word for word, n in counts.items() if n >= min_count), key=lambda word: (-counts[word], word))
        if not kept:
            most = max(counts.values(), default=0)
            raise ValueError(f"no word occurs more than {most} times; expected one that occurs {min_count} times")
        return cls(SPECIALS + tuple(kept))

    @cached_property
    def index(self) -> dict[str, int]:
        """Return a dictionary from words to ids."""
        return {word: k for k, word in enumerate(self.words)}

    def encode(self, caption: str) -> np.ndarray:
        """Return the token ids of a caption, int32, from `<start>` to `<end>`."""
        ids = [self.index.get(word, UNK) for word in tokenize(caption)]
        return np.array([START, *ids, END], dtype=np.int32)

    def save(self, folder: Path) -> None:
        """Write `VOCABULARY`, which lists the words in the order of their ids."""
        write_text(folder / VOCABULARY, json.dumps(self.words, ensure_ascii=False, indent=0) + "\n")


class TreebankVocabulary(Vocabulary):
    """A vocabulary of released code, which splits a caption as the Penn Treebank does: a full stop is a word too.

    It needs the extra `vsrpp_lite[released]`.
    """

    def encode(self, caption: str) -> np.ndarray:
        """Return the token ids of a caption, int32, from `<start>` to `<end>`.

        Raises:
            ImportError: nltk is not installed.
        """
        with extra("released"):
            from nltk.tokenize import word_tokenize
        # released code looks for sentences first; captions hold one, and this needs no data of nltk
        words = word_tokenize(caption.lower(), preserve_line=True)
        return np.array([START, *(self.index.get(word, UNK) for word in words), END], dtype=np.int32)

    def save(self, folder: Path) -> None:
        """Write `VOCABULARY`, an object that says how captions are split."""
        content = {"treebank": self.words}
        write_text(folder / VOCABULARY, json.dumps(content, ensure_ascii=False, indent=0) + "\n")


class WordPieces(Tokenizer):
    """A Hugging Face tokenizer from a local folder, for text encoders that have their own, such as BERT.

    It needs the extra `vsrpp_lite[bert]`.

    Args:
        folder: the folder that `save_pretrained` of a tokenizer or of a whole model wrote.

    Raises:
        ImportError: transformers is not installed.
        ValueError: the tokenizer has no token for start, end or unknown words.
    """

    def __init__(self, folder: str | Path):
        with extra("bert"):
            from transformers import AutoTokenizer

        self.folder = Path(folder)
        self.pieces = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        ends = (
            [self.pieces.cls_token_id, self.pieces.bos_token_id],
            [self.pieces.sep_token_id, self.pieces.eos_token_id],
        )
        found = [[k for k in choices if k is not None] for choices in ends]
        if not all(found) or self.pieces.unk_token_id is None:
            raise ValueError(f"{folder}: expected a tokenizer with tokens for start, end and the unknown")
        self.words = tuple(self.pieces.convert_ids_to_tokens(list(range(len(self.pieces)))))
        (self.start, *_), (self.end, *_) = found
        self.unknown = self.pieces.unk_token_id

    def encode(self, caption: str) -> np.ndarray:
        """Return the ids of a caption's word pieces, int32, between the tokens for start and end."""
        pieces = self.pieces(caption, add_special_tokens=False)["input_ids"]
        return np.array([self.start, *pieces, self.end], dtype=np.int32)

    def save(self, folder: Path) -> None:
        """Write the folder word_pieces/, with the config.json of the model that reads the pieces, if there is one."""
        self.pieces.save_pretrained(folder / "word_pieces")
        if (self.folder / "config.json").exists():
            shutil.copy(self.folder / "config.json", folder / "word_pieces")


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer that was saved in this folder.

    Raises:
        DataError: the folder holds no tokenizer, or vocabulary.json is not a list of words that begins with the four
            specials.
    """
    if (folder / "word_pieces").is_dir():
        return WordPieces(folder / "word_pieces")
    path = folder / VOCABULARY
    expected = f"a list of words that begins with {', '.join(SPECIALS)}, or a folder word_pieces"
    words, kind = read_json(path, expected), Vocabulary
    if isinstance(words, dict) and words.keys() == {"treebank"}:
        words, kind = words["treebank"], TreebankVocabulary
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise DataError(f"{path}: expected {expected}")
    if tuple(words[: len(SPECIALS)]) != SPECIALS:
        raise DataError(f"{path}: begins with {words[: len(SPECIALS)]}; expected {expected}")
    return kind(tuple(words))


def hide_rare(tokens: list[np.ndarray], tokenizer: Tokenizer, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Replace a few words of training captions by the unknown word, different ones in every epoch.

    So the model learns what to do with a word that it has never seen. A word that occurs n times is hidden with
    probability a / (n + a), a = 1/4 (Kiperwasser and Goldberg, TACL 2016, section 4). A word that occurs once is hidden
    in one case in five, and a frequent word almost never. Start and end are never hidden.
    """
    ids = np.concatenate(tokens)
    counts = np.bincount(ids, minlength=len(tokenizer))
    draws = np.random.default_rng([seed, epoch, 1]).random(len(ids))
    hidden = (draws < 0.25 / (counts[ids] + 0.25)) & ~np.isin(ids, [tokenizer.start, tokenizer.end])
    ids = np.where(hidden, np.int32(tokenizer.unknown), ids)
    return np.split(ids, np.cumsum([len(t) for t in tokens])[:-1])
