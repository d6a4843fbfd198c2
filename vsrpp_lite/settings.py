"""The settings of a run: sizes, training and presets. They are plain data, which are checked when they are made."""

import math
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np

Precision = Literal["32-true", "bf16-mixed"]
"""Lightning Fabric's names of the precisions that a training can have; see `Training.precision`."""


def check_fields(config: Any) -> None:
    """Cast every field of a frozen dataclass to its declared type. So mu=2 and mu=2.0 are one configuration.

    Raises:
        ValueError: a value does not have the declared type, such as 2.9 for an integer or NaN for a number.
    """
    types = get_type_hints(type(config))
    for field in fields(config):
        value = cast(field.name, getattr(config, field.name), types[field.name])
        object.__setattr__(config, field.name, value)


def cast(name: str, value: Any, expected: Any) -> Any:
    """Return `value` as the type that was declared for the field `name`; see `check_fields`."""
    if get_origin(expected) in (Union, UnionType):
        for choice in get_args(expected):
            with suppress(ValueError):
                return cast(name, value, choice)
        return cast(name, value, get_args(expected)[0])  # raises
    if get_origin(expected) is Literal:
        if value in (choices := get_args(expected)):
            return choices[choices.index(value)]  # the declared one, since a string of NumPy has another repr
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(str, get_args(expected)))}")
    if get_origin(expected) is tuple:
        if not isinstance(value, list | tuple):  # a list is what JSON makes of a tuple
            raise ValueError(f"{name} is {value!r}; expected a tuple")
        kinds = get_args(expected)
        kinds = kinds[:1] * len(value) if kinds[1:] == (Ellipsis,) else kinds
        if len(kinds) != len(value):
            raise ValueError(f"{name} is {value!r}; expected {len(kinds)} parts")
        return tuple(cast(f"{name}[{k}]", *pair) for k, pair in enumerate(zip(value, kinds, strict=True)))
    if expected is bool:
        if isinstance(value, (bool, np.bool_, Integral)) and value in (0, 1):
            return bool(value)
        raise ValueError(f"{name} is {value!r}; expected True or False")
    if expected is int:
        if isinstance(value, Integral) or (isinstance(value, float) and value.is_integer()):
            return int(value)
        raise ValueError(f"{name} is {value!r}; expected a whole number")
    if expected is float:
        if isinstance(value, Real) and math.isfinite(value):
            return float(value)
        raise ValueError(f"{name} is {value!r}; expected a finite number")
    if isinstance(expected, type) and not isinstance(value, expected):
        raise ValueError(f"{name} is {value!r}; expected {expected.__name__}")
    return str.__str__(value) if expected is str else value  # of NumPy's strings and of enumerations, too


def check_at_least(config: Any, low: float, *names: str) -> None:
    """Refuse fields below `low`.

    Raises:
        ValueError: one of the fields is lower.
    """
    for name in names:
        if getattr(config, name) < low:
            raise ValueError(f"{name} is {getattr(config, name)}; expected at least {low}")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The widths of a system's vectors, and the number of its graph layers. Its equations stay the same.

    Raises:
        ValueError: a size is not a whole number, or is too small.
    """

    embed: int
    """D, the size of every region, word, image and sentence vector."""
    word: int
    """Size of the word embedding, in the sentence encoder and in the caption decoder."""
    caption: int
    """Size of the caption decoder's hidden state."""
    layers: int
    """Number of graph-reasoning layers."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least(self, 1, "embed", "word")
        check_at_least(self, 0, "caption", "layers")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a system is trained: everything that is fixed before training starts and that changes the result.

    Raises:
        ValueError: a value does not have its declared type, or is too small.
    """

    epochs: int
    """Number of passes over all captions, or the largest number if there is a `patience`."""
    patience: int | None = None
    """Training stops after this many epochs without a better rsum on the dev split. None trains all epochs."""
    batch_size: int = 128
    """Number of image-sentence pairs in a batch, over all processes together."""
    learning_rate: float = 2e-4
    """Adam's learning rate before it decays."""
    rise_steps: int = 0
    """Number of steps in which the learning rate rises in equal parts from zero to `learning_rate`."""
    decay_every: int = 10
    """Number of epochs after which the learning rate falls to a tenth."""
    warmup_epochs: int = 1
    """Number of epochs in which all negatives count, summed; after them, the hardest negative alone counts."""
    clip: float = 2.0
    """Largest norm of the whole gradient. A gradient with a larger norm is scaled down to this norm."""
    min_count: int = 4
    """Least count of a word in the training captions; a rarer word is read as `<unk>`. Released code has 4."""
    precision: Precision = "32-true"
    """Lightning Fabric's name of the precision. We leave out "16-mixed": it needs a loss scaler, which does not work
    with gradient clipping and a fused Adam."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least(self, 1, "epochs", "decay_every", "min_count")
        check_at_least(self, 2, "batch_size")  # a pair that is alone in its batch has no negatives
        check_at_least(self, 0, "warmup_epochs", "rise_steps")
        if self.patience is not None:
            check_at_least(self, 1, "patience")
        for name in ("learning_rate", "clip"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number above zero")


class Settings(NamedTuple):
    """The sizes and the training of one run."""

    sizes: Sizes
    training: Training


PAPER = "paper"
"""The preset that stands for the settings of each system's own paper."""

PRESETS = {
    "smoke": Settings(
        sizes=Sizes(embed=32, word=32, caption=32, layers=1),
        training=Training(epochs=2, batch_size=64, learning_rate=6e-3, min_count=1),
    ),
    "lite": Settings(
        sizes=Sizes(embed=128, word=64, caption=64, layers=2),
        training=Training(epochs=3, batch_size=64, learning_rate=6e-3, decay_every=2, min_count=1),
    ),
    "long": Settings(
        sizes=Sizes(embed=128, word=64, caption=64, layers=2),
        training=Training(epochs=40, patience=5, batch_size=64, learning_rate=2e-3, decay_every=8, min_count=1),
    ),
    "real": Settings(
        sizes=Sizes(embed=128, word=64, caption=64, layers=2),
        training=Training(epochs=12, patience=3, batch_size=64, learning_rate=2e-3, decay_every=4),
    ),
}
"""smoke shows in seconds that a system runs. lite is a short training on drawn scenes, and long trains on drawn scenes
until the dev split stops improving. real trains on photographs in the same way, for at most twelve epochs."""


def resolve(preset: str, published: Settings) -> Settings:
    """Return the settings that a preset gives a system with these published ones.

    Learning rates keep their published proportions. A preset states the rate of a system that was published with 2e-4,
    as most were. A system that was published with half of 2e-4 is trained with half of the preset's rate.

    Raises:
        ValueError: there is no such preset.
    """
    if preset == PAPER:
        return published
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}; expected one of {', '.join([*PRESETS, PAPER])}")
    sizes, training = PRESETS[preset]
    proportion = published.training.learning_rate / Training(epochs=1).learning_rate
    return Settings(sizes, replace(training, learning_rate=proportion * training.learning_rate))
