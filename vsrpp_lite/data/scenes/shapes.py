"""How each kind of thing looks: a silhouette is a list of strokes.

A stroke is `(form, paint, *numbers)`. Coordinates are per cent of the thing's width and height. The x axis points to
the right and the y axis points down, and every thing faces right. These are the forms and their numbers:

* `oval` and `box`: x0, y0, x1, y1;
* `poly`: x0, y0, x1, y1, ...;
* `line`: its thickness in per cent of the height, then x0, y0, x1, y1, ...;
* `ring`: its thickness in per cent of the height, then x0, y0, x1, y1 of its oval.

A paint is a name of `draw.PAINTS`, or one of three others: `body` is the colour of the thing, `dark` and `pale`
are shades of it. Only `body` takes the pattern of the thing.
"""

Stroke = tuple[str, str, *tuple[float, ...]]

_DOG_HEAD = (
    ("oval", "body", 62, 6, 92, 48), ("oval", "body", 78, 22, 100, 46),
    ("oval", "dark", 61, 8, 73, 44), ("oval", "ink", 93, 24, 100, 33),
    ("oval", "white", 79, 16, 86, 26), ("oval", "ink", 81, 18, 86, 26),
)  # fmt: skip
_GIRL_HEAD = (
    ("oval", "hair", 28, 0, 68, 28), ("poly", "hair", 29, 12, 26, 36, 44, 36, 44, 12),
    ("oval", "skin", 36, 4, 69, 27), ("poly", "hair", 34, 12, 40, 2, 62, 1, 67, 9, 50, 9),
    ("oval", "ink", 53, 13, 57, 17), ("oval", "ink", 62, 13, 66, 17),
    ("line", "rose", 1.6, 55, 22, 64, 21.5),
)  # fmt: skip
_BOY_HEAD = (
    ("oval", "skin", 32, 2, 67, 27),
    ("poly", "hair", 30, 14, 32, 2, 48, -1, 66, 2, 68, 9, 42, 9, 36, 16),
    ("oval", "ink", 51, 13, 55, 17), ("oval", "ink", 60, 13, 64, 17),
    ("line", "rose", 1.6, 53, 22, 62, 21.5),
)  # fmt: skip
_CAT_HEAD = (
    ("poly", "body", 62, 26, 63, 0, 78, 14), ("poly", "body", 98, 26, 97, 0, 82, 14),
    ("poly", "rose", 66, 18, 66, 7, 73, 14), ("poly", "rose", 94, 18, 94, 7, 87, 14),
    ("oval", "body", 60, 10, 100, 58), ("oval", "lime", 67, 26, 76, 38),
    ("oval", "lime", 84, 26, 93, 38), ("oval", "ink", 70, 26, 74, 38),
    ("oval", "ink", 86, 26, 90, 38), ("poly", "rose", 77, 41, 83, 41, 80, 46),
    ("line", "white", 2, 72, 46, 56, 42), ("line", "white", 2, 88, 46, 103, 42),
)  # fmt: skip


def _moved(strokes: tuple[Stroke, ...], dx: float, dy: float, sx: float, sy: float) -> tuple[Stroke, ...]:
    """Scale the strokes by (sx, sy), then shift them by (dx, dy)."""
    moved: list[Stroke] = []
    for form, paint, *numbers in strokes:
        head = numbers[:1] if form in ("line", "ring") else []
        path = numbers[len(head) :]
        ends = [v * s + d for v, s, d in zip(path, [sx, sy] * 50, [dx, dy] * 50, strict=False)]
        scaled = [h * sy for h in head] + ends
        moved.append((form, paint, *scaled))
    return tuple(moved)


def _wheels(radius_x: float, radius_y: float, *centres: float) -> tuple[Stroke, ...]:
    """Return the strokes of one wheel, a tyre and a hub, at each of the centres. The wheels stand on the ground."""
    bottom = 100 - radius_y
    return tuple(
        (
            "oval",
            paint,
            x - radius_x * r,
            bottom - radius_y * r,
            x + radius_x * r,
            bottom + radius_y * r,
        )
        for x in centres
        for paint, r in (("ink", 1.0), ("steel", 0.5))
    )


