"""Safetensors files whose tensors are read as float32: the library reads them, after a check of what it lets pass.

A tensor is stored as float32 (F32), as float16 (F16), or with 8 bits a number (I8). An I8 tensor `kernel`, of two axes
or more, has an F32 tensor `kernel.scale` beside it, with one number for each row (first axis). Its values are the
integers, -127 to 127, times the scale of their row.

Measured with a word model of 2 x 512 units, a thousand steps old, on 30 kB of another book: 1.73536 bits per character
as float32 and as float16, 1.73556 with a scale for each row, 1.73545 with one for each column of the kernels.

The library refuses a header whose tensors overlap, leave gaps or do not end with the file. It accepts a header of up to
100 MB (one of 73 MB took 620 MB of memory), a key that stands twice, unknown keys and free text (`__metadata__`). These
are refused here, as are other types, tensors without numbers, and scales that do not fit.

The header is read and compared with the wanted shapes before the rest of the file is read. Reading then takes twice the
size of the file, its bytes and the tensors made from them, and for types other than F32 the size of the float32 arrays.
Afterwards only the arrays are left. The file is not mapped into memory, because a mapped file that is cut short kills
the process that reads it.

Source of the format: https://github.com/huggingface/safetensors#format (eight bytes, the header's length; the header, a
JSON object; the tensors' bytes).
"""

import contextlib
import io
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, deserialize

from textgen.config import STORAGES
from textgen.errors import ModelError
from textgen.messages import shown
from textgen.store import atomic
from textgen.store.strict_json import open_plain, parse_json, unreadable

MAX_HEADER_BYTES = 2**20  # some ten thousand tensors
MAX_RANK = 8
MAX_FLOAT32 = float(np.finfo(np.float32).max)
TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "I8": np.dtype("i1")}
BYTES_PER_NUMBER = dict(zip(STORAGES, (4, 2, 1), strict=True))
LARGEST_INTEGER = 127  # -128 is refused: it would be a second way to write a row
SCALE = ".scale"  # ends the name of the tensor that holds the scales of an I8 tensor
LENGTH_BYTES = 8

Shape = tuple[int, ...]


class _Entry(NamedTuple):
    """What a header says of a tensor."""

    dtype: np.dtype[Any]
    shape: Shape


def write_tensors(path: Path, tensors: dict[str, np.ndarray], storage: str = "float32") -> None:
    """Replace the file at `path` by these float32 tensors.

    Args:
        storage: one of STORAGES. "float16" stores a tensor as F16. "int8" stores a matrix as I8, and what is no matrix
            as F16; a bias is none, even that of a GRU with its two axes. A tensor that float16 cannot hold stays F32.

    Raises:
        OSError: the file cannot be written.
    """
    atomic.write_bytes(path, safetensors.numpy.save(stored_tensors(tensors, storage)))


def rounded(tensors: dict[str, np.ndarray], storage: str) -> dict[str, np.ndarray]:
    """What `read_tensors` gives after `write_tensors`, bit for bit.

    Rounding it again changes nothing, except in rows whose scale is so small (below 1e-38) that float32 lacks bits
    for it: the quotient of a float32 number and 127, rounded and multiplied by 127, comes back as the same quotient.
    """
    stored = stored_tensors(tensors, storage)
    return {name: _values(stored[name], stored.get(name + SCALE)) for name in tensors}


def read_tensors(path: Path, shapes: dict[str, Shape] | None = None) -> dict[str, np.ndarray]:
    """The tensors of a file, float32 and writable.

    Args:
        path: a plain file; links, pipes and devices are refused.
        shapes: names and shapes that the file must hold, and the order of the result; None takes what is there.

    Raises:
        ModelError: the file is missing, damaged, or does not hold exactly these tensors. No tensor has been read.
    """
    with _opened(path) as file:
        head, found, num_bytes = _read_header(file)
        names = [name for name in found if not name.endswith(SCALE)]
        if shapes is not None:
            _check_shapes(path, {name: found[name].shape for name in names}, shapes)
        file.seek(0)
        content = file.read(num_bytes)
        if not content.startswith(head):
            raise ValueError("it is being written to")
        stored = {
            name: np.frombuffer(tensor["data"], found[name].dtype).reshape(found[name].shape)
            for name, tensor in deserialize(content)
        }
        for name in names:
            if name + SCALE in stored:
                _check_integers(name, stored[name], stored[name + SCALE])
    return {name: _values(stored.pop(name), stored.get(name + SCALE)) for name in shapes or names}


def storage_of(path: Path) -> tuple[str, int]:
    """Which of STORAGES the file at `path` is, and its size in bytes. Raises ModelError."""
    with _opened(path) as file:
        _, found, num_bytes = _read_header(file)
    types = {entry.dtype for entry in found.values()}
    storages = {"int8": TYPES["I8"], "float16": TYPES["F16"]}
    return next((storage for storage, dtype in storages.items() if dtype in types), "float32"), num_bytes


def check_finite(path: Path, tensors: dict[str, np.ndarray], largest: float = MAX_FLOAT32) -> None:
    """Raise ModelError, naming `path`, where a number is NaN, infinite, or beyond `largest` either way."""
    for name, tensor in tensors.items():
        if not (-largest <= tensor.min() and tensor.max() <= largest):  # both are NaN where one number is
            raise ModelError(f"{path}: tensor {name!r} holds numbers that are not finite, or too large")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """The file at `path`; what goes wrong with it is a ModelError that names it."""
    with open_plain(path) as file:
        try:
            yield file
        except OSError as problem:
            raise unreadable(path, problem) from None
        except (ValueError, RecursionError, SafetensorError) as problem:
            raise ModelError(f"{path} cannot be read: {shown(problem)}") from None


