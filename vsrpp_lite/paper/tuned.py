"""The tuned recipes: what the study of each preset found best for each system, and the runs that use it.

If authors tune their own system with more care than the others, their table also shows the effect of the tuning. So
`study` gives every system the same settings to try, and the winners stand here, beside the published recipe that each
system's class has. Tables and lessons take their runs from `tuned`. `Run` itself trains a system by the plain preset.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any, NamedTuple

from vsrpp_lite.matcher import System
from vsrpp_lite.settings import PRESETS, Training
from vsrpp_lite.systems.gvse import GVSE
from vsrpp_lite.systems.saem import SAEM
from vsrpp_lite.systems.scan import SCAN
from vsrpp_lite.systems.sco import SCO
from vsrpp_lite.systems.vsepp import VSEpp
from vsrpp_lite.systems.vsrn import VSRN
from vsrpp_lite.systems.vsrpp import VSRpp
from vsrpp_lite.training.runs import Run


class Recipe(NamedTuple):
    """How a study trained a system best: the system with its tuned choices, such as the margin, and its training."""

    system: System
    training: Training


def recipe(preset: str, system: System, choices: Mapping[str, Any], training: Mapping[str, Any]) -> Recipe:
    """Return the recipe that changes these choices of a system, and these entries of a preset's training.

    A choice that the system does not have, such as the temperature of VSE++, is left out. `temperature` is a factor of
    the system's own temperature, since that differs with the direction of the attention.

    Raises:
        ValueError: the preset has no training of its own to change.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}; expected one of {', '.join(PRESETS)}")
    known = {name: value for name, value in choices.items() if hasattr(system, name)}
    if "temperature" in known:
        known["temperature"] *= system.temperature  # type: ignore[attr-defined]
    return Recipe(replace(system, **known), replace(PRESETS[preset].training, **training))


_STEADY = {"learning_rate": 0.0095, "warmup_epochs": 2, "decay_every": 3}
"""The training that won the study of `lite` for three systems: a high rate, which does not fall within three epochs."""

_FAST = {"learning_rate": 0.0061, "warmup_epochs": 2, "rise_steps": 150}
"""The training that won the study of `long` for all systems but one."""

WINNERS: Mapping[str, Mapping[System, tuple[dict[str, Any], dict[str, Any]]]] = {
    "lite": {
        # the preset's own setting won where nothing is changed
        VSEpp(): ({}, {}),
        SCO(): ({}, {}),
        SCAN(): ({}, {}),
        VSRpp(): ({}, {}),
        GVSE(): ({"margin": 0.3}, _STEADY),
        SAEM(): ({}, {"learning_rate": 0.0032, "rise_steps": 50}),
        VSRN(): ({"margin": 0.3, "norm": "scaled"}, _STEADY),
        VSRpp(fusion="loss"): ({"margin": 0.3, "norm": "scaled"}, _STEADY),
        VSRpp(caption_loss=False): ({}, {}),
        VSRpp(bidirectional=False): ({}, {}),
    },
    "long": {
        VSEpp(): ({"margin": 0.3}, _FAST),
        SCO(): ({"margin": 0.3}, _FAST),
        SCAN(): ({"margin": 0.3}, _FAST),
        GVSE(): ({"margin": 0.3}, _FAST),
        SAEM(): ({}, {"learning_rate": 0.0024, "warmup_epochs": 2}),
        VSRN(): ({"margin": 0.3, "norm": "scaled"}, _FAST),
        VSRpp(): ({"margin": 0.3, "norm": "scaled"}, _FAST),
        VSRpp(fusion="loss"): ({"margin": 0.3, "norm": "scaled"}, _FAST),
        VSRpp(caption_loss=False): ({"margin": 0.3, "norm": "scaled"}, _FAST),
        VSRpp(bidirectional=False): ({"margin": 0.3, "norm": "scaled"}, _FAST),
    },
    "real": {
        VSEpp(): ({"margin": 0.3}, {"learning_rate": 0.0063}),
        SCO(): ({"margin": 0.3}, {"learning_rate": 0.0063}),
        SCAN(): ({"margin": 0.1}, {"learning_rate": 0.0036, "warmup_epochs": 2, "rise_steps": 500}),
        GVSE(): ({"margin": 0.3}, {"learning_rate": 0.0063}),
        SAEM(): ({}, {}),
        VSRN(): ({"margin": 0.3, "norm": "regions"}, {"learning_rate": 0.0063}),
        VSRpp(): ({}, {}),
        VSRpp(fusion="loss"): ({"margin": 0.1}, {"learning_rate": 0.0036, "warmup_epochs": 2, "rise_steps": 500}),
        VSRpp(caption_loss=False): ({}, {}),
        VSRpp(bidirectional=False): (
            {"margin": 0.3, "temperature": 2.0, "norm": "regions"},
            {"learning_rate": 0.0063},
        ),
    },
}
"""Choices and training of each winner, by preset and by the system that was tuned. All are changes of the preset's own
setting, whose learning rate is one for all systems; `Run` without a recipe gives SAEM half of it, as its paper does. A
test compares them with the recorded studies."""

TUNED: Mapping[str, Mapping[System, Recipe]] = {
    preset: {system: recipe(preset, system, *won) for system, won in of_preset.items()}
    for preset, of_preset in WINNERS.items()
}
"""The recipes of the winners."""


def tuned(system: System, *, data: str = "scenes", preset: str = "lite", seed: int = 0) -> Run:
    """Return the run that trains a system by its tuned recipe.

    A system that was not tuned itself, such as `VSRpp(mu=1.0)`, takes the recipe of the most similar system of its
    class: numbers keep their proportion to that system's, so that a margin of half of its margin stays half of the
    tuned one. Of systems that are equally similar, the first in `WINNERS` counts. A recipe whose choices the system
    refuses, such as a norm that does not go with its direction of attention, is passed over. Without any recipe, as for
    a system of your own, the run is that of the plain preset.
    """
    recipes = {known: found for known, found in TUNED.get(preset, {}).items() if type(known) is type(system)}
    for nearest in sorted(recipes, key=lambda known: len(differences(known, system))):
        best, training = recipes[nearest]
        changed = {name: _changed(getattr(system, name), *both) for name, both in differences(nearest, best).items()}
        with suppress(ValueError):
            return Run(system=replace(system, **changed), data=data, preset=preset, seed=seed, training=training)
    return Run(system=system, data=data, preset=preset, seed=seed)


def differences(one: System, other: System) -> dict[str, tuple[Any, Any]]:
    """Return the choices in which two systems of a class differ, with both values."""
    both = {field.name: (getattr(one, field.name), getattr(other, field.name)) for field in fields(one)}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def _changed(own: Any, untuned: Any, best: Any) -> Any:
    """Return a system's choice after tuning: a number in proportion; anything else only if it was the untuned one."""
    if isinstance(own, float):
        return round(own * best / untuned, 6)
    return best if own == untuned else own
