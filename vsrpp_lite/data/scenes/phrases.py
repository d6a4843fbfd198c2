"""Phrases about a scene: subjects, what they look like, what they do, where and when."""

from collections.abc import Sequence
from itertools import permutations
from typing import TypeVar

import numpy as np

from vsrpp_lite.data.scenes.words import (
    COLOURS,
    COUNTS,
    LIGHT_ADJECTIVES,
    LIGHTS,
    LIGHTS_INDOORS,
    NAMES,
    PATTERNS,
    PLACES,
    PLURALS,
    RELATIONS,
    SCENERY,
    SIZES,
    VERBS,
)
from vsrpp_lite.data.scenes.world import INDOORS, PEOPLE, Scene, Thing

T = TypeVar("T")


class Speaker:
    """Phrases about one scene, with the choice of words left to ``rng``."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.scene, self.rng = scene, rng
        alike: dict[tuple[str, ...], list[int]] = {}
        for number, t in enumerate(scene.things):
            alike.setdefault((t.kind, t.colour, t.size, t.pattern, t.pose), []).append(number)
        self.subjects = list(alike.values())  # the numbers of the things each subject stands for
        true = {(r.subject, r.name, r.object) for r in scene.relations}
        self.links = [
            (one, name, other)
            for one, other in permutations(self.subjects, 2)
            for name in RELATIONS
            if all((i, name, j) in true for i in one for j in other)
        ]

    def choose(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def maybe(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def some(self, count: int) -> list[list[int]]:
        """Up to ``count`` different subjects, in any order."""
        order = self.rng.permutation(len(self.subjects))[:count]
        return [self.subjects[k] for k in order]

    def relation(self, *wanted: str) -> tuple[list[int], str, list[int]] | None:
        """Two subjects and a relation true of all their things; close links are preferred."""
        found = [link for link in self.links if link[1] in (wanted or RELATIONS)]
        close = [link for link in found if link[1] not in ("left of", "right of", "bigger than")]
        return self.choose(close if close and self.maybe(0.5) else found) if found else None

    # --- noun phrases ---------------------------------------------------------------------------

    def noun(self, subject: list[int]) -> str:
        """The subject's name alone, singular or plural."""
        name = self.choose(NAMES[self.thing(subject).kind])
        return name if len(subject) == 1 else PLURALS.get(name, name + "s")

    def thing(self, subject: list[int]) -> Thing:
        return self.scene.things[subject[0]]

    def plain(self, subject: list[int]) -> str:
        """The subject without any of its qualities: "a dog", "two boats"."""
        return self.counted(subject, self.noun(subject))

    def before(self, subject: list[int], detail: float = 0.9) -> str:
        """The subject with qualities in front of its name: "a small red ball"."""
        thing, noun = self.thing(subject), self.noun(subject)
        words = self.sized(thing, 0.5 * detail)
        if thing.kind in PEOPLE:
            return self.counted(subject, " ".join([*words, noun, self.dressed(subject, detail)]))
        if thing.pattern != "plain" and self.maybe(0.6 * detail):
            words.append(self.choose(PATTERNS[thing.pattern][:2]))
        if self.maybe(detail):
            words.append(self.choose(COLOURS[thing.colour]))
        return self.counted(subject, " ".join([*words, noun]))

    def after(self, subject: list[int]) -> str:
        """The subject with its qualities behind its name: "a ball that is red and small"."""
        thing, noun = self.thing(subject), self.noun(subject)
        if thing.kind in PEOPLE:
            return self.counted(subject, f"{noun} {self.dressed(subject, 1.0)}")
        qualities = [self.choose(COLOURS[thing.colour]), *self.sized(thing, 0.4)]
        clause = f"{self.choose(('that', 'which'))} {self.be(subject)} {' and '.join(qualities)}"
        if thing.pattern != "plain" and self.maybe(0.5):
            clause = f"with {self.choose(PATTERNS[thing.pattern][2:])}"
            noun = f"{self.choose(COLOURS[thing.colour])} {noun}"
        elif self.maybe(0.2):
            clause = f"of {thing.colour} colour"
        return self.counted(subject, f"{noun} {clause}")

    def dressed(self, subject: list[int], detail: float) -> str:
        """What a person wears, or nothing."""
        thing = self.thing(subject)
        if not self.maybe(detail):
            return ""
        colour = self.choose(COLOURS[thing.colour])
        if self.maybe(0.3):
            return f"{self.choose(('in', 'dressed in', 'clothed in'))} {thing.colour}"
        garment = self.choose(("dress", "frock") if thing.kind == "girl" else ("shirt", "jersey"))
        if thing.pattern != "plain" and self.maybe(0.6):
            colour = f"{self.choose(PATTERNS[thing.pattern][:2])} {colour}"
        wears = self.choose(("in", "wearing", "with", "who wears"))
        return f"{wears} {article(colour)} {garment}"

    def counted(self, subject: list[int], phrase: str) -> str:
        if len(subject) == 1:
            return article(phrase)
        return f"{self.choose(COUNTS[len(subject)])} {phrase}"

    def sized(self, thing: Thing, chance: float) -> list[str]:
        """A word for the size, or none."""
        sizes = SIZES[thing.size]
        return [self.choose(sizes)] if sizes and self.maybe(chance) else []

    # --- verbs, places, lights ------------------------------------------------------------------

    def be(self, subject: list[int]) -> str:
        return "is" if len(subject) == 1 else "are"

    def acts(self, subject: list[int]) -> str:
        """What the subject does: "is running", "sits", "are parked"."""
        thing = self.thing(subject)
        group = next(key for key in (thing.pose, thing.kind, "any") if key in VERBS)
        verb = self.choose(VERBS[group])
        if verb.endswith("s"):  # a present form: drop the ending for several subjects
            return verb if len(subject) == 1 else PLURALS.get(verb, verb[:-1])
        return f"{self.be(subject)} {verb}"

    def near(self, name: str) -> str:
        return self.choose(RELATIONS[name])

    def light(self) -> str:
        indoors = self.scene.place in INDOORS
        return self.choose((LIGHTS_INDOORS if indoors else LIGHTS)[self.scene.light])

    def place(self) -> str:
        """Where: "in a park", or with the light as an adjective "on a rainy street"."""
        if self.maybe(0.3):
            preposition, scenery = self.choose(SCENERY[self.scene.place])
            adjective = self.choose(LIGHT_ADJECTIVES[self.scene.light])
            return f"{preposition} {article(f'{adjective} {scenery}')}"
        return self.choose(PLACES[self.scene.place])

    def setting(self, chance: float = 0.5) -> str:
        """The place, the light, both or neither, each with some chance."""
        parts = [self.place()] if self.maybe(chance) else []
        if self.maybe(chance * 0.7) and not _tells_light(parts, self.scene.light):
            parts.append(self.light())
        return " ".join(parts)


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return ("an " if phrase[0] in "aeio" or phrase.startswith("umb") else "a ") + phrase


def _tells_light(parts: list[str], light: str) -> bool:
    return any(word in part.split() for part in parts for word in LIGHT_ADJECTIVES[light])
