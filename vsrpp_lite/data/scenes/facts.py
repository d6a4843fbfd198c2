"""What a caption states: which things with which looks, how they stand to each other, the place and the light.

`read` understands every sentence that `captions` can write, and other sentences of the same words. It looks at the
words alone and knows no picture; `truth` asks whether a picture agrees.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from vsrpp_lite.data.scenes.words import (
    COLOURS,
    COUNTS,
    GARMENTS,
    LIGHT_ADJECTIVES,
    LIGHTS,
    LIGHTS_INDOORS,
    NAMES,
    PATTERNS,
    PICTURES,
    PLACES,
    PLURALS,
    RELATIONS,
    SCENERY,
    SIZES,
    VERBS,
    VIEWS,
)
from vsrpp_lite.data.scenes.world import PEOPLE

Meanings = Mapping[str, frozenset[str]]
"""Expressions, and what each of them can mean: "child" is a girl or a boy."""


@dataclass(frozen=True)
class Mention:
    """Things that a caption names in one phrase, such as "two small red balls". None stands for what it leaves open."""

    kinds: frozenset[str]
    """Kinds that the noun can mean: a child is a girl or a boy."""
    count: int = 1
    """Number of things. The count 1, as in "a ball", means at least one. A count of 2 or more is exact."""
    colour: str | None = None
    size: str | None = None
    pattern: str | None = None
    action: str | None = None
    """What the things do, as an entry of `words.VERBS`: "running", "sits"."""
    start: int = field(default=0, compare=False)
    """Position of the phrase's first word in the caption, from 0."""
    stop: int = field(default=0, compare=False)
    """Position behind the phrase's last word. A verb is not part of the phrase."""


@dataclass(frozen=True)
class Link:
    """A relation between two mentions of a caption, which are given by their numbers from 0."""

    subject: int
    name: str
    object: int
    start: int = field(default=0, compare=False)
    """Position of the relation's first word in the caption."""
    stop: int = field(default=0, compare=False)
    """Position behind the relation's last word. For "held by" and "has ... on it", `start` and `stop` are equal."""


@dataclass(frozen=True)
class Facts:
    """All that a caption states."""

    mentions: tuple[Mention, ...]
    links: tuple[Link, ...] = ()
    places: frozenset[str] | None = None
    """Places that the caption can mean; None if it names none."""
    lights: frozenset[str] | None = None
    """Lights that the caption can mean; None if it names none."""


def read(caption: str) -> Facts:
    """Return what a caption states.

    >>> facts = read("two red balls left of a child at night .")
    >>> facts.mentions[0].count, facts.mentions[0].colour, sorted(facts.mentions[1].kinds)
    (2, 'red', ['boy', 'girl'])
    >>> facts.links == (Link(0, "left of", 1),), sorted(facts.lights)
    (True, ['night'])

    Raises:
        ValueError: a word is unknown, or stands where no such word can stand.
    """
    return _Reader(caption).caption()


# --- the words of `words.py`, by what they mean ---------------------------------------------------------------------


def _meanings(entries: Iterable[tuple[str, str]]) -> Meanings:
    """Return the meanings of each expression, from pairs of an expression and one meaning of it."""
    found: dict[str, set[str]] = {}
    for expression, meaning in entries:
        found.setdefault(expression, set()).add(meaning)
    return {expression: frozenset(meanings) for expression, meanings in found.items()}


def _synonyms(*tables: Mapping[str, Iterable[str]]) -> Meanings:
    return _meanings((word, meaning) for table in tables for meaning, words in table.items() for word in words)


def _plural(word: str) -> str:
    return PLURALS.get(word, word + "s")


