"""Safetensors files, read as what a stranger may have written.

What goes in: a file of float32 tensors. What comes out: arrays, or a ModelError that names the file. The header must
describe every byte behind it once, and it is compared with the shapes that are wanted before an array is made; so
nothing takes more memory than the file is long.

Source of the format: https://github.com/huggingface/safetensors#format (eight bytes, the header's length; the header, a
JSON object; the tensors' bytes). NOTE: its free-text key, `__metadata__`, is refused: we write none.
"""

import math
import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from textgen.errors import ModelError
from textgen.sealed_files import open_plain, parse_json

MAX_HEADER_BYTES = 2**20  # some ten thousand tensors
MAX_RANK = 8
MAX_FLOAT32 = float(np.finfo(np.float32).max)
ITEM = np.dtype("<f4")
LENGTH_BYTES = 8

Shape = tuple[int, ...]


class Place(NamedTuple):
    """Where a tensor lies: its shape, and its bytes, counted from the end of the header."""

    shape: Shape
    start: int
    end: int


def read_tensors(path: Path, shapes: dict[str, Shape]) -> dict[str, np.ndarray]:
    """Float32 tensors of exactly these names and shapes. Raises ModelError before any is allocated."""
    with open_plain(path) as file:
        places = _read_places(file, path)
        _check_shapes(path, places, shapes)
        arrays = _read_arrays(file, path, places)
        return {name: arrays[name] for name in shapes}


def read_any_tensors(path: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a file, whatever their names and shapes. Raises ModelError."""
    with open_plain(path) as file:
        return _read_arrays(file, path, _read_places(file, path))


def check_tensors(path: Path, shapes: dict[str, Shape]) -> None:
    """Raise ModelError unless the file holds tensors of these names and shapes; they are not read."""
    with open_plain(path) as file:
        _check_shapes(path, _read_places(file, path), shapes)


def check_finite(path: Path, tensors: dict[str, np.ndarray], largest: float = MAX_FLOAT32) -> None:
    """Raise ModelError, naming `path`, where a number in `tensors` is none, or is beyond `largest` either way."""
    for name, tensor in tensors.items():
        if not (-largest <= tensor.min() and tensor.max() <= largest):  # both are NaN where one number is
            raise ModelError(f"{path}: tensor {name!r} holds numbers that are not finite, or too large")


def _check_shapes(path: Path, places: dict[str, Place], shapes: dict[str, Shape]) -> None:
    if missing := sorted(shapes.keys() - places.keys()):
        problem = f"there is no tensor {missing[0]!r}"
    elif extra := sorted(places.keys() - shapes.keys()):
        problem = f"there is a tensor {extra[0]!r:.80}"
    elif wrong := [name for name in shapes if places[name].shape != shapes[name]]:
        problem = f"tensor {wrong[0]!r} is {_sizes(places[wrong[0]].shape)} instead of {_sizes(shapes[wrong[0]])}"
    else:
        return
    raise ModelError(f"{path} is not of the shape that the config states: {problem}")


def _sizes(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _read_places(file: BinaryIO, path: Path) -> dict[str, Place]:
    """What the header says, and the file then stands behind it."""
    num_bytes = os.fstat(file.fileno()).st_size
    length = int.from_bytes(_read(file, path, LENGTH_BYTES), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, num_bytes - LENGTH_BYTES):
        raise _unreadable(path, f"its header cannot be {length:,} bytes long")
    try:
        header = parse_json(_read(file, path, length))
    except (ValueError, RecursionError) as problem:
        raise _unreadable(path, f"its header: {problem}") from None
    if not isinstance(header, dict):
        raise _unreadable(path, "its header is no JSON object")
    places = {name: _place(path, name, entry) for name, entry in header.items()}
    in_order = dict(sorted(places.items(), key=lambda item: item[1].start))
    end = 0
    for name, place in in_order.items():
        if place.start != end:
            raise _unreadable(path, f"tensor {name!r:.80} does not begin where the one before it ends")
        end = place.end
    if end != num_bytes - LENGTH_BYTES - length:
        raise _unreadable(path, "its tensors do not end where the file ends")
    return in_order


def _place(path: Path, name: str, entry: Any) -> Place:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _unreadable(path, f"its header has {name!r:.80}, which describes no tensor")
    if entry["dtype"] != "F32":
        raise _unreadable(path, f"tensor {name!r:.80} is not of type F32, the only one that is read")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_counts(shape, 1) or len(shape) > MAX_RANK or not _are_counts(offsets, 0) or len(offsets) != 2:
        raise _unreadable(path, f"the shape or the place of tensor {name!r:.80} makes no sense")
    if offsets[1] - offsets[0] != math.prod(shape) * ITEM.itemsize:
        raise _unreadable(path, f"the shape of tensor {name!r:.80} does not fit its bytes")
    return Place(tuple(shape), *offsets)


def _are_counts(values: Any, minimum: int) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= minimum for value in values)


def _read_arrays(file: BinaryIO, path: Path, places: dict[str, Place]) -> dict[str, np.ndarray]:
    """The tensors, which follow each other in the order of `places`."""
    arrays = {}
    for name, place in places.items():
        array = np.empty(place.shape, ITEM)
        try:
            num_read = file.readinto(array.reshape(-1).view(np.uint8))
        except OSError as problem:
            raise _unreadable(path, problem.strerror or problem) from None
        if num_read != array.nbytes:
            raise _unreadable(path, "it ends too early")
        arrays[name] = array.astype(np.float32, copy=False)
    return arrays


def _read(file: BinaryIO, path: Path, num_bytes: int) -> bytes:
    try:
        content = file.read(num_bytes)
    except OSError as problem:
        raise _unreadable(path, problem.strerror or problem) from None
    if len(content) != num_bytes:
        raise _unreadable(path, "it ends too early")
    return content


def _unreadable(path: Path, reason: object) -> ModelError:
    return ModelError(f"{path} cannot be read: {reason}")
