"""Five captions of a scene, as five annotators with different habits would write them.

Every caption is true, and no caption tells everything. An annotator writes a *draft*: it names one to three subjects,
and it may add a relation, the place or the light. A subject is one thing, or several things that look alike, such as
"three yellow balls". A draft becomes a caption if it has 6 to 16 words.
"""

from collections.abc import Callable

import numpy as np

from vsrpp_lite.data.scenes.phrases import Speaker, article
from vsrpp_lite.data.scenes.words import LIGHT_ADJECTIVES, PICTURES, SCENERY, VIEWS
from vsrpp_lite.data.scenes.world import PEOPLE, Scene

Draft = Callable[[Speaker], str]
SHORTEST, LONGEST = 6, 16  # fewest and most words of a caption, without the final " ."


def annotate(scene: Scene, rng: np.random.Generator) -> list[str]:
    """Write five captions, one per annotator.

    A caption consists of lower-case words with single spaces between them, and it ends in " .".
    """
    say = Speaker(scene, rng)
    return [_annotator(say, draft) for draft in (_terse, _linked, _passive, _heads, _rich)]


def _annotator(say: Speaker, draft: Draft) -> str:
    """Let one annotator write drafts until one has the right length."""
    while True:
        words = draft(say).split()
        if SHORTEST <= len(words) <= LONGEST:
            return " ".join([*words, "."])


# --- the five annotators --------------------------------------------------------------------------


def _terse(say: Speaker) -> str:
    """This annotator names things, with few qualities and without a verb."""
    link = say.relation()
    if link and say.maybe(0.5):
        one, name, other = link
        return f"{say.before(one, 0.8)} {say.related(name)} {say.before(other, 0.8)}"
    phrases = [say.before(subject, 0.8) for subject in say.some(int(say.rng.integers(2, 4)))]
    return f"{' and '.join(phrases)} {say.setting(0.4)}"


def _linked(say: Speaker) -> str:
    """This annotator states a relation in the active voice."""
    link = say.relation()
    if not link:
        subject = say.some(1)[0]
        return f"{say.before(subject)} {say.place()} {say.light()}"
    one, name, other = link
    verb = say.acts(one) if name not in ("holding", "bigger than") else say.be(one)
    return f"{say.before(one)} {verb} {say.related(name)} {say.before(other)} {say.setting(0.3)}"


def _passive(say: Speaker) -> str:
    """This annotator begins with the thing that is held or carried, or uses the passive voice."""
    if held := say.relation("holding"):
        one, _, other = held
        verb = say.choose(("held", "carried"))
        return f"{say.before(other)} {say.be(other)} {verb} by {say.before(one)} {say.setting(0.3)}"
    carried = say.relation("on")
    if carried and say.maybe(0.5):
        one, _, other = carried
        return f"{say.before(other)} has {say.before(one)} on it {say.setting(0.4)}"
    one = say.some(1)[0]
    seen = say.choose(("can be seen", f"{say.be(one)} seen", f"{say.be(one)} shown"))
    if (link := say.relation()) and link[1] != "bigger than" and say.maybe(0.6):
        one, name, other = link
        seen = "can be seen"
        return f"{say.before(one)} {seen} {say.related(name)} {say.plain(other)} {say.setting(0.5)}"
    return f"{say.before(one, 1.0)} {seen} {say.place()} {say.light()}"


def _heads(say: Speaker) -> str:
    """This annotator names a thing first and tells its qualities after the name."""
    link = say.relation()
    if link and say.maybe(0.35):
        one, name, other = link
        pronoun = "who" if say.thing(one).kind in PEOPLE else say.choose(("that", "which"))
        who = f"{say.plain(one)} {pronoun} {say.be(one)} {say.related(name)} {say.after(other)}"
        return f"there {say.be(one)} {who}" if say.maybe(0.5) else f"{who} {say.setting(0.5)}"
    if link and link[1] not in ("holding", "bigger than") and say.maybe(0.5):
        one, name, other = link
        return f"{say.after(one)} {say.acts(one)} {say.related(name)} {say.plain(other)}"
    first, *rest = say.some(2)
    if rest and say.maybe(0.6):
        second = rest[0]
        return f"there {say.be(first)} {say.after(first)} and {say.plain(second)} {say.setting()}"
    return f"{say.after(first)} {say.acts(first)} {say.setting(0.9)}"


def _rich(say: Speaker) -> str:
    """This annotator describes the place and the light, and tells what is there."""
    preposition, scenery = say.choose(SCENERY[say.scene.place])
    adjective = say.choose(LIGHT_ADJECTIVES[say.scene.light])
    weather = article(f"{adjective} {scenery}")
    subjects = say.some(2)
    phrases = " and ".join(say.before(subject) for subject in subjects)
    if (link := say.relation()) and say.maybe(0.6):
        one, name, other = link
        verb = say.acts(one) if name not in ("holding", "bigger than") else say.be(one)
        opening = say.choose((f"{preposition} {weather}", say.light()))
        return f"{opening} {say.before(one)} {verb} {say.related(name)} {say.before(other)}"
    first = subjects[0]
    return say.choose((
        f"{weather} with {phrases} {say.choose(VIEWS)}",
        f"{preposition} {weather} there {say.be(first)} {phrases}",
        f"{say.choose(PICTURES)} of {weather} with {phrases}",
        f"we see {phrases} {preposition} {weather}",
    ))  # fmt: skip