_NOUNS = _synonyms(NAMES)
_PLURAL_NOUNS = {_plural(noun): kinds for noun, kinds in _NOUNS.items()}
_COLOURS = _synonyms(COLOURS)
_SIZES = _synonyms(SIZES)
_PATTERNS = _synonyms({pattern: words[:2] for pattern, words in PATTERNS.items()})
_PATTERN_NOUNS = _synonyms({pattern: words[2:] for pattern, words in PATTERNS.items()})
_COUNTS = {"a": 1, "an": 1} | {word: number for number, words in COUNTS.items() for word in words}
_GARMENTS = _synonyms(GARMENTS)
_RELATIONS = _synonyms(RELATIONS)
# words that annotators write for another place, and that are true of the beach, too
_ALSO = {"near the water": ("beach",), "by the shore": ("beach",)}
_PLACES = _synonyms(PLACES, {place: [p for p, also in _ALSO.items() if place in also] for place in PLACES})
_LIGHTS = _synonyms(LIGHTS, LIGHTS_INDOORS)
_SCENERY = _synonyms({place: [noun for _, noun in entries] for place, entries in SCENERY.items()})
_LIGHT_ADJECTIVES = _synonyms(LIGHT_ADJECTIVES)
_PREPOSITIONS = {preposition for entries in SCENERY.values() for preposition, _ in entries}
_VERBS = {verb: verb for verbs in VERBS.values() for verb in verbs}
_VERBS |= {PLURALS.get(verb, verb[:-1]): verb for verb in _VERBS if verb.endswith("s")}
_BE, _WHO = {"is", "are"}, {"that", "which", "who"}
_FILLERS = {
    *VIEWS, "and", "with", "we see", "can be seen", *(f"{picture} of" for picture in PICTURES),
    *(" ".join(words) for words in product(("there",), _BE)),
    *(" ".join(words) for words in product(_BE, ("seen", "shown"))),
    *(" ".join(words) for words in product(_WHO, _BE)),
}  # fmt: skip
_LONGEST = 6  # most words of an expression: "in a room with a bed"


