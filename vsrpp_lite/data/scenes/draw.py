"""Pictures of scenes: each thing becomes a sprite, and the sprites cover the place from back to front."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from vsrpp_lite.data.scenes.canvas import SCALE, Colour, tint
from vsrpp_lite.data.scenes.places import backdrop
from vsrpp_lite.data.scenes.shapes import SHAPES
from vsrpp_lite.data.scenes.world import HEIGHT, INDOORS, WIDTH, Scene, Thing

MARGIN = 3  # pixels around a sprite, for its outline and for strokes that reach beyond its extent

THING_COLOURS: dict[str, Colour] = {
    "red": (214, 44, 42), "orange": (242, 132, 30), "yellow": (248, 212, 48),
    "green": (56, 160, 74), "blue": (44, 102, 210), "purple": (134, 70, 176),
    "pink": (246, 142, 186), "white": (246, 246, 242), "black": (50, 50, 58),
    "brown": (132, 84, 48),
}  # fmt: skip
PAINTS: dict[str, Colour] = {
    "ink": (34, 32, 40), "white": (250, 250, 248), "steel": (176, 182, 190),
    "skin": (242, 196, 160), "hair": (96, 60, 36), "rose": (224, 96, 104),
    "denim": (70, 88, 124), "glass": (178, 214, 236), "lamp": (255, 226, 120),
    "amber": (244, 164, 44), "lime": (150, 200, 80), "trunk": (116, 82, 54),
    "slate": (122, 78, 74), "straw": (232, 206, 150), "gloss": (255, 255, 255),
}  # fmt: skip


def draw(scene: Scene) -> tuple[Image.Image, np.ndarray]:
    """Draw a scene: return its picture, 256 x 192 RGB, and the visible extent of each of its K things.

    The extents are (K, 4) float32, pixel corners x0, y0, x1, y1, in the order of `scene.things`. The four numbers
    of a thing that is hidden completely are zero.
    """
    canvas = backdrop(scene.place, scene.light, scene.backdrop).copy()
    owner = np.full((HEIGHT, WIDTH), -1, dtype=np.int8)  # the number of the thing that each pixel shows
    for thing in scene.things:
        _cast_shadow(canvas, thing, scene)
    for number in sorted(range(len(scene.things)), key=lambda k: scene.things[k].depth):
        thing = scene.things[number]
        sprite = _sprite(
            thing.kind, thing.pose, thing.colour, thing.pattern, thing.mirrored,
            round(thing.width), round(thing.height), scene.place, scene.light,
        )  # fmt: skip
        left = round(thing.x - thing.width / 2) - MARGIN
        top = round(thing.y - thing.height) - MARGIN
        x0, y0 = max(left, 0), max(top, 0)
        part = sprite[y0 - top : HEIGHT - top, x0 - left : WIDTH - left]
        window = slice(y0, y0 + part.shape[0]), slice(x0, x0 + part.shape[1])
        cover = part[..., 3:].astype(np.float32) / 255
        canvas[window] += (part[..., :3] - canvas[window]) * cover
        owner[window][cover[..., 0] > 0.5] = number
    _fall(canvas, scene)
    boxes = np.array([_extent(owner == number) for number in range(len(scene.things))], np.float32)
    return Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8)), boxes


def _extent(seen: np.ndarray) -> tuple[int, int, int, int]:
    """Return the corners of the smallest box that holds all true pixels, or zeros if no pixel is true."""
    return Image.fromarray(seen).getbbox() or (0, 0, 0, 0)


def _cast_shadow(canvas: np.ndarray, thing: Thing, scene: Scene) -> None:
    """Darken a flat ellipse with soft edges under a thing that stands on the ground."""
    if thing.y < 145:
        return
    strength = {"sunny": 0.42, "sunset": 0.42, "night": 0.4}.get(scene.light, 0.26)
    reach, depth = thing.width * 0.56, 4 + thing.width * 0.05
    slant = 0.0
    if scene.place not in INDOORS:
        slant = {"sunny": 0.12, "sunset": -0.2}.get(scene.light, 0) * thing.width
    y0, y1 = int(thing.y - depth), min(HEIGHT, int(thing.y + depth) + 1)
    x0, x1 = int(max(0, thing.x + slant - reach)), int(min(WIDTH, thing.x + slant + reach + 1))
    y = (np.arange(y0, y1, dtype=np.float32)[:, None] - thing.y + 1) / depth
    x = (np.arange(x0, x1, dtype=np.float32) - thing.x - slant) / reach
    shade = np.clip(1 - x**2 - y**2, 0, 1)
    canvas[y0:y1, x0:x1] *= 1 - strength * np.sqrt(shade)[..., None]


def _fall(canvas: np.ndarray, scene: Scene) -> None:
    """Let rain or snow fall over the whole picture."""
    if scene.light in ("rain", "snow"):
        veil = _veil(scene.light, scene.backdrop)
        colour = 235 if scene.light == "rain" else 255
        canvas += (colour - canvas) * veil


@lru_cache(maxsize=16)
def _veil(light: str, number: int) -> np.ndarray:
    """Return the opacity of the rain or snow at each pixel, (192, 256, 1) float32 in [0, 1]."""
    rng = np.random.default_rng(100 + number)
    veil = Image.new("L", (WIDTH * SCALE, HEIGHT * SCALE))
    pen = ImageDraw.Draw(veil)
    for x, y, size in rng.uniform((0, -20, 0), (WIDTH * SCALE + 20, HEIGHT * SCALE, 1), (230, 3)):
        if light == "rain":
            length = 10 + 16 * size
            pen.line([x, y, x - 0.3 * length, y + length], fill=int(70 + 70 * size), width=2)
        else:
            r = 1 + 2.6 * size**2
            pen.ellipse([x - r, y - r, x + r, y + r], fill=int(150 + 100 * size))
    return np.asarray(veil.reduce(SCALE), dtype=np.float32)[..., None] / 255


# --- sprites --------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _sprite(
    kind: str, pose: str, colour: str, pattern: str, mirrored: bool,
    width: int, height: int, place: str, light: str,
) -> np.ndarray:  # fmt: skip
    """Draw a thing with MARGIN pixels around it; return (height, width, 4) uint8, whose last channel is the opacity.

    The cache keeps sprites, since the scenes of a family share most of their things. So the caller must not change
    the array.
    """
    size = (width + 2 * MARGIN) * SCALE, (height + 2 * MARGIN) * SCALE
    image, body = Image.new("RGBA", size), Image.new("L", size)
    strokes = [(form, paint, _scaled(form, path, width, height)) for form, paint, *path in SHAPES[kind, pose]]
    base = THING_COLOURS[colour]
    paints = {name: (*tint(value, place, light), 255) for name, value in PAINTS.items()}
    paints["body"] = (*tint(base, place, light), 255)
    paints["dark"] = (*tint(tuple(int(c * 0.72) for c in base), place, light), 255)
    paints["pale"] = (*tint(tuple(int(c * 0.7 + 76) for c in base), place, light), 255)
    outline = (*(int(c * 0.42) for c in paints["body"][:3]), 255)
    pen, mask = ImageDraw.Draw(image), ImageDraw.Draw(body)
    for form, _, numbers in strokes:
        _stroke(pen, form, numbers, outline, grow=1.7)
    for form, paint, numbers in strokes:
        _stroke(pen, form, numbers, paints[paint])
        if pattern != "plain":
            _stroke(mask, form, numbers, 255 if paint == "body" else 0)
    if pattern != "plain":
        contrast = (250, 250, 246) if sum(base) < 560 else (70, 66, 80)
        mixed = tuple(int(0.75 * c + 0.25 * b) for c, b in zip(contrast, base, strict=True))
        image.paste((*tint(mixed, place, light), 255), mask=ImageChops.multiply(body, _print(pattern, size)))
    sprite = np.asarray(image.reduce(SCALE)).astype(np.float32)
    sprite[..., :3] *= np.linspace(1.1, 0.84, len(sprite), dtype=np.float32)[:, None, None]
    sprite = np.clip(sprite, 0, 255).astype(np.uint8)
    return sprite[:, ::-1] if mirrored else sprite


def _scaled(form: str, path: list[float], width: int, height: int) -> list[float]:
    """Return the numbers of a stroke in pixels of the enlarged canvas."""
    head = path[:1] if form in ("line", "ring") else []
    sides = np.array([width, height] * (len(path) // 2)) * SCALE / 100
    corners = np.array(path[len(head) :]) * sides + MARGIN * SCALE
    return [value * height * SCALE / 100 for value in head] + corners.tolist()


def _stroke(
    pen: ImageDraw.ImageDraw,
    form: str,
    numbers: list[float],
    fill: int | tuple[int, ...],
    grow: float = 0,
) -> None:
    """Draw one stroke, and make it `grow` pixels larger on all sides."""
    if form in ("oval", "box"):
        x0, y0, x1, y1 = numbers
        edges = (x0 - grow, y0 - grow, x1 + grow, y1 + grow)
        if form == "oval":
            pen.ellipse(edges, fill=fill)
        else:
            pen.rectangle(edges, fill=fill)
    elif form == "ring":
        thick, x0, y0, x1, y1 = numbers
        edges = (x0 - grow, y0 - grow, x1 + grow, y1 + grow)
        pen.ellipse(edges, outline=fill, width=round(thick + 2 * grow))
    elif form == "line":
        thick, *path = numbers
        width = max(2, round(thick + 2 * grow))
        pen.line(path, fill=fill, width=width, joint="curve")
        for x, y in (path[:2], path[-2:]):  # a disc makes each end round
            r = width / 2 - 0.5
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)
    else:
        pen.polygon(numbers, fill=fill)
        if grow:
            pen.line([*numbers, *numbers[:4]], fill=fill, width=round(2 * grow), joint="curve")


@lru_cache(maxsize=512)
def _print(pattern: str, size: tuple[int, int]) -> Image.Image:
    """Draw a mask of stripes or spots: 255 on them, 0 between them."""
    cloth = Image.new("L", size)
    pen = ImageDraw.Draw(cloth)
    width, height = size
    step = 13
    if pattern == "striped":
        for x in range(-height, width, step):
            pen.line([x, height, x + height * 0.35, 0], fill=255, width=5)
    else:
        for row, y in enumerate(range(2, height, step)):
            for x in range(row % 2 * step // 2, width, step):
                pen.ellipse([x - 3.4, y - 3.4, x + 3.4, y + 3.4], fill=255)
    return cloth
