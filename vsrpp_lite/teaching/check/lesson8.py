"""Exercises of `08_your_own_photographs`."""

from vsrpp_lite.teaching.verdict import exercise, number


@exercise
def exercise1(boxes: int) -> str:
    """How many boxes of the grid contain the middle of the picture, edges included."""
    mistakes = {
        "Four boxes are missing: the halves, or cells of 4 x 4. The middle lies on their edges, and edges count.": 6,
        "The middle is a corner of *four* cells of the 4 x 4 grid.": 7,
        "One box is missing: the whole picture, or the middle cell of 3 x 3.": 9,
    }
    number(boxes, 10, mistakes)
    return "The whole, four halves, one cell of 3 x 3, and four cells of 4 x 4."


@exercise
def exercise2(mean: float) -> str:
    """The number of the region (0.5, 0, 0.75, 0.5) on the ramp."""
    mistakes = {
        "The ramp does not depend on the height, so the top and the bottom of the box do not matter.": 0.25,
        "That is the left edge. The number of a region is a mean over its box.": 0.5,
        "That is the right edge. The number of a region is a mean over its box.": 0.75,
    }
    number(mean, 0.625, mistakes)
    return "The mean of a ramp over a box is its value in the middle of the box."


@exercise
def exercise3(pictures: int) -> str:
    """How many pictures give a standard error of one per cent at a recall of 50 %."""
    mistakes = {
        "The error falls with the square root of the number of pictures.": 50,
        "That is half of the 95 % interval. The standard error itself is asked for.": 9604,
    }
    number(pictures, 2500, mistakes, within=5)
    return "The papers test on 1,000 pictures of Flickr30K, where the error is 1.6."
