"""Minimal pairs: a caption that is true of a picture, and the same caption with one edit that makes it false.

A matcher that reads the edited detail scores the true caption higher; one that does not read it is right half of the
time. Every kind of edit asks about one ability. The idea is that of FOIL (Shekhar et al., ACL 2017) and of Winoground
(Thrush et al., CVPR 2022), whose pairs people wrote and checked. Here `truth.holds` checks every pair.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.scenes.facts import Facts, read
from vsrpp_lite.data.scenes.phrases import article
from vsrpp_lite.data.scenes.truth import fits, holds, scenes
from vsrpp_lite.data.scenes.words import COLOURS, COUNTS, LIGHT_ADJECTIVES, LIGHTS, LIGHTS_INDOORS, NAMES, RELATIONS
from vsrpp_lite.data.scenes.world import PEOPLE, WIDTH, Scene, choose, palette

Words = list[str]
Edit = Callable[[Words, Facts, np.random.Generator], Words | None]
"""It returns the edited words of a caption, or None if the caption has nothing that it can edit."""


@dataclass(frozen=True)
class Probe:
    """A minimal pair: the true caption of a picture, and its false twin."""

    kind: str
    """Name of the edit, a key of `EDITS`."""
    image: int
    """Position of the picture in its split."""
    right: str
    wrong: str


def probes(dataset: Dataset, *, seed: int = 0) -> list[Probe]:
    """Return every minimal pair of a split: at most one for each caption and each kind of edit.

    Raises:
        DataError: the folder was not drawn by the generator.
    """
    of_images = scenes(dataset)
    found = []
    for number, (caption, image) in enumerate(zip(dataset.captions, dataset.caption_to_image, strict=True)):
        rng = np.random.default_rng([seed, number])
        for kind in EDITS:
            wrong = falsified(caption, of_images[image], kind, rng)
            if wrong:
                found.append(Probe(kind, int(image), caption, wrong))
    return found


def falsified(caption: str, scene: Scene, kind: str, rng: np.random.Generator) -> str | None:
    """Return the caption with one edit of this kind that makes it false of the scene, or None if there is none."""
    words = caption.removesuffix(".").split()
    edited = EDITS[kind](words, read(caption), rng)
    if edited is None:
        return None
    wrong = " ".join([*_with_articles(edited), "."])
    return None if holds(read(wrong), scene) else wrong


def in_one_half(pair: Probe, scene: Scene) -> bool:
    """Tell whether the two things of a pair of kind "left and right" stand in the same half of the picture.

    A model that takes "left of" for "in the left half" is at chance where they do.
    """
    subject, other = middles(pair, scene)
    return (subject < WIDTH / 2) == (other < WIDTH / 2)


def middles(pair: Probe, scene: Scene) -> tuple[float, float]:
    """Return where the two things of a pair of kind "left and right" stand, as x in pixels, in the caption's order.

    If a mention fits several things, their mean counts.
    """
    facts = read(pair.right)
    link = next(link for link in facts.links if link.name in ("left of", "right of"))
    subject, other = (
        float(np.mean([thing.x for thing in scene.things if fits(facts.mentions[number], thing)]))
        for number in (link.subject, link.object)
    )
    return subject, other


# --- the edits ------------------------------------------------------------------------------------------------------


def _another_thing(words: Words, facts: Facts, rng: np.random.Generator) -> Words | None:
    """Name another kind of thing. Keep people, since their clothes would give the edit away, and things with a verb."""
    for mention in facts.mentions:
        if mention.count == 1 and mention.action is None and not mention.kinds & set(PEOPLE):
            kind = choose(rng, [kind for kind in NAMES if kind not in (*mention.kinds, *PEOPLE)])
            names = {name for known in mention.kinds for name in NAMES[known]}
            position = next(position for position in range(mention.start, mention.stop) if words[position] in names)
            return _with(words, {position: NAMES[kind][0]})
    return None


def _another_colour(words: Words, facts: Facts, rng: np.random.Generator) -> Words | None:
    """Name another colour that a thing of this kind can have."""
    for position, colour, possible in _colours(words, facts):
        return _with(words, {position: choose(rng, [other for other in possible if other != colour])})
    return None


def _swapped_colours(words: Words, facts: Facts, _: np.random.Generator) -> Words | None:
    """Exchange the two colours of a caption, so that its words stay the same, if each thing can have the other's."""
    if len(colours := _colours(words, facts)) != 2:
        return None
    (one, its, can_be), (other, others, can_be_too) = colours
    if its == others or its not in can_be_too or others not in can_be:
        return None
    return _with(words, {one: words[other], other: words[one]})


