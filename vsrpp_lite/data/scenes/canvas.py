"""The canvas on which backdrops are drawn: colours in each light, simple shapes, and skies.

The canvas is `SCALE` times as wide and as high as the picture. Reducing it at the end smooths the edges.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from vsrpp_lite.data.scenes.world import HEIGHT, INDOORS, WIDTH

SCALE = 2
Colour = tuple[int, int, int]

# The colours of the sky in each light, at the top, in the middle and at the horizon.
SKIES = {
    "sunny": ((74, 152, 228), (140, 200, 245), (224, 243, 252)),
    "night": ((10, 14, 44), (26, 34, 82), (62, 70, 124)),
    "rain": ((98, 110, 126), (132, 144, 156), (176, 186, 194)),
    "snow": ((168, 184, 204), (200, 212, 226), (232, 238, 246)),
    "sunset": ((66, 56, 128), (226, 110, 108), (255, 190, 104)),
}
# How each light changes all other colours: the share of its own colour that a thing keeps, and the colour that fills
# the rest.
TINTS = {
    "sunny": (1.0, (0, 0, 0)),
    "night": (0.62, (14, 18, 62)),
    "rain": (0.82, (96, 108, 120)),
    "snow": (0.92, (214, 224, 238)),
    "sunset": (0.8, (250, 130, 70)),
}
# The same inside a house.
_INDOORS = {
    "night": (0.8, (70, 50, 60)),
    "sunset": (0.88, (250, 150, 80)),
    "sunny": (1.0, (0, 0, 0)),
}


@lru_cache(maxsize=4096)
def tint(colour: Colour, place: str, light: str) -> Colour:
    """Return how a daylight colour looks in this light at this place."""
    strength, towards = TINTS[light]
    if place in INDOORS:
        strength, towards = _INDOORS[light]
    red, green, blue = (int(c * strength + t * (1 - strength)) for c, t in zip(colour, towards, strict=True))
    return red, green, blue


class Canvas:
    """A picture while it is drawn. All its methods take lengths in pixels of the final picture."""

    def __init__(self, place: str, light: str, rng: np.random.Generator) -> None:
        self.place, self.light, self.rng = place, light, rng
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def ramp(self, stops: tuple[Colour, ...], top: float, bottom: float, *, lit: bool = False) -> None:
        """Fill the rows from `top` to `bottom` with colours that pass smoothly from one stop to the next.

        With `lit`, the colours stay the same in every light.
        """
        rows = np.arange(int(top * SCALE), int(bottom * SCALE))
        stops = stops if lit else tuple(tint(stop, self.place, self.light) for stop in stops)
        where = np.linspace(rows[0], rows[-1], len(stops))
        bands = np.stack([np.interp(rows, where, band) for band in zip(*stops, strict=True)], 1)
        strip = np.repeat(bands[:, None], WIDTH * SCALE, 1).astype(np.uint8)
        self.image.paste(Image.fromarray(strip), (0, int(rows[0])))

    def shape(self, form: str, colour: Colour, *path: float, alpha: int = 255, width: float = 1,
              lit: bool = False) -> None:  # fmt: skip
        """Draw an "oval", "box", "poly" or "line" through the points x0, y0, x1, y1, ... of `path`.

        With `lit`, the shape shines by itself: its colour stays the same in every light.
        """
        fill = (*(colour if lit else tint(colour, self.place, self.light)), alpha)
        points = [value * SCALE for value in path]
        if form == "line":
            self.pen.line(points, fill=fill, width=max(1, round(width * SCALE)), joint="curve")
        else:
            draw = {"oval": self.pen.ellipse, "box": self.pen.rectangle, "poly": self.pen.polygon}
            draw[form](points, fill=fill)

    def ridge(self, colour: Colour, height: float, swing: float, waves: float) -> None:
        """Draw a line of hills: their upper edge swings about the row `height`."""
        x = np.linspace(0, WIDTH, 65)
        phase = self.rng.uniform(0, 6.3, 2)
        y = height - swing * (np.sin(x * waves / 40 + phase[0]) + 0.5 * np.sin(x * waves / 17 + phase[1]))
        self.shape("poly", colour, 0, HEIGHT, *np.stack([x, y], 1).ravel().tolist(), WIDTH, HEIGHT)

    def speckle(self, colours: tuple[Colour, ...], top: float, count: int, size: float) -> None:
        """Scatter short blades or grains over the ground. They are larger where the ground is nearer to the viewer."""
        for x, y in self.rng.uniform((0, top), (WIDTH, HEIGHT), (count, 2)):
            near = size * (0.4 + (y - top) / (HEIGHT - top))
            colour = colours[int(self.rng.integers(len(colours)))]
            self.shape("line", colour, x, y, x + near * 0.4, y - near, width=0.6, alpha=120)


def add_sky(canvas: Canvas, box: tuple[float, float, float, float] = (0, 0, WIDTH, 120)) -> None:
    """Draw the sky with its sun, moon, stars and clouds inside a box, which may be a window."""
    x0, y0, x1, y1 = box
    outside = canvas.image.copy()
    canvas.ramp(SKIES[canvas.light], y0, y1, lit=True)
    width, light, rng = x1 - x0, canvas.light, canvas.rng
    x, y, r = x0 + width * rng.uniform(0.2, 0.8), y0 + (y1 - y0) * 0.24, min(13, (y1 - y0) / 6)
    if light == "night":
        for sx, sy in rng.uniform((x0, y0), (x1, y1 * 0.8), (int(width / 4), 2)):
            size = rng.uniform(0.3, 1.0)
            canvas.shape("oval", (255, 250, 220), sx - size, sy - size, sx + size, sy + size, lit=True)
        _glow(canvas, x, y, r, (255, 246, 208))
    elif light in ("sunny", "sunset"):
        _glow(canvas, x, y if light == "sunny" else y0 + (y1 - y0) * 0.62, r, (255, 236, 150))
    tones = {"night": (58, 64, 104), "rain": (84, 94, 108), "sunset": (250, 150, 130)}
    for cx, cy in rng.uniform((x0, y0), (x1, y0 + (y1 - y0) * 0.5), (5 if light != "night" else 2, 2)):
        for dx, dy, size in ((-11, 2, 7), (0, 0, 10), (12, 2, 8), (22, 4, 5)):
            edges = (
                cx + dx - 1.5 * size,
                cy + dy - size / 2,
                cx + dx + 1.5 * size,
                cy + dy + size / 2,
            )
            canvas.shape("oval", tones.get(light, (255, 255, 255)), *edges, alpha=150, lit=True)
    inside = canvas.image.crop((int(x0 * SCALE), int(y0 * SCALE), int(x1 * SCALE), int(y1 * SCALE)))
    inside = inside.filter(ImageFilter.BoxBlur(1))
    canvas.image.paste(outside)
    canvas.image.paste(inside, (int(x0 * SCALE), int(y0 * SCALE)))


def _glow(canvas: Canvas, x: float, y: float, r: float, colour: Colour) -> None:
    for grow, alpha in ((2.6, 22), (2.0, 34), (1.5, 52), (1.0, 255)):
        edges = (x - r * grow, y - r * grow, x + r * grow, y + r * grow)
        canvas.shape("oval", colour, *edges, alpha=alpha, lit=True)
