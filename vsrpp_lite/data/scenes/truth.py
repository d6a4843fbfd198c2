"""Of which pictures is a caption true? The generator knows every scene, so it can say it for every pair.

A benchmark knows one right picture for each caption, but a caption such as "a boat by a lake at night" is true of many
pictures. So a matcher that finds another of them counts as wrong. `truth` finds all of them.

The rules are those of logic, and they are strict:

- "a ball" is true if there is at least one ball; "two balls" is true if exactly two things fit the phrase.
- The phrases of a caption name different things.
- A relation is true if the generator counts it among the relations of the scene. So two things are "near" each other
  if they stand side by side as a pair, "in front of" or "behind" if one covers a part of the other.
- "Big" and "small" are the generator's sizes of a thing of its kind. What a caption leaves open may be anything.
"""

from itertools import product

import numpy as np
from jaxtyping import Bool, Int

from vsrpp_lite.data.dataset import Dataset
from vsrpp_lite.data.errors import DataError
from vsrpp_lite.data.manifest import read_manifest
from vsrpp_lite.data.scenes.facts import Facts, Mention, read
from vsrpp_lite.data.scenes.origin import seed_of
from vsrpp_lite.data.scenes.phrases import verbs
from vsrpp_lite.data.scenes.plans import sample_scene
from vsrpp_lite.data.scenes.world import Scene, Thing


def truth(dataset: Dataset) -> Bool[np.ndarray, "I T"]:
    """Return which captions are true of which images, for a split of the embedded data.

    Raises:
        DataError: the folder was not drawn by this version of the generator, so nobody knows what its pictures show.
        ValueError: `facts.read` does not understand a caption.
    """
    things = _Things(scenes(dataset))
    return np.stack([things.agree(read(caption)) for caption in dataset.captions], axis=1)


def scenes(dataset: Dataset) -> list[Scene]:
    """Return the scene of each image, which the generator makes again from the seed of the folder.

    Raises:
        DataError: the folder was not drawn by this version of the generator.
    """
    manifest = read_manifest(dataset.folder)
    seed = seed_of(str(manifest.get("source")))
    if seed is None:
        raise DataError(
            f"{dataset.folder}/manifest.json: source is {manifest.get('source')!r}; expected a data set that this "
            "version of vsrpp_lite has drawn, since only there the facts of every picture are known"
        )
    splits = list(manifest["splits"])
    first = sum(manifest["splits"][name]["images"] for name in splits[: splits.index(dataset.split)])
    return [sample_scene(seed, dataset.split, int(number) - first) for number in dataset.image_ids]


def holds(facts: Facts, scene: Scene) -> bool:
    """Tell whether a scene is as the facts of a caption say.

    The function tries every way to choose a thing (or all things that fit, for "two balls") for each mention.
    """
    if facts.places is not None and scene.place not in facts.places:
        return False
    if facts.lights is not None and scene.light not in facts.lights:
        return False
    relations = {(r.subject, r.name, r.object) for r in scene.relations}
    for chosen in product(*(_choices(mention, scene) for mention in facts.mentions)):
        named = [thing for things in chosen for thing in things]
        if len(set(named)) == len(named) and all(
            (one, link.name, other) in relations
            for link in facts.links
            for one, other in product(chosen[link.subject], chosen[link.object])
        ):
            return True
    return False


def fits(mention: Mention, thing: Thing) -> bool:
    """Tell whether a thing is of a kind, and looks and acts, as a mention says."""
    return (
        thing.kind in mention.kinds
        and mention.colour in (None, thing.colour)
        and mention.size in (None, thing.size)
        and mention.pattern in (None, thing.pattern)
        and (mention.action is None or mention.action in verbs(thing))
    )


def _choices(mention: Mention, scene: Scene) -> list[tuple[int, ...]]:
    """Return the choices of things, by number, that a mention can mean.

    If the mention names one thing, each thing that fits is a choice. If it names several, there is one choice at most:
    all things that fit, if their number is the number that the mention names.
    """
    found = tuple(number for number, thing in enumerate(scene.things) if fits(mention, thing))
    if mention.count == 1:
        return [(number,) for number in found]
    return [found] if len(found) == mention.count else []


class _Things:
    """All things of many scenes, so that most scenes are ruled out at once before `holds` looks at the others."""

    def __init__(self, of_scenes: list[Scene]) -> None:
        self.scenes = of_scenes
        self.place = np.array([scene.place for scene in of_scenes])
        self.light = np.array([scene.light for scene in of_scenes])
        self.owner = np.array([number for number, scene in enumerate(of_scenes) for _ in scene.things])
        # things that look alike fit the same mentions, wherever they stand. So `fits` is called once for each look, and
        # there are far fewer looks than things
        things = [thing for scene in of_scenes for thing in scene.things]
        looks = [thing.look for thing in things]
        examples = dict(zip(looks, things, strict=True))
        numbers = {look: number for number, look in enumerate(examples)}
        self.examples = list(examples.values())
        self.look = np.array([numbers[look] for look in looks])
        self._counted: dict[Mention, Int[np.ndarray, " I"]] = {}

    def agree(self, facts: Facts) -> Bool[np.ndarray, " I"]:
        """Return the scenes of which the facts are true."""
        possible = np.ones(len(self.scenes), bool)
        if facts.places is not None:
            possible &= np.isin(self.place, list(facts.places))
        if facts.lights is not None:
            possible &= np.isin(self.light, list(facts.lights))
        for mention in facts.mentions:
            count = self.counted(mention)
            possible &= count > 0 if mention.count == 1 else count == mention.count
        for scene in np.flatnonzero(possible):
            possible[scene] = holds(facts, self.scenes[scene])
        return possible

    def counted(self, mention: Mention) -> Int[np.ndarray, " I"]:
        """Return how many things of each scene fit a mention."""
        if mention not in self._counted:
            fitting = np.array([fits(mention, thing) for thing in self.examples])[self.look]
            self._counted[mention] = np.bincount(self.owner[fitting], minlength=len(self.scenes))
        return self._counted[mention]
