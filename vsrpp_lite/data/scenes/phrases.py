"""Phrases about a scene: which things there are, how they look, what they do, where they are and in which light."""

from collections.abc import Sequence
from itertools import permutations
from typing import TypeVar

import numpy as np

from vsrpp_lite.data.scenes.words import (
    COLOURS,
    COUNTS,
    GARMENTS,
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
from vsrpp_lite.data.scenes.world import INDOORS, PEOPLE, Scene, Thing, choose

T = TypeVar("T")


class Speaker:
    """A speaker makes phrases about one scene and lets `rng` choose the words.

    A subject is a list of the numbers of things that look alike, and that a phrase names together.
    """

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self.scene, self.rng = scene, rng
        alike: dict[tuple[str, ...], list[int]] = {}
        for number, t in enumerate(scene.things):
            alike.setdefault(t.look, []).append(number)
        self.subjects = list(alike.values())
        true = {(r.subject, r.name, r.object) for r in scene.relations}
        self.links = [
            (one, name, other)
            for one, other in permutations(self.subjects, 2)
            for name in RELATIONS
            if all((i, name, j) in true for i in one for j in other)
        ]

    def choose(self, options: Sequence[T]) -> T:
        """Return one of the options; each is as likely as the others."""
        return choose(self.rng, options)

    def maybe(self, chance: float) -> bool:
        """Return True with this chance, else False."""
        return bool(self.rng.random() < chance)

    def some(self, count: int) -> list[list[int]]:
        """Return up to `count` different subjects, in random order."""
        order = self.rng.permutation(len(self.subjects))[:count]
        return [self.subjects[k] for k in order]

    def relation(self, *wanted: str) -> tuple[list[int], str, list[int]] | None:
        """Return two subjects and the name of a relation that holds between all their things, or None if there is none.

        `wanted` names the relations to choose from; without it, every relation may be chosen. Relations of things
        that are close together are preferred.
        """
        found = [link for link in self.links if link[1] in (wanted or RELATIONS)]
        close = [link for link in found if link[1] not in ("left of", "right of", "bigger than")]
        if not found:
            return None
        if close and self.maybe(0.5):
            return self.choose(close)
        return self.choose(found)

    # --- noun phrases ---------------------------------------------------------------------------

    def noun(self, subject: list[int]) -> str:
        """Return the name of the subject alone, in the singular or the plural."""
        name = self.choose(NAMES[self.thing(subject).kind])
        return name if len(subject) == 1 else PLURALS.get(name, name + "s")

    def thing(self, subject: list[int]) -> Thing:
        """Return the first thing of a subject; the others look like it."""
        return self.scene.things[subject[0]]

    def plain(self, subject: list[int]) -> str:
        """Name the subject without its qualities: "a dog", "two boats"."""
        return self.counted(subject, self.noun(subject))

    def before(self, subject: list[int], detail: float = 0.9) -> str:
        """Name the subject with qualities before its name: "a small red ball". `detail` is the chance of each."""
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
        """Name the subject with its qualities after its name: "a ball that is red and small"."""
        thing, noun = self.thing(subject), self.noun(subject)
        if thing.kind in PEOPLE:
            return self.counted(subject, f"{noun} {self.dressed(subject, 1.0)}")
        qualities = [self.choose(COLOURS[thing.colour]), *self.sized(thing, 0.4)]
        pronoun, described = self.choose(("that", "which")), " and ".join(qualities)
        clause = f"{pronoun} {self.be(subject)} {described}"
        if thing.pattern != "plain" and self.maybe(0.5):
            pattern, colour = self.choose(PATTERNS[thing.pattern][2:]), self.choose(COLOURS[thing.colour])
            clause = f"with {pattern}"
            noun = f"{colour} {noun}"
        elif self.maybe(0.2):
            clause = f"of {thing.colour} colour"
        return self.counted(subject, f"{noun} {clause}")

    def dressed(self, subject: list[int], detail: float) -> str:
        """Tell what a person wears, with the chance `detail`; else return an empty phrase."""
        thing = self.thing(subject)
        if not self.maybe(detail):
            return ""
        colour = self.choose(COLOURS[thing.colour])
        if self.maybe(0.3):
            wears = self.choose(("in", "dressed in", "clothed in"))
            return f"{wears} {thing.colour}"
        garment = self.choose(GARMENTS[thing.kind])
        if thing.pattern != "plain" and self.maybe(0.6):
            pattern = self.choose(PATTERNS[thing.pattern][:2])
            colour = f"{pattern} {colour}"
        wears = self.choose(("in", "wearing", "with", "who wears"))
        return f"{wears} {article(colour)} {garment}"

    def counted(self, subject: list[int], phrase: str) -> str:
        """Put an article or a number before the phrase: "a dog", "two dogs"."""
        if len(subject) == 1:
            return article(phrase)
        number = self.choose(COUNTS[len(subject)])
        return f"{number} {phrase}"

    def sized(self, thing: Thing, chance: float) -> list[str]:
        """Return a list with one word for the size, with this chance; else an empty list."""
        sizes = SIZES[thing.size]
        return [self.choose(sizes)] if sizes and self.maybe(chance) else []

    # --- verbs, places, lights ------------------------------------------------------------------

    def be(self, subject: list[int]) -> str:
        """Return the form of "to be" that agrees with the subject."""
        return "is" if len(subject) == 1 else "are"

    def acts(self, subject: list[int]) -> str:
        """Tell what the subject does: "is running", "sits", "are parked"."""
        thing = self.thing(subject)
        verb = self.choose(verbs(thing))
        if verb.endswith("s"):  # a verb in the present; the plural has no ending
            return verb if len(subject) == 1 else PLURALS.get(verb, verb[:-1])
        return f"{self.be(subject)} {verb}"

    def related(self, name: str) -> str:
        """Return an expression for the relation with this name."""
        return self.choose(RELATIONS[name])

    def light(self) -> str:
        """Tell in which light or weather the scene is: "at night", "in the rain"."""
        lights = LIGHTS_INDOORS if self.scene.place in INDOORS else LIGHTS
        return self.choose(lights[self.scene.light])

    def place(self) -> str:
        """Tell where the scene is: "in a park", or, with the light as an adjective, "on a rainy street"."""
        if self.maybe(0.3):
            preposition, scenery = self.choose(SCENERY[self.scene.place])
            adjective = self.choose(LIGHT_ADJECTIVES[self.scene.light])
            where = article(f"{adjective} {scenery}")
            return f"{preposition} {where}"
        return self.choose(PLACES[self.scene.place])

    def setting(self, chance: float = 0.5) -> str:
        """Tell the place with this chance, and the light with seven tenths of it, unless the place tells the light."""
        parts = [self.place()] if self.maybe(chance) else []
        if self.maybe(chance * 0.7) and not _tells_light(parts, self.scene.light):
            parts.append(self.light())
        return " ".join(parts)


def verbs(thing: Thing) -> tuple[str, ...]:
    """Return the verbs that are true of a thing, by its pose or else by its kind."""
    return VERBS[next(key for key in (thing.pose, thing.kind, "any") if key in VERBS)]


def article(phrase: str) -> str:
    """Put "a" or "an" before the phrase."""
    return ("an " if phrase[0] in "aeio" or phrase.startswith("umb") else "a ") + phrase


def _tells_light(parts: list[str], light: str) -> bool:
    return any(word in part.split() for part in parts for word in LIGHT_ADJECTIVES[light])