SHAPES: dict[tuple[str, str], tuple[Stroke, ...]] = {
    ("dog", "standing"): (
        ("line", "body", 9, 12, 46, 2, 16), ("line", "dark", 13, 22, 60, 22, 94),
        ("line", "dark", 13, 58, 60, 58, 94), ("oval", "body", 6, 34, 72, 74),
        ("poly", "body", 50, 44, 66, 22, 84, 44, 70, 66), ("line", "body", 14, 14, 62, 14, 94),
        ("line", "body", 14, 66, 60, 66, 94), *_DOG_HEAD, ("line", "rose", 7, 64, 52, 78, 47),
    ),
    ("dog", "sitting"): (
        ("line", "body", 8, 22, 92, 2, 74), ("oval", "body", 12, 52, 62, 100),
        ("poly", "body", 22, 84, 44, 40, 76, 40, 74, 98, 40, 98),
        ("line", "dark", 9, 60, 60, 60, 96),
        ("line", "body", 10, 70, 56, 70, 96), ("oval", "dark", 62, 90, 82, 100),
        *_DOG_HEAD, ("line", "rose", 7, 48, 48, 78, 46),
    ),
    ("dog", "running"): (
        ("line", "body", 9, 16, 42, 0, 22), ("line", "dark", 12, 26, 60, 18, 94),
        ("line", "dark", 12, 60, 58, 74, 94), ("oval", "body", 10, 32, 72, 70),
        ("line", "body", 13, 18, 56, 3, 84), ("line", "body", 13, 66, 54, 92, 80),
        ("poly", "body", 52, 42, 66, 22, 84, 44, 70, 62), *_DOG_HEAD,
        ("line", "rose", 7, 64, 52, 76, 47),
    ),
    ("cat", "standing"): (
        ("line", "body", 9, 12, 52, 2, 30, 6, 6, 13, 4), ("line", "dark", 11, 24, 60, 24, 95),
        ("line", "dark", 11, 58, 60, 58, 95), ("oval", "body", 6, 42, 74, 76),
        ("line", "body", 12, 16, 62, 15, 95), ("line", "body", 12, 66, 60, 66, 95),
        *_CAT_HEAD,
    ),
    ("cat", "sitting"): (
        ("line", "body", 10, 68, 94, 94, 90, 96, 70), ("oval", "body", 14, 44, 86, 100),
        ("oval", "body", 24, 30, 76, 80), ("line", "dark", 4, 50, 74, 50, 98),
        ("oval", "pale", 26, 88, 49, 100), ("oval", "pale", 51, 88, 74, 100),
        *_moved(_CAT_HEAD, -106, 0, 1.95, 0.92),
    ),
    ("horse", "standing"): (
        ("line", "dark", 9, 8, 40, 2, 56, 4, 76), ("line", "dark", 9, 20, 55, 20, 98),
        ("line", "dark", 9, 58, 55, 58, 98), ("oval", "body", 6, 30, 72, 66),
        ("poly", "body", 50, 36, 70, 4, 82, 10, 78, 26, 72, 54),
        ("line", "body", 10, 12, 50, 12, 96),
        ("line", "body", 10, 66, 52, 66, 96),
        ("poly", "body", 68, 6, 82, 4, 100, 24, 96, 33, 86, 30, 74, 24),
        ("poly", "body", 70, 8, 71, -2, 78, 6), ("poly", "dark", 70, 4, 50, 36, 56, 40, 74, 14),
        ("line", "ink", 7, 12, 96, 12, 100), ("line", "ink", 7, 66, 96, 66, 100),
        ("oval", "ink", 81, 11, 85, 16), ("oval", "ink", 95, 25, 98, 28),
    ),
    ("horse", "running"): (
        ("line", "dark", 9, 10, 38, 0, 32, -1, 56), ("line", "dark", 8, 24, 55, 16, 76, 22, 96),
        ("line", "dark", 8, 58, 55, 72, 72, 64, 92), ("oval", "body", 8, 28, 72, 64),
        ("poly", "body", 50, 36, 70, 6, 82, 12, 78, 28, 72, 52),
        ("line", "body", 10, 16, 48, 8, 72, 0, 92),
        ("line", "body", 10, 64, 48, 84, 60, 90, 82),
        ("poly", "body", 68, 8, 82, 6, 100, 26, 96, 35, 86, 32, 74, 26),
        ("poly", "body", 70, 10, 69, 0, 78, 8), ("poly", "dark", 72, 4, 44, 26, 54, 40, 74, 16),
        ("oval", "ink", 81, 13, 85, 18), ("oval", "ink", 95, 27, 98, 30),
    ),
    ("bird", "standing"): (
        ("line", "amber", 5, 44, 78, 44, 100, 54, 100),
        ("line", "amber", 5, 58, 76, 58, 100, 68, 100),
        ("poly", "dark", 16, 50, -2, 36, 0, 60, 22, 68), ("oval", "body", 10, 30, 78, 86),
        ("oval", "body", 50, 6, 90, 54), ("poly", "amber", 86, 22, 102, 32, 86, 38),
        ("poly", "dark", 20, 46, 56, 46, 48, 70, 12, 62), ("oval", "white", 70, 16, 82, 30),
        ("oval", "ink", 74, 19, 82, 29),
    ),
    ("bird", "flying"): (
        ("poly", "dark", 44, 52, 50, 0, 66, 8, 66, 52),
        ("poly", "dark", 22, 58, 0, 46, 2, 72, 24, 74),
        ("oval", "body", 16, 42, 80, 84), ("oval", "body", 62, 28, 90, 68),
        ("poly", "body", 34, 58, 14, 0, 36, 6, 58, 56), ("poly", "amber", 87, 42, 102, 50, 87, 56),
        ("oval", "white", 75, 36, 83, 47), ("oval", "ink", 78, 38, 83, 46),
    ),
    ("girl", "standing"): (
        ("line", "skin", 6, 40, 70, 40, 96), ("line", "skin", 6, 58, 70, 58, 96),
        ("line", "ink", 5, 38, 98, 46, 98), ("line", "ink", 5, 56, 98, 64, 98),
        ("line", "skin", 5.5, 34, 33, 16, 54), ("line", "skin", 5.5, 62, 34, 94, 48),
        ("poly", "body", 36, 28, 62, 28, 66, 46, 82, 76, 16, 76, 32, 46), *_GIRL_HEAD,
    ),
    ("girl", "running"): (
        ("line", "skin", 6, 44, 68, 30, 82, 8, 84), ("line", "skin", 6, 56, 68, 74, 80, 76, 96),
        ("line", "ink", 5, 6, 80, 5, 88), ("line", "ink", 5, 75, 98, 83, 98),
        ("line", "skin", 5.5, 38, 34, 16, 48, 8, 40), ("line", "skin", 5.5, 60, 34, 80, 46, 94, 36),
        ("poly", "body", 38, 28, 60, 28, 64, 46, 74, 72, 22, 74, 34, 46), *_moved(_GIRL_HEAD, 14,
         0, 0.72, 1),
    ),
    ("girl", "sitting"): (
        ("line", "skin", 8, 48, 88, 92, 92), ("line", "ink", 9, 93, 92, 96, 84),
        ("line", "skin", 7, 30, 46, 10, 92),
        ("poly", "body", 24, 38, 46, 38, 52, 70, 72, 84, 72, 98, 18, 98, 22, 64),
        ("line", "skin", 7, 42, 48, 66, 76), *_moved(_GIRL_HEAD, 2, 0, 0.72, 1.36),
    ),
    ("boy", "standing"): (
        ("line", "denim", 9, 40, 60, 38, 95), ("line", "denim", 9, 58, 60, 60, 95),
        ("line", "ink", 5, 35, 98, 46, 98), ("line", "ink", 5, 57, 98, 68, 98),
        ("line", "skin", 6, 34, 32, 14, 54), ("line", "skin", 6, 64, 34, 94, 48),
        ("poly", "body", 32, 27, 66, 27, 82, 38, 74, 46, 67, 42, 67, 66, 31, 66, 31, 42, 24, 46,
         16, 40), *_BOY_HEAD,
    ),
    ("boy", "running"): (
        ("line", "denim", 8, 44, 62, 30, 80, 8, 82), ("line", "denim", 8, 54, 62, 74, 76, 76, 94),
        ("line", "ink", 6, 5, 78, 4, 88), ("line", "ink", 6, 75, 98, 84, 98),
        ("line", "skin", 6, 38, 34, 16, 48, 8, 40), ("line", "skin", 6, 60, 34, 80, 46, 94, 36),
        ("poly", "body", 36, 27, 62, 27, 74, 40, 66, 46, 62, 66, 34, 66, 34, 42, 24, 46, 18, 40),
        *_moved(_BOY_HEAD, 14, 0, 0.72, 1),
    ),
    ("boy", "sitting"): (
        ("line", "denim", 12, 32, 90, 88, 92), ("line", "ink", 10, 93, 94, 95, 84),
        ("line", "skin", 7, 28, 46, 8, 92), ("poly", "body", 22, 37, 48, 37, 50, 94, 20, 96),
        ("line", "skin", 7, 42, 48, 66, 78), *_moved(_BOY_HEAD, 2, 0, 0.72, 1.36),
    ),
    ("car", ""): (
        ("poly", "body", 16, 50, 30, 6, 66, 6, 84, 48),
        ("poly", "glass", 23, 44, 33, 13, 46, 13, 46, 44),
        ("poly", "glass", 50, 44, 50, 13, 63, 13, 76, 44),
        ("poly", "body", 2, 52, 14, 44, 84, 44, 97, 54, 99, 80, 1, 80),
        ("line", "dark", 3, 48, 46, 48, 76),
        ("line", "dark", 3, 3, 66, 97, 66), ("line", "ink", 3, 52, 52, 58, 52),
        ("oval", "lamp", 91, 52, 98, 64), ("box", "rose", 1, 54, 5, 64),
        *_wheels(10.5, 22, 23, 77),
    ),
    ("bus", ""): (
        ("poly", "body", 1, 8, 4, 1, 94, 1, 98, 10, 99, 88, 1, 88),
        *(("box", "glass", x, 14, x + 13, 46) for x in (6, 22, 38, 54)),
        ("box", "glass", 71, 14, 81, 82), ("poly", "glass", 85, 14, 95, 14, 97, 50, 85, 50),
        ("line", "pale", 4, 2, 60, 68, 60), ("oval", "lamp", 93, 66, 98, 76),
        *_wheels(8, 15, 22, 66 + 16),
    ),
    ("bicycle", ""): (
        ("ring", "ink", 6, 1, 42, 40, 99), ("ring", "ink", 6, 60, 42, 99, 99),
        ("line", "steel", 1.5, 20, 44, 20, 97), ("line", "steel", 1.5, 3, 70, 38, 70),
        ("line", "steel", 1.5, 80, 44, 80, 97), ("line", "steel", 1.5, 62, 70, 97, 70),
        ("line", "body", 8, 20, 71, 36, 30, 70, 28, 49, 73, 20, 71),
        ("line", "body", 8, 34, 20, 49, 73),
        ("line", "body", 8, 67, 10, 80, 71), ("line", "ink", 7, 67, 8, 80, 4),
        ("line", "ink", 9, 26, 17, 42, 17), ("oval", "ink", 45, 67, 53, 79),
    ),
    ("boat", ""): (
        ("line", "trunk", 4, 48, 2, 48, 76), ("poly", "white", 52, 6, 52, 68, 90, 68),
        ("poly", "body", 44, 14, 44, 68, 12, 68), ("poly", "body", 0, 74, 100, 74, 84, 98, 14, 98),
        ("line", "pale", 4, 1, 76, 99, 76), ("poly", "rose", 48, 0, 62, 4, 48, 9),
    ),
    ("ball", ""): (
        ("oval", "body", 0, 0, 100, 100), ("oval", "gloss", 20, 14, 46, 38),
    ),
    ("kite", ""): (
        ("line", "ink", 1.5, 50, 64, 60, 78, 44, 88, 54, 100),
        ("poly", "rose", 44, 76, 74, 72, 72, 84, 46, 80),
        ("poly", "rose", 30, 86, 60, 84, 58, 95, 32, 93),
        ("poly", "body", 50, 0, 100, 26, 50, 66, 0, 26),
        ("poly", "dark", 50, 26, 100, 26, 50, 66), ("line", "white", 2, 50, 0, 50, 66),
        ("line", "white", 2, 0, 26, 100, 26),
    ),
    ("umbrella", ""): (
        ("line", "trunk", 4, 50, 4, 50, 98),
        ("poly", "body", 0, 38, 4, 24, 14, 13, 30, 6, 50, 3, 70, 6, 86, 13, 96, 24, 100, 38,
         92, 34, 84, 34, 75, 40, 67, 35, 58, 35, 50, 41, 42, 35, 33, 35, 25, 40, 16, 34, 8, 34),
        ("line", "dark", 1.6, 50, 3, 30, 18, 25, 39), ("line", "dark", 1.6, 50, 3, 70, 18, 75, 39),
        ("line", "dark", 1.6, 50, 3, 50, 40),
    ),
    ("chair", ""): (
        ("line", "dark", 6, 30, 54, 30, 98), ("line", "dark", 6, 80, 54, 80, 98),
        ("poly", "body", 4, 0, 22, 0, 24, 52, 8, 52), ("box", "body", 6, 48, 98, 60),
        ("line", "body", 8, 12, 54, 10, 97), ("line", "body", 8, 92, 54, 94, 97),
    ),
    ("table", ""): (
        ("line", "dark", 8, 16, 14, 16, 92), ("line", "dark", 8, 84, 14, 84, 92),
        ("line", "body", 9, 6, 14, 6, 97), ("line", "body", 9, 94, 14, 94, 97),
        ("box", "dark", 4, 12, 96, 26), ("poly", "body", 0, 14, 5, 0, 95, 0, 100, 14),
        ("box", "body", 0, 12, 100, 19),
    ),
    ("box", ""): (
        ("box", "body", 0, 20, 76, 100), ("poly", "dark", 76, 20, 100, 4, 100, 82, 76, 100),
        ("poly", "pale", 0, 20, 26, 4, 100, 4, 76, 20),
        ("poly", "straw", 32, 20, 58, 4, 70, 4, 44, 20),
        ("box", "straw", 32, 20, 44, 46),
    ),
    ("tree", ""): (
        ("poly", "trunk", 40, 100, 45, 50, 55, 50, 60, 100), ("oval", "dark", 2, 26, 54, 66),
        ("oval", "dark", 48, 28, 98, 66), ("oval", "body", 14, 0, 84, 44),
        ("oval", "body", 0, 20, 48, 58),
        ("oval", "body", 50, 18, 100, 60), ("oval", "body", 24, 28, 76, 68),
        ("oval", "pale", 24, 6, 54, 24),
        ("oval", "pale", 8, 26, 30, 40), ("oval", "pale", 58, 26, 80, 38),
    ),
    ("house", ""): (
        ("box", "trunk", 68, 4, 80, 34), ("box", "body", 8, 40, 92, 100),
        ("box", "dark", 8, 40, 92, 48),
        ("poly", "slate", 0, 44, 24, 8, 76, 8, 100, 44), ("box", "trunk", 42, 64, 60, 100),
        ("oval", "lamp", 55, 80, 58, 84), ("box", "white", 14, 56, 36, 82),
        ("box", "glass", 16, 58, 34, 80),
        ("box", "white", 66, 56, 88, 82), ("box", "glass", 68, 58, 86, 80),
        ("line", "white", 2, 25, 58, 25, 80),
        ("line", "white", 2, 77, 58, 77, 80),
    ),
}  # fmt: skip
