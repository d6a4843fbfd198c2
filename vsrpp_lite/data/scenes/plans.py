"""Plans of scenes, and families of scenes that differ in one detail.

Every third pair of consecutive indices is a *family*: its first member is sampled freely, and its second member is
the first with one edit. An edit exchanges two colours, or left and right, turns *on* into *under*, changes the light,
adds a ball, and so on. Only a matcher that reads the details can tell the two apart.
"""

from dataclasses import replace
from typing import TypedDict, Unpack

import numpy as np

from vsrpp_lite.data.scenes.world import (
    EXTENTS,
    LIGHTS,
    PAIRS,
    PATTERNED,
    PLACES,
    ROWS,
    SIZES,
    TYPICAL,
    WIDTH,
    Group,
    Plan,
    Scene,
    Thing,
    choose,
    lay_out,
    palette,
    span,
)

FAMILY = 2  # number of scenes in a family
SPLITS = {"train": 0, "dev": 1, "test": 2}


def sample_scene(seed: int, split: str, index: int) -> Scene:
    """Return the scene `index` of a split. It depends on the three arguments alone."""
    pair, member = divmod(index, FAMILY)
    related = pair % 3 == 0
    rng = np.random.default_rng([seed, SPLITS[split], pair, 0 if related else member])
    # the members of a family share both generators, so that all but the edit is equal
    jitter = np.random.default_rng([seed, SPLITS[split], pair, 2 if related else 3 + member])
    plan = base = _sample_plan(rng)
    while related and member and (plan == base or not _is_possible(plan)):
        plan = choose(rng, EDITS)(base, rng)
    return lay_out(plan, jitter)


def _sample_plan(rng: np.random.Generator) -> Plan:
    place = choose(rng, tuple(PLACES))
    light, backdrop = choose(rng, LIGHTS[place]), int(rng.integers(4))
    while True:
        groups = tuple(_sample_group(place, rng) for _ in range(choose(rng, (2, 3, 3, 4, 4))))
        plan = Plan(place, light, backdrop, groups)
        if _is_possible(plan):
            return plan


def _sample_group(place: str, rng: np.random.Generator) -> Group:
    while True:
        link = choose(rng, ("alone",) * 5 + ("row", *PAIRS))
        kinds = [kind for kind in PLACES[place] if link != "row" or kind in ROWS]
        if rng.random() < 0.4:
            kinds = kinds[:TYPICAL]
        if link in PAIRS:
            members = tuple(_sample_thing(choose(rng, slot), rng) for slot in PAIRS[link])
        else:
            count = 1 if link == "alone" else int(rng.integers(2, 5))
            members = (_sample_thing(choose(rng, kinds), rng),) * count
        group = Group(link, members)
        if all(thing.kind in PLACES[place] for thing in members) and _is_sound(group):
            return group


def _sample_thing(kind: str, rng: np.random.Generator) -> Thing:
    pattern = "plain"
    if kind in PATTERNED and rng.random() < 0.4:
        pattern = choose(rng, ("striped", "spotted"))
    colour, size = choose(rng, palette(kind)), choose(rng, tuple(SIZES))
    return Thing(kind, colour, size, pattern, choose(rng, tuple(EXTENTS[kind])), rng.random() < 0.5)


def _is_possible(plan: Plan) -> bool:
    """Tell whether a plan fits its place and its picture, and whether a reader can count its things without doubt.

    So a kind is in one row at most, and things of one kind that are in no row all look different.
    """
    things = [thing for group in plan.groups for thing in group.members]
    rows = [group.members[0].kind for group in plan.groups if group.link == "row"]
    elsewhere = [t.kind for group in plan.groups if group.link != "row" for t in group.members]
    return (
        2 <= len(things) <= 7
        and all(_is_sound(group) for group in plan.groups)
        and all(thing.kind in PLACES[plan.place] for thing in things)
        and len(set(rows)) == len(rows)
        and not set(rows) & set(elsewhere)
        and len({t.look for t in things if t.kind in elsewhere}) == len(elsewhere)
        and sum(span(group)[1] - span(group)[0] + 6 for group in plan.groups) <= WIDTH - 8
    )


