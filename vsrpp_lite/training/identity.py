"""What identifies a system: its class, its choices and, for a class of your own, its code. It makes a system, too."""

import hashlib
import inspect
import json
import logging
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pkgutil import resolve_name
from typing import Any, cast

from vsrpp_lite.matcher import System

log = logging.getLogger(__name__)

WRITTEN_BY_DATACLASS = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__replace__")


def identity(system: System) -> dict[str, Any]:
    """Return what identifies a system: module, name and version of its class, and its choices.

    For a class from outside of this package, the identity includes a hash of the byte code of its methods, and of the
    defaults of their arguments, so that an edited method makes another system.

    Raises:
        ValueError: the choices do not make the system again, such as a class with an `__init__` of its own.
    """
    kind = type(system)
    choices = {field.name: getattr(system, field.name) for field in fields(system)}
    _check_remade(system, choices)
    described = {"module": kind.__module__, "name": kind.__qualname__, "version": kind.version, "choices": choices}
    if not kind.__module__.startswith("vsrpp_lite."):
        described["code"] = hashlib.sha256(b" ".join(_methods(kind))).hexdigest()[:16]
    return described


def _methods(kind: type) -> Iterator[bytes]:
    """Yield name, byte code and defaults of every method of a class, and of its bases from outside of this package.

    What `dataclass` writes by itself is left out, since the choices say the same.
    """
    for base in kind.__mro__:
        if base is object or base.__module__.startswith("vsrpp_lite."):
            continue
        for name, value in sorted(vars(base).items()):
            wrapped = [getattr(value, part) for part in ("fget", "func", "__func__") if hasattr(value, part)]
            function = wrapped[0] if wrapped else value  # of a property, a cached property, a class or static method
            function = inspect.unwrap(function)  # what a decorator such as torch.no_grad() has wrapped
            code = getattr(function, "__code__", None)
            if code and name not in WRITTEN_BY_DATACLASS:
                defaults = _constant((function.__defaults__, function.__kwdefaults__))
                yield name.encode() + _byte_code(code, function.__doc__) + defaults


def _check_remade(system: System, choices: Mapping[str, Any]) -> None:
    """Raise ValueError if the choices, once written as JSON and read again, do not make the same system."""
    expected = "expected a dataclass whose fields are numbers, words, True, False, None, or tuples of them"
    try:
        hash(system)  # a grid compares runs by their hashes
        same = type(system)(**json.loads(json.dumps(choices))) == system
    except (TypeError, ValueError) as error:
        raise ValueError(f"{system!r} cannot be made again from its fields ({error}); {expected}") from error
    if not same:
        raise ValueError(f"{system!r} is not the system that its fields make; {expected}")


def _byte_code(code: Any, docstring: str | None = None) -> bytes:
    """Return the byte code of a function, which does not change with comments, line numbers and its docstring."""
    constants = [_constant(value) for value in code.co_consts if docstring is None or value != docstring]
    return b" ".join([code.co_code, repr(code.co_names).encode(), *constants])


def _constant(value: Any) -> bytes:
    """Return a constant of a function, or the default of an argument, as bytes: the same ones in every process."""
    match value:
        case types.CodeType():
            return _byte_code(value)
        case frozenset() | set():  # Python orders it in another way in every process
            return type(value).__name__.encode() + b" " + b" ".join(sorted(map(_constant, value)))
        case tuple() | list():
            return b"(" + b" ".join(map(_constant, value)) + b")"
        case dict():
            return b"{" + b" ".join(_constant(pair) for pair in value.items()) + b"}"
        case None | bool() | int() | float() | complex() | str() | bytes():
            return repr(value).encode()
    return type(value).__qualname__.encode()  # the repr of other defaults may show where they lie in memory


class OtherSystemError(ValueError):
    """The class of a trained system is not here, or it is another one now."""


def rebuild(described: Mapping[str, Any], system: type[System] | None = None) -> System:
    """Return the system that an identity stands for; see `identity`.

    If a class of your own has other code than the identity says, this is logged as a warning.

    Args:
        system: the class of the system; by default, it is imported by its module and name.

    Raises:
        OtherSystemError: there is no such class, it is not a `System`, or it has another version or other choices.
    """
    module, name = described["module"], described["name"]
    if system is None:
        try:
            imported = resolve_name(f"{module}:{name}")
        except (ImportError, AttributeError) as error:
            where = (
                "move it into a module and train again" if module == "__main__" else "make it importable (PYTHONPATH)"
            )
            remedy = f"{where}, or pass the class: vl.load(folder, {name})"
            raise OtherSystemError(f"the class {name} of {module} is not here ({error}); {remedy}") from error
        system = cast(type[System], imported)
    if not (isinstance(system, type) and issubclass(system, System)):
        raise OtherSystemError(f"{system!r} is no System of vsrpp_lite; expected {name} of {module}")
    if system.version != described["version"]:
        expected = f"expected {described['version']}, as it was trained"
        raise OtherSystemError(f"{name} has version {system.version}; {expected}")
    try:
        found = system(**described["choices"])
    except TypeError as error:
        told = f"expected {name} of {module}, of which the model is"
        raise OtherSystemError(f"{system.__name__} has other choices ({error}); {told}") from error
    if described.get("code") != identity(found).get("code"):
        log.warning("%s has other code than when the model was trained, or another Python compiled it", name)
    return found