class _Reader:
    """Reads a caption from left to right. At each word, the longest expression that fits is taken."""

    def __init__(self, caption: str) -> None:
        self.text = caption
        self.words = caption.removesuffix(".").lower().split()
        self.position = 0
        self.mentions: list[Mention] = []
        self.links: list[Link] = []
        self.places: frozenset[str] | None = None
        self.lights: frozenset[str] | None = None

    def caption(self) -> Facts:
        """Read everything, or raise ValueError."""
        if not self.words:
            raise ValueError("the caption is empty; expected a sentence about things")
        while self.position < len(self.words):
            if not (self._setting() or self._filler() or self._relation() or self._action() or self._mention()):
                raise self._error("a thing, a relation, a place or a light")
        return Facts(tuple(self.mentions), tuple(self.links), self.places, self.lights)

    def _error(self, expected: str) -> ValueError:
        found = " ".join(self.words[self.position : self.position + 3]) or "the end"
        return ValueError(f"caption {self.text!r}, word {self.position + 1}: found {found!r}; expected {expected}")

    def take(self, expressions: Iterable[str]) -> str | None:
        """Move behind the longest of these expressions that stands here, and return it; else return None."""
        for length in range(_LONGEST, 0, -1):
            expression = " ".join(self.words[self.position : self.position + length])
            if self.position + length <= len(self.words) and expression in expressions:
                self.position += length
                return expression
        return None

    def _filler(self) -> bool:
        return self.take(_FILLERS) is not None

    def _setting(self) -> bool:
        """Read a place or a light: "in a park", "at night", "on a rainy street", "a snowy park"."""
        if place := self.take(_PLACES):
            self.places = _both(self.places, _PLACES[place])
        elif light := self.take(_LIGHTS):
            self.lights = _both(self.lights, _LIGHTS[light])
        else:
            start = self.position
            self.take(_PREPOSITIONS)
            adjective = self.take(_LIGHT_ADJECTIVES) if self.take(("a", "an")) else None
            scenery = self.take(_SCENERY) if adjective else None
            if not (adjective and scenery):
                self.position = start
                return False
            self.places = _both(self.places, _SCENERY[scenery])
            self.lights = _both(self.lights, _LIGHT_ADJECTIVES[adjective])
        return True

    def _relation(self) -> bool:
        """Read a relation of the last mention to the next one, which it may hold or carry, or be held by."""
        start, subject = self.position, len(self.mentions) - 1
        be = self.take(_BE)
        first = self.position
        if relation := self.take(_RELATIONS):
            (name,) = _RELATIONS[relation]
        elif be and self.take(("held by", "carried by")):
            name = "held by"
        elif not be and self.take(("has",)):
            name = "has"
        else:
            self.position = start
            return False
        last = self.position
        if subject < 0:
            self.position = start
            raise self._error("a thing before the relation")
        if not self._mention():
            raise self._error(f"a thing after {' '.join(self.words[start : self.position])!r}")
        other = len(self.mentions) - 1
        if name == "has" and not self.take(("on it",)):
            raise self._error('"on it"')
        back = {"held by": "holding", "has": "on"}
        if name in back:
            self.links.append(Link(other, back[name], subject))
        else:
            self.links.append(Link(subject, name, other, first, last))
        return True

    def _action(self) -> bool:
        """Read what the last mention does: "is running", "sits"."""
        start = self.position
        self.take(_BE)
        verb = self.take(_VERBS)
        if not verb or not self.mentions:
            self.position = start
            return False
        self.mentions[-1] = replace(self.mentions[-1], action=_VERBS[verb])
        return True

    def _mention(self) -> bool:
        """Read a phrase that names things, with the qualities before and after the noun."""
        start, looks = self.position, dict[str, str | None]()
        number = self.take(_COUNTS)
        if not number:
            return False
        while self._quality(looks, size=_SIZES, pattern=_PATTERNS, colour=_COLOURS):
            pass
        nouns = _NOUNS if _COUNTS[number] == 1 else _PLURAL_NOUNS
        noun = self.take(nouns)
        if not noun:
            raise self._error("a noun in the singular" if nouns is _NOUNS else "a noun in the plural")
        kinds = nouns[noun]
        kinds = self._dressed(looks, kinds) if kinds & set(PEOPLE) else self._described(looks, kinds)
        self.mentions.append(Mention(kinds, _COUNTS[number], **looks, start=start, stop=self.position))
        return True

    def _quality(self, looks: dict[str, str | None], **tables: Meanings) -> bool:
        """Read one quality, and keep what it means."""
        for name, table in tables.items():
            if word := self.take(table):
                (looks[name],) = table[word]
                return True
        return False

    def _dressed(self, looks: dict[str, str | None], kinds: frozenset[str]) -> frozenset[str]:
        """Read what a person wears: "in red", "wearing a striped red shirt". A garment can tell a girl from a boy."""
        start = self.position
        if self.take(("in", "dressed in", "clothed in")) and self._quality(looks, colour=_COLOURS):
            return kinds
        self.position, worn = start, dict[str, str | None]()
        if self.take(("in", "wearing", "with", "who wears")) and self.take(("a", "an")):
            while self._quality(worn, pattern=_PATTERNS, colour=_COLOURS):
                pass
            if garment := self.take(_GARMENTS):
                looks |= worn
                return kinds & _GARMENTS[garment]
        self.position = start
        return kinds

    def _described(self, looks: dict[str, str | None], kinds: frozenset[str]) -> frozenset[str]:
        """Read qualities after a noun: "that is red and small", "with stripes", "of red colour"."""
        start = self.position
        if self.take(("with",)) and self._quality(looks, pattern=_PATTERN_NOUNS):
            return kinds
        self.position = start
        if self.take(("of",)) and self._quality(looks, colour=_COLOURS) and self.take(("colour",)):
            return kinds
        self.position = start
        if self.take(_WHO) and self.take(_BE) and self._quality(looks, colour=_COLOURS, size=_SIZES):
            end = self.position
            if not (self.take(("and",)) and self._quality(looks, colour=_COLOURS, size=_SIZES)):
                self.position = end
            return kinds
        self.position = start
        return kinds


def _both(known: frozenset[str] | None, told: frozenset[str]) -> frozenset[str]:
    """Return what can be meant if both phrases are true."""
    return told if known is None else known & told