def _is_sound(group: Group) -> bool:
    """Tell whether the members of a group can have its link, and whether all of them are then clearly visible."""
    if group.link == "alone":
        return len(group.members) == 1
    if group.link == "row":
        return len(group.members) in (2, 3, 4) and span(group)[1] - span(group)[0] <= 150
    if len(group.members) != 2:
        return False
    first, second = group.members
    if any(t.kind not in kinds for t, kinds in zip(group.members, PAIRS[group.link], strict=True)):
        return False
    if "flying" in (first.pose, second.pose) or first.kind == second.kind:
        return False
    return {
        "on": second.width <= 1.1 * first.width and second.pose != "running",
        "under": second.height <= 0.72 * first.height and second.width <= 0.8 * first.width,
        "holding": first.pose == "standing" and second.width <= 0.9 * first.height,
        "in front of": second.height <= 0.85 * first.height and second.width <= first.width,
        "behind": second.width >= 0.25 * first.width,
        "near": True,
    }[group.link]


# --- edits: each returns a plan, which may be impossible, or equal to the plan that it was given ---


class _Details(TypedDict, total=False):
    """The fields of a `Thing` that an edit may change."""

    kind: str
    colour: str
    pattern: str
    pose: str


def _change(plan: Plan, index: tuple[int, int], **details: Unpack[_Details]) -> Plan:
    """Change the thing at the index (group, member), or all things of its group if that is a row."""
    group = plan.groups[index[0]]
    members = tuple(
        replace(thing, **details) if group.link == "row" or i == index[1] else thing
        for i, thing in enumerate(group.members)
    )
    return _regroup(plan, index[0], replace(group, members=members))


def _regroup(plan: Plan, index: int, group: Group) -> Plan:
    groups = (*plan.groups[:index], group, *plan.groups[index + 1 :])
    return replace(plan, groups=groups)


def _pick(plan: Plan, rng: np.random.Generator) -> tuple[tuple[int, int], Thing]:
    """Choose a thing at random; return its index (group, member) and the thing."""
    g = int(rng.integers(len(plan.groups)))
    m = int(rng.integers(len(plan.groups[g].members)))
    return (g, m), plan.groups[g].members[m]


def _swap_colours(plan: Plan, rng: np.random.Generator) -> Plan:
    (i, one), (j, other) = _pick(plan, rng), _pick(plan, rng)
    if one.colour not in palette(other.kind) or other.colour not in palette(one.kind):
        return plan
    return _change(_change(plan, i, colour=other.colour), j, colour=one.colour)


def _swap_sides(plan: Plan, rng: np.random.Generator) -> Plan:
    order = rng.permutation(len(plan.groups))
    return replace(plan, groups=tuple(plan.groups[i] for i in order))


def _change_link(plan: Plan, rng: np.random.Generator) -> Plan:
    g = int(rng.integers(len(plan.groups)))
    if len(plan.groups[g].members) != 2 or plan.groups[g].link == "row":
        return plan
    return _regroup(plan, g, replace(plan.groups[g], link=choose(rng, tuple(PAIRS))))


def _change_count(plan: Plan, rng: np.random.Generator) -> Plan:
    g = int(rng.integers(len(plan.groups)))
    if plan.groups[g].link != "row":
        return plan
    members = plan.groups[g].members[:1] * int(rng.integers(2, 5))
    return _regroup(plan, g, replace(plan.groups[g], members=members))


def _change_colour(plan: Plan, rng: np.random.Generator) -> Plan:
    index, thing = _pick(plan, rng)
    return _change(plan, index, colour=choose(rng, palette(thing.kind)))


def _change_kind(plan: Plan, rng: np.random.Generator) -> Plan:
    index, thing = _pick(plan, rng)
    kind = choose(rng, PLACES[plan.place])
    if kind == thing.kind or thing.colour not in palette(kind):
        return plan
    pattern = thing.pattern if kind in PATTERNED else "plain"
    return _change(plan, index, kind=kind, pattern=pattern, pose=next(iter(EXTENTS[kind])))


def _change_light(plan: Plan, rng: np.random.Generator) -> Plan:
    return replace(plan, light=choose(rng, LIGHTS[plan.place]))


def _change_place(plan: Plan, rng: np.random.Generator) -> Plan:
    place = choose(rng, tuple(PLACES))
    return replace(plan, place=place) if plan.light in LIGHTS[place] else plan


EDITS = (
    _swap_colours, _swap_sides, _change_link, _change_count, _change_colour, _change_kind,
    _change_light, _change_place,
)  # fmt: skip
