"""Backdrops: the ground and the fixed furniture of each place, in each light.

Coordinates are pixels of the final picture.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from vsrpp_lite.data.scenes.canvas import SCALE, Canvas, Colour, add_sky
from vsrpp_lite.data.scenes.world import HEIGHT, INDOORS, WIDTH


@lru_cache(maxsize=256)
def backdrop(place: str, light: str, number: int) -> np.ndarray:
    """Draw the place without things; return (192, 256, 3) float32 in [0, 255].

    The same arguments give the same picture, so the cache keeps it. The caller must not change the array.
    """
    rng = np.random.default_rng([list(_PLACES).index(place), number])
    canvas = Canvas(place, light, rng)
    if place not in INDOORS:
        add_sky(canvas)
    _PLACES[place](canvas)
    picture = np.asarray(canvas.image.reduce(SCALE), dtype=np.float32)
    picture = picture + rng.normal(0, 1.6, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return np.clip(picture, 0, 255)


def _ground(canvas: Canvas, top: float, far: Colour, near: Colour, grain: tuple[Colour, ...]) -> None:
    """Draw the ground outdoors from the row `top` to the bottom. In snow it is white, whatever its colours are."""
    if canvas.light == "snow":
        far, near, grain = (226, 233, 243), (246, 249, 253), ((205, 215, 230), (255, 255, 255))
    canvas.ramp((far, near), top, HEIGHT)
    canvas.speckle(grain, top, 420, 4)


_GRASS = ((86, 150, 66), (134, 190, 92), (70, 128, 60))


def _park(canvas: Canvas) -> None:
    canvas.ridge((112, 170, 120), 92, 5, 1.0)
    for x in range(-6, WIDTH, 15):
        r = canvas.rng.uniform(9, 15)
        shade = (72 + int(2 * r), 132 + int(2 * r), 78)
        canvas.shape("oval", shade, x - r, 100 - 1.6 * r, x + r, 112)
    _ground(canvas, 106, (122, 184, 92), (98, 162, 74), _GRASS)
    bend = canvas.rng.uniform(60, 200)
    canvas.shape("poly", (222, 204, 162), bend - 6, 106, bend + 6, 106, bend + 50, 192, bend - 34, 192)
    for x, y in canvas.rng.uniform((0, 116), (WIDTH, HEIGHT), (26, 2)):
        canvas.shape("oval", (250, 236, 130), x - 1.2, y - 1.2, x + 1.2, y + 1.2)


def _water(canvas: Canvas, top: float, bottom: float, far: Colour, near: Colour) -> None:
    canvas.ramp((far, near), top, bottom)
    for y in np.arange(top + 2, bottom, 3.4):
        for x in canvas.rng.uniform(0, WIDTH, 9):
            reach = 2 + (y - top) * canvas.rng.uniform(0.15, 0.5)
            canvas.shape("line", (235, 246, 252), x - reach, y, x + reach, y, width=0.7, alpha=110)


def _beach(canvas: Canvas) -> None:
    _water(canvas, 86, 132, (40, 118, 178), (92, 186, 206))
    x = np.linspace(0, WIDTH, 40)
    wave = 128 + 3 * np.sin(x / 19 + canvas.rng.uniform(0, 6))
    _ground(canvas, 132, (242, 222, 172), (228, 198, 142), ((206, 176, 120), (250, 236, 196)))
    sand = (226, 233, 243) if canvas.light == "snow" else (242, 222, 172)
    for lift, colour in ((0, (250, 253, 255)), (3, sand)):
        shore = np.stack([x, wave + lift], 1).ravel().tolist()
        canvas.shape("poly", colour, 0, 136, *shore, WIDTH, 136)
    for x, y in canvas.rng.uniform((4, 142), (WIDTH, HEIGHT), (7, 2)):
        canvas.shape("oval", (250, 190, 170), x - 2, y - 1.4, x + 2, y + 1.4)


def _lake(canvas: Canvas) -> None:
    canvas.ridge((128, 148, 178), 66, 9, 0.7)
    canvas.ridge((82, 128, 104), 80, 5, 1.3)
    _water(canvas, 88, 134, (70, 126, 160), (104, 168, 186))
    _ground(canvas, 134, (116, 172, 88), (92, 152, 72), _GRASS)
    for x in canvas.rng.uniform(0, WIDTH, 26):
        tall = canvas.rng.uniform(8, 18)
        canvas.shape("line", (78, 122, 56), x, 138, x + 2, 138 - tall, width=1)
        canvas.shape("line", (120, 82, 46), x + 2, 139 - tall, x + 2.4, 134 - tall, width=2)


def _street(canvas: Canvas) -> None:
    x, lamps = -8.0, (255, 226, 130)
    while x < WIDTH:
        wide, top = canvas.rng.uniform(24, 44), canvas.rng.uniform(18, 64)
        shade = canvas.rng.integers(0, 40)
        wall = (168 - int(shade), 150 - int(shade // 2), 150)
        canvas.shape("box", wall, x, top, x + wide, 118)
        for wx in np.arange(x + 4, x + wide - 5, 8):
            for wy in np.arange(top + 5, 108, 11):
                on = canvas.light in ("night", "sunset") and canvas.rng.random() < 0.5
                canvas.shape("box", lamps if on else (196, 216, 228), wx, wy, wx + 4, wy + 6, lit=on)
        x += wide + canvas.rng.uniform(0, 5)
    canvas.ramp(((190, 188, 184), (206, 203, 198)), 116, 134)
    canvas.shape("line", (150, 148, 146), 0, 134, WIDTH, 134, width=1.6)
    _ground(canvas, 135, (118, 122, 130), (96, 99, 108), ((86, 90, 98), (136, 140, 146)))
    for x in range(-20, WIDTH, 46):
        canvas.shape("poly", (240, 236, 220), x, 164, x + 24, 164, x + 22, 168, x - 3, 168)


def _desert(canvas: Canvas) -> None:
    for x in canvas.rng.uniform(0, WIDTH, 2):
        canvas.shape("poly", (206, 134, 92), x - 44, 112, x - 26, 68, x + 22, 66, x + 40, 112)
        canvas.shape("poly", (184, 112, 80), x - 2, 112, x + 6, 67, x + 22, 66, x + 40, 112)
    canvas.ridge((226, 170, 104), 102, 6, 0.8)
    _ground(canvas, 114, (238, 196, 128), (220, 168, 98), ((198, 146, 82), (248, 216, 156)))
    for x, y in canvas.rng.uniform((10, 112), (WIDTH - 10, 134), (4, 2)):
        arms = ((x + 7, y - 9, y - 18), (x - 6, y - 12, y - 19))
        canvas.shape("line", (66, 132, 84), x, y, x, y - 24, width=3.4)
        for end, low, high in arms:
            canvas.shape("line", (66, 132, 84), x, low, end, low, end, high, width=2.8)


def _farm(canvas: Canvas) -> None:
    canvas.ridge((150, 182, 96), 94, 5, 0.8)
    x = canvas.rng.uniform(30, 200)
    canvas.shape("box", (170, 60, 50), x, 70, x + 48, 108)
    canvas.shape("poly", (120, 72, 62), x - 4, 72, x + 8, 54, x + 40, 54, x + 52, 72)
    canvas.shape("box", (238, 226, 210), x + 16, 84, x + 32, 108)
    canvas.shape("line", (170, 60, 50), x + 16, 84, x + 32, 108, width=1.5)
    _ground(canvas, 106, (178, 192, 92), (146, 164, 74), ((122, 144, 62), (204, 204, 112)))
    for x in range(-120, WIDTH + 120, 26):
        middle = WIDTH / 2
        path = (middle + (x - middle) * 0.55, 132, middle + (x - middle) * 1.6, HEIGHT)
        canvas.shape("line", (150, 124, 76), *path, width=2, alpha=70)
    for y in (116, 123):
        canvas.shape("line", (236, 226, 208), 0, y, WIDTH, y, width=1.8)
    for x in range(8, WIDTH, 24):
        canvas.shape("box", (236, 226, 208), x - 1.5, 110, x + 1.5, 131)


def _window(canvas: Canvas, x: float, y: float, wide: float, tall: float) -> None:
    add_sky(canvas, (x, y, x + wide, y + tall))
    right, low, middle, half = x + wide, y + tall, x + wide / 2, y + tall / 2
    frame = (x, y, right, y, right, low, x, low, x, y)
    for path in (frame, (middle, y, middle, low), (x, half, right, half)):
        canvas.shape("line", (250, 248, 242), *path, width=2.6)


def _kitchen(canvas: Canvas) -> None:
    canvas.ramp(((244, 236, 214), (236, 224, 196)), 0, 116)
    for x in range(0, WIDTH, 12):
        canvas.shape("line", (222, 208, 178), x, 62, x, 100, width=0.6)
    for y in (62, 74, 87):
        canvas.shape("line", (222, 208, 178), 0, y, WIDTH, y, width=0.6)
    left = int(canvas.rng.integers(0, 2)) * 150 + 20
    for x in range(left - 120, WIDTH, 42):
        if not left - 42 < x < left + 84:
            canvas.shape("box", (112, 158, 160), x, 6, x + 39, 50)
            canvas.shape("box", (132, 178, 178), x + 4, 10, x + 35, 46)
            canvas.shape("oval", (240, 232, 210), x + 30, 38, x + 33, 41)
    _window(canvas, left, 10, 70, 50)
    canvas.shape("box", (92, 136, 138), 0, 92, WIDTH, 130)
    for x in range(0, WIDTH, 43):
        canvas.shape("box", (112, 158, 160), x, 92, x + 41, 130)
        canvas.shape("box", (132, 178, 178), x + 4, 97, x + 37, 126)
    canvas.shape("box", (206, 190, 170), 0, 88, WIDTH, 94)
    canvas.ramp(((206, 196, 188), (228, 220, 212)), 130, HEIGHT)
    for x in range(-300, 560, 32):
        canvas.shape("line", (180, 168, 160), 128 + (x - 128) * 0.6, 130, x, HEIGHT, width=0.8)
    for y in (138, 149, 164, 182):
        canvas.shape("line", (180, 168, 160), 0, y, WIDTH, y, width=0.8)


def _bedroom(canvas: Canvas) -> None:
    canvas.ramp(((196, 206, 232), (212, 218, 238)), 0, 128)
    for x in range(6, WIDTH, 16):
        canvas.shape("line", (182, 194, 224), x, 0, x, 126, width=3, alpha=120)
    canvas.ramp(((186, 138, 94), (204, 158, 112)), 128, HEIGHT)
    canvas.shape("box", (240, 238, 232), 0, 125, WIDTH, 129)
    right = bool(canvas.rng.integers(2))
    _window(canvas, 24 if right else 172, 14, 60, 58)
    x = 132 if right else 6
    canvas.shape("box", (150, 102, 66), x, 62, x + 118, 132)
    canvas.shape("box", (236, 232, 226), x + 4, 88, x + 114, 132)
    canvas.shape("oval", (255, 255, 255), x + 10, 78, x + 52, 96)
    canvas.shape("oval", (255, 255, 255), x + 64, 78, x + 106, 96)
    canvas.shape("poly", (120, 140, 196), x + 2, 104, x + 116, 104, x + 118, 138, x, 138)
    for y in (136, 143, 151, 162, 176):
        canvas.shape("line", (162, 116, 76), 0, y, WIDTH, y, width=0.8)
    canvas.shape("oval", (226, 204, 196), 60, 150, 200, 186, alpha=150)


_PLACES: dict[str, Callable[[Canvas], None]] = {
    "park": _park, "beach": _beach, "street": _street, "desert": _desert,
    "farm": _farm, "lake": _lake, "kitchen": _kitchen, "bedroom": _bedroom,
}  # fmt: skip