def _another_number(words: Words, facts: Facts, rng: np.random.Generator) -> Words | None:
    """Name another number of things."""
    for mention in facts.mentions:
        if mention.count > 1 and words[mention.start] == COUNTS[mention.count][0]:
            other = choose(rng, [number for number in COUNTS if number != mention.count])
            return _with(words, {mention.start: COUNTS[other][0]})
    return None


def _another_light(words: Words, _: Facts, rng: np.random.Generator) -> Words | None:
    """Name another light or weather by an expression of the same form."""
    text = f" {' '.join(words)} "
    for table in (LIGHTS_INDOORS, LIGHTS, LIGHT_ADJECTIVES):
        known = {expression: light for light, expressions in table.items() for expression in expressions}
        for expression in sorted(known, key=len, reverse=True):  # "late at night" before "at night"
            if f" {expression} " in text:
                other = choose(rng, [light for light in table if light != known[expression]])
                return text.replace(f" {expression} ", f" {choose(rng, table[other])} ").split()
    return None


def _other_relation(one: str, other: str, of: frozenset[str]) -> Edit:
    """Return the edit that turns a relation to a thing of these kinds into another relation, in both directions."""

    def edit(words: Words, facts: Facts, rng: np.random.Generator) -> Words | None:
        for link in facts.links:
            possible = facts.mentions[link.object].kinds <= of
            if possible and link.name in (one, other) and link.stop > link.start:
                instead = choose(rng, RELATIONS[other if link.name == one else one])
                return [*words[: link.start], *instead.split(), *words[link.stop :]]
        return None

    return edit


def _swapped_things(words: Words, facts: Facts, _: np.random.Generator) -> Words | None:
    """Exchange a thing and the thing that it is left or right of: the words stay the same, and their order changes."""
    for link in facts.links:
        subject, other = facts.mentions[link.subject], facts.mentions[link.object]
        alike = (subject.count, other.count, subject.action, other.action) == (1, 1, None, None)
        if link.name in ("left of", "right of") and alike:
            return [
                *words[: subject.start],
                *words[other.start : other.stop],
                *words[subject.stop : other.start],
                *words[subject.start : subject.stop],
                *words[other.stop :],
            ]
    return None


EDITS: Mapping[str, Edit] = {
    "another thing": _another_thing,
    "another colour": _another_colour,
    "another light": _another_light,
    "another number": _another_number,
    "colours exchanged": _swapped_colours,
    "left and right": _other_relation("left of", "right of", frozenset(NAMES)),
    "on and under": _other_relation("on", "under", frozenset({"table"})),  # the only kind that can have both
    "things exchanged": _swapped_things,
}
"""The kinds of edit. The first four change one quality of the picture's content; the others keep the content and
change what belongs to what."""


def _colours(words: Words, facts: Facts) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return every colour that a caption gives to a thing: its position, its meaning, and all that the thing can have.

    No dog is purple. So a purple dog would be known to be false without a look at the picture.
    """
    meaning = {word: colour for colour, names in COLOURS.items() for word in names}
    return [
        (position, meaning[words[position]], palette(min(mention.kinds)))
        for mention in facts.mentions
        for position in range(mention.start, mention.stop)
        if words[position] in meaning
    ]


def _with(words: Words, edit: Mapping[int, str]) -> Words:
    """Return the words with other words at the positions of `edit`."""
    return [edit.get(position, word) for position, word in enumerate(words)]


def _with_articles(words: Words) -> Words:
    """Return the words with "a" or "an", as the following word needs."""
    following = [*words[1:], "end"]
    return [
        article(after).split()[0] if word in ("a", "an") else word for word, after in zip(words, following, strict=True)
    ]
