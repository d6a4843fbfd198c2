"""The language between the grader and the box: plain values and arrays as bytes.

The grader reads what a student's program wrote, so nothing of it is unpickled or executed: `loads` makes numbers,
texts, lists and arrays, and nothing else. A message is the length of its header, the header in JSON, and the arrays.
"""

import json
import math
import struct
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LONGEST = 64 * 2**20
"""Most bytes of a message from the box."""
LENGTH = struct.Struct("<Q")
DTYPES = {"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}


class GarbledError(Exception):
    """A message is not in the language of this module."""


class Whereabouts(dict[int, Any]):
    """Says of a module, by its `id`, where the grader finds the same one: a path in the matcher, or an argument."""


def dumps(value: Any, modules: Whereabouts | None = None) -> bytes:
    """Return a value as bytes. A value of another kind becomes the name of its class."""
    arrays: list[bytes] = []
    header = json.dumps(_plain(value, arrays, modules or Whereabouts())).encode()
    return b"".join([LENGTH.pack(len(header)), header, *arrays])


def _plain(value: Any, arrays: list[bytes], modules: Whereabouts) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return {"is": value if not isinstance(value, str) else str(value)}
        case np.generic():
            return _plain(value.item(), arrays, modules)
        case list() | tuple():
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [_plain(item, arrays, modules) for item in value]}
        case dict():
            return {"dict": [[str(key), _plain(item, arrays, modules)] for key, item in value.items()]}
        case Tensor() | np.ndarray():
            array = value.detach().cpu().contiguous() if isinstance(value, Tensor) else np.ascontiguousarray(value)
            if isinstance(array, Tensor):
                array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
            if array.dtype.name in DTYPES:
                arrays.append(array.tobytes())
                kind = "tensor" if isinstance(value, Tensor) else "array"
                return {kind: [array.dtype.name, list(value.shape)]}
        case nn.Module() if id(value) in modules:
            return {"module": modules[id(value)]}
    return {"other": type(value).__name__}


def loads(message: bytes, find: Any = None) -> Any:
    """Return the value of a message.

    Args:
        find: returns the module that a `Whereabouts` names.

    Raises:
        GarbledError: the message is not in this language.
    """
    try:
        (length,) = LENGTH.unpack_from(message)
        header = json.loads(message[LENGTH.size : LENGTH.size + length])
        arrays = memoryview(message)[LENGTH.size + length :]
        value, rest = _value(header, arrays, find)
        if len(rest):
            raise GarbledError(f"{len(rest)} bytes too many")
    except GarbledError:
        raise
    except Exception as error:
        raise GarbledError(f"{type(error).__name__}: {str(error)[:200]}") from error
    return value


def _value(header: Any, arrays: memoryview, find: Any) -> tuple[Any, memoryview]:
    """Return one value, and the bytes of the arrays that follow it."""
    ((kind, content),) = header.items()
    match kind:
        case "is" if isinstance(content, None | bool | int | float | str):
            # half a letter of UTF-16 could not be written to a file
            return (content.encode(errors="replace").decode() if isinstance(content, str) else content), arrays
        case "list" | "tuple":
            items = []
            for item in content:
                value, arrays = _value(item, arrays, find)
                items.append(value)
            return (tuple(items) if kind == "tuple" else items), arrays
        case "dict":
            found = {}
            for key, item in content:
                found[str(key)], arrays = _value(item, arrays, find)
            return found, arrays
        case "tensor" | "array":
            name, shape = content
            if name not in DTYPES or len(shape) > 8 or not all(isinstance(n, int) and 0 <= n < 2**32 for n in shape):
                raise GarbledError(f"no array is {str(content)[:100]}")
            dtype = np.dtype(name)
            size = math.prod(shape) * dtype.itemsize
            if size > len(arrays):
                raise GarbledError(f"expected {size} bytes of an array, found {len(arrays)}")
            array = np.frombuffer(arrays[:size], dtype).reshape(shape).copy()
            return (torch.from_numpy(array) if kind == "tensor" else array), arrays[size:]
        case "module" if find is not None:
            return find(content), arrays
        case "other" if str(content).isidentifier():
            return type(str(content)[:100], (), {})(), arrays  # a thing of which only the name of its class is known
    raise GarbledError(f"no value is {str(header)[:100]}")
