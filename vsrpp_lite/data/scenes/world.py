"""Symbolic scenes: where the things are, and which relations hold between them.

`plans.py` plans a scene as a few groups of linked things. `lay_out` gives each thing its position, and finds the
relations that are then true.

All lengths are pixels of the 256 x 192 picture. The x axis points to the right, the y axis points down.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import TypeVar

import numpy as np

T = TypeVar("T")

WIDTH, HEIGHT = 256, 192

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "brown")
SIZES = {"small": 0.76, "medium": 1.0, "large": 1.3}

# The (width, height) of a medium-sized thing, with one entry for each pose that the kind can take.
EXTENTS: dict[str, dict[str, tuple[int, int]]] = {
    "dog": {"standing": (48, 38), "sitting": (36, 42), "running": (56, 36)},
    "cat": {"standing": (46, 36), "sitting": (30, 40)},
    "horse": {"standing": (76, 64), "running": (84, 60)},
    "bird": {"standing": (28, 26), "flying": (40, 30)},
    "girl": {"standing": (34, 64), "sitting": (48, 46), "running": (48, 62)},
    "boy": {"standing": (34, 64), "sitting": (48, 46), "running": (48, 62)},
    "car": {"": (82, 38)},
    "bus": {"": (112, 60)},
    "bicycle": {"": (62, 42)},
    "boat": {"": (78, 66)},
    "ball": {"": (22, 22)},
    "kite": {"": (34, 56)},
    "umbrella": {"": (58, 62)},
    "chair": {"": (34, 56)},
    "table": {"": (80, 48)},
    "box": {"": (38, 34)},
    "tree": {"": (64, 96)},
    "house": {"": (92, 86)},
}
PATTERNED = ("dog", "cat", "horse", "girl", "boy", "ball", "kite", "umbrella", "box", "boat")
PEOPLE = ("girl", "boy")

_FUR = ("brown", "black", "white", "orange")
_PALETTES = {
    "dog": _FUR, "cat": _FUR, "horse": _FUR,
    "tree": ("green", "yellow", "orange", "red", "pink"),
}  # fmt: skip

_WEATHERS = ("sunny", "night", "rain", "snow", "sunset")
TYPICAL = 4  # number of kinds that are typical of a place
_INDOOR = "cat girl boy bird dog ball chair table box umbrella"
# The kinds of things in each place. The first TYPICAL kinds are the typical ones.
_PLACES = {
    "park": "tree kite bicycle bird dog cat horse girl boy ball umbrella chair table box",
    "beach": "boat umbrella ball kite dog cat horse bird girl boy chair table box car bicycle",
    "street": "bus car house bicycle dog cat bird girl boy umbrella ball box chair tree",
    "desert": "horse bus bird car dog girl boy bicycle ball kite umbrella box house",
    "farm": "horse house bird tree dog cat girl boy car bicycle ball box chair table",
    "lake": "boat bird tree boy dog cat horse girl bicycle ball kite umbrella chair table box",
    "kitchen": _INDOOR,
    "bedroom": _INDOOR,
}
PLACES = {place: tuple(kinds.split()) for place, kinds in _PLACES.items()}
INDOORS = ("kitchen", "bedroom")
LIGHTS = {place: ("sunny", "night", "sunset") if place in (*INDOORS, "desert") else _WEATHERS for place in PLACES}

_GROUNDED = tuple(kind for kind in EXTENTS if kind not in ("kite", "boat"))
_SMALL = ("cat", "dog", "ball", "box")
_BACKS = ("house", "tree", "bus", "car")
_FRONTS = ("dog", "cat", "horse", "girl", "boy", "bicycle", "chair", "ball", "box")
# The links that a pair can have, with the kinds that its first and its second member can have.
PAIRS = {
    "on": (("table", "chair", "box", "car"), (*_SMALL, "bird")),
    "under": (("table", "umbrella"), _SMALL),
    "holding": (PEOPLE, ("ball", "kite", "umbrella", "box")),
    "in front of": (_BACKS, _FRONTS),
    "behind": (_BACKS, _FRONTS),
    "near": (_GROUNDED, _GROUNDED),
}
ROWS = ("ball", "bird", "box", "dog", "cat", "chair", "boat", "kite", "tree", "umbrella")
# How high the seat of a thing is, as a share of its height.
SEATS = {"table": 0.97, "chair": 0.47, "box": 0.93, "car": 0.95}
_CONVERSE = {"in front of": "behind", "behind": "in front of", "near": "near"}


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    """Return one of the options; each is as likely as the others."""
    return options[int(rng.integers(len(options)))]


@dataclass(frozen=True)
class Thing:
    """One thing. `x` is its centre and `y` its lower edge; a larger `depth` is nearer to the viewer."""

    kind: str
    colour: str
    size: str
    pattern: str  # "plain", "striped" or "spotted"
    pose: str  # "" for kinds without poses
    mirrored: bool  # True if the thing faces left
    x: float = 0.0
    y: float = 0.0
    depth: int = 0

    @property
    def look(self) -> tuple[str, ...]:
        """What one can see of the thing wherever it stands. Things that look alike are named together."""
        return self.kind, self.colour, self.size, self.pattern, self.pose

    @property
    def width(self) -> float:
        """The width in pixels."""
        return EXTENTS[self.kind][self.pose][0] * SIZES[self.size]

    @property
    def height(self) -> float:
        """The height in pixels."""
        return EXTENTS[self.kind][self.pose][1] * SIZES[self.size]


@dataclass(frozen=True)
class Relation:
    """A relation that holds in a scene: `things[subject]` is, for example, left of `things[object]`."""

    subject: int
    name: str
    object: int


@dataclass(frozen=True)
class Scene:
    """A complete scene: its place, its light, its things with their positions, and all relations that hold."""

    place: str
    light: str
    backdrop: int  # number of the backdrop, 0 to 3
    things: tuple[Thing, ...]
    relations: tuple[Relation, ...]


@dataclass(frozen=True)
class Group:
    """Things that share a column of the picture. `link` is a key of PAIRS, or "alone" or "row"."""

    link: str
    members: tuple[Thing, ...]


@dataclass(frozen=True)
class Plan:
    """A scene before its things have positions. The groups stand in their order from left to right."""

    place: str
    light: str
    backdrop: int
    groups: tuple[Group, ...]


def palette(kind: str) -> tuple[str, ...]:
    """Return the colours that a kind of thing may have."""
    return _PALETTES.get(kind, COLOURS)


def span(group: Group) -> tuple[float, float]:
    """Return the left and the right end of a group, relative to its origin."""
    places = [(dx, thing) for (dx, _, _), thing in zip(_offsets(group), group.members, strict=True)]
    left = min(dx - thing.width / 2 for dx, thing in places)
    return left, max(dx + thing.width / 2 for dx, thing in places)


def lay_out(plan: Plan, rng: np.random.Generator) -> Scene:
    """Give every thing its position. The groups stand side by side, each in a column of its own."""
    spans = [span(group) for group in plan.groups]
    slack = WIDTH - 8 - sum(right - left for left, right in spans)
    gaps = 6 + (slack - 6 * len(spans)) * rng.dirichlet(np.full(5, 2.0))
    lanes = rng.permutation(5)  # how far to the front each group stands
    placed, columns, edge = [], [], 4.0
    for column, (group, (left, right)) in enumerate(zip(plan.groups, spans, strict=True)):
        origin, edge = edge + gaps[column] - left, edge + gaps[column] + right - left
        ground = _ground(group.members[0], int(lanes[column]))
        for thing, (dx, dy, dz) in zip(group.members, _offsets(group), strict=True):
            placed.append((ground + dz, replace(thing, x=float(origin + dx), y=ground + dy)))
            columns.append(column)
    ranks = np.argsort(np.argsort([z for z, _ in placed], kind="stable"))
    things = tuple(replace(t, depth=int(r)) for (_, t), r in zip(placed, ranks, strict=True))
    relations = _linked(plan) + _compared(things, columns)
    return Scene(plan.place, plan.light, plan.backdrop, things, relations)


def _ground(thing: Thing, lane: int) -> float:
    """Return the lower edge of a group: in the sky, on the water or on the ground."""
    if thing.kind == "kite" or thing.pose == "flying":
        return 62.0 + 6 * lane
    return 116.0 + 2 * lane if thing.kind == "boat" else 150.0 + 7 * lane


def _offsets(group: Group) -> list[tuple[float, float, float]]:
    """Return (dx, dy, nearness) of each member, relative to the origin of the group."""
    first, second = group.members[0], group.members[-1]
    side = -1 if first.mirrored else 1
    w, h = first.width, first.height
    if group.link == "alone":
        return [(0, 0, 0)]
    if group.link == "row":
        return [(i * (w + 4), 4 * (i % 2), 0.1 * i) for i in range(len(group.members))]
    if group.link == "holding":
        reach = side * 0.44 * w
        held = {
            "umbrella": (reach, -0.36 * h, -0.5),
            "kite": (reach + side * 0.5 * second.width, -0.8 * h, 0.5),
        }.get(second.kind, (reach + side * 0.3 * second.width, second.height / 2 - 0.5 * h, 0.5))
        return [(0, 0, 0), held]
    seat = side * 0.06 * w if first.kind == "chair" else 0
    pairs: dict[str, list[tuple[float, float, float]]] = {
        "on": [(0, 0, 0), (seat, -SEATS.get(first.kind, 1) * h, 0.5)],
        "under": [(0, 0, 0.5), (side * 0.1 * w, -1, 0)],
        "in front of": [(0, -8, 0), (side * 0.4 * w, 2, 0.5)],
        "behind": [(0, 0, 0.5), (side * 0.52 * w, -8, 0)],
        "near": [(0, 0, 0), (side * ((w + second.width) / 2 + 3), 0, 0.1)],
    }
    return pairs[group.link]


def _linked(plan: Plan) -> tuple[Relation, ...]:
    """Return the relations that the links of a plan mean."""
    relations, start = [], 0
    for group in plan.groups:
        first, second = start, start + 1
        if group.link == "holding":
            relations.append(Relation(first, "holding", second))
        elif group.link in PAIRS:
            relations.append(Relation(second, group.link, first))
            if group.link in _CONVERSE:
                relations.append(Relation(first, _CONVERSE[group.link], second))
        start += len(group.members)
    return tuple(relations)


def _compared(things: tuple[Thing, ...], columns: list[int]) -> tuple[Relation, ...]:
    """Return the relations "left of", "right of" and "bigger than", which follow from the columns and the sizes.

    A thing is bigger than another if its area is 1.7 to 8 times as large.
    """
    relations = []
    for i, j in permutations(range(len(things)), 2):
        if columns[i] != columns[j]:
            relations.append(Relation(i, "left of" if columns[i] < columns[j] else "right of", j))
        one, other = things[i], things[j]
        if 1.7 < one.width * one.height / (other.width * other.height) < 8:
            relations.append(Relation(i, "bigger than", j))
    return tuple(relations)