def _read_header(file: io.BufferedReader) -> tuple[bytes, dict[str, _Entry], int]:
    """What stands before the tensors, what it says of each of them, and the size of the whole file, which agrees."""
    num_bytes = os.fstat(file.fileno()).st_size
    head = file.read(LENGTH_BYTES)
    length = int.from_bytes(head, "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, num_bytes - LENGTH_BYTES):
        raise ValueError(f"its header cannot be {length:,} bytes long")
    head += file.read(length)
    found = _entries_in(head[LENGTH_BYTES:])
    if len(head) + sum(entry.dtype.itemsize * math.prod(entry.shape) for entry in found.values()) != num_bytes:
        raise ValueError("its size is not that of its tensors")
    _check_scales(found)
    return head, found, num_bytes


def stored_tensors(tensors: dict[str, np.ndarray], storage: str) -> dict[str, np.ndarray]:
    """Float32 tensors as a file holds them, with the scales of those that are integers."""
    if storage not in STORAGES:
        raise ValueError(f"storage must be one of {', '.join(STORAGES)}. Received: {storage!r}")
    if storage == "float32":
        return tensors
    stored: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        is_matrix = tensor.ndim == 2 and not name.endswith("bias")
        if storage == "int8" and is_matrix and np.isfinite(tensor).all():
            stored[name], stored[name + SCALE] = _integers(tensor)
        else:
            with np.errstate(over="ignore"):
                half = tensor.astype(TYPES["F16"])
            stored[name] = half if np.isfinite(half).all() else tensor
    return stored


def _integers(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Int8 of the same shape, and the scale of each row, float32."""
    scales = np.abs(matrix).max(axis=1) / np.float32(LARGEST_INTEGER)
    quotients = matrix / np.where(scales > 0, scales, np.inf)[:, None]  # a row of zeros has scale 0
    # The smallest scales are rounded so coarsely that quotients leave the range.
    return np.rint(quotients).clip(-LARGEST_INTEGER, LARGEST_INTEGER).astype(TYPES["I8"]), scales


def _values(stored: np.ndarray, scales: np.ndarray | None) -> np.ndarray:
    """A tensor of a file as float32; itself where it is that already."""
    with np.errstate(over="ignore", invalid="ignore"):  # `check_finite` says where a number is not finite
        values = stored.astype(TYPES["F32"], copy=False)
        if scales is not None:
            values *= scales.reshape(-1, *[1] * (values.ndim - 1))
    return values


def _entries_in(header: bytes) -> dict[str, _Entry]:
    """Type and shape of every tensor that `header` describes. Raises ValueError or RecursionError."""
    entries = parse_json(header)
    if not isinstance(entries, dict):
        raise ValueError("its header is no JSON object")
    for name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"its header has {name!r:.80}, which describes no tensor")
        if not isinstance(entry["dtype"], str) or entry["dtype"] not in TYPES:
            raise ValueError(f"tensor {name!r:.80} is not of type F32, F16 or I8, the only ones that are read")
        shape = entry["shape"]
        if not isinstance(shape, list) or len(shape) > MAX_RANK or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"the shape of tensor {name!r:.80} is not a list of at most {MAX_RANK} sizes above 0")
    return {name: _Entry(TYPES[entry["dtype"]], tuple(entry["shape"])) for name, entry in entries.items()}


def _check_scales(found: dict[str, _Entry]) -> None:
    """Raise ValueError unless every I8 tensor has its scales, and nothing else has."""
    for name, entry in found.items():
        if entry.dtype == TYPES["I8"] and len(entry.shape) < 2:
            raise ValueError(f"tensor {name!r:.80} is of type I8 and has no rows")
        if entry.dtype == TYPES["I8"] and found.get(name + SCALE) != _Entry(TYPES["F32"], entry.shape[:1]):
            raise ValueError(f"tensor {name!r:.80} is of type I8 and has no scale of type F32 for each row")
        owner = found.get(name.removesuffix(SCALE))
        if name.endswith(SCALE) and (owner is None or owner.dtype != TYPES["I8"]):
            raise ValueError(f"there is a scale {name!r:.80} without a tensor of type I8")


def _check_integers(name: str, integers: np.ndarray, scales: np.ndarray) -> None:
    """Raise ValueError where the numbers of an I8 tensor are not what textgen writes."""
    if integers.min() < -LARGEST_INTEGER:
        raise ValueError(f"tensor {name!r:.80} holds the integer {integers.min()}")
    if not (scales.min() >= 0 and scales.max() <= MAX_FLOAT32):  # both are NaN where one number is
        raise ValueError(f"a scale of tensor {name!r:.80} is below 0 or not finite")


def _check_shapes(path: Path, found: dict[str, Shape], wanted: dict[str, Shape]) -> None:
    """Raise ModelError where names or shapes differ."""
    if missing := sorted(wanted.keys() - found.keys()):
        problem = f"there is no tensor {missing[0]!r}"
    elif extra := sorted(found.keys() - wanted.keys()):
        problem = f"there is a tensor {extra[0]!r:.80}"
    elif wrong := [name for name in wanted if found[name] != wanted[name]]:
        sizes = [" x ".join(map(str, shapes[wrong[0]])) or "a single number" for shapes in (found, wanted)]
        problem = f"tensor {wrong[0]!r} is {sizes[0]} instead of {sizes[1]}"
    else:
        return
    raise ModelError(f"{path} is not of the shape that the config states: {problem}")
