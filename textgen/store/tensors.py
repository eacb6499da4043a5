"""Safetensors files of float32 tensors: the library reads them, after a check of what the library lets pass.

The library refuses a header whose tensors overlap, leave gaps or do not end with the file. It accepts a header of up to
100 MB (one of 73 MB took 620 MB of memory), a key that stands twice, unknown keys and free text (`__metadata__`). These
are refused here, as are types other than float32 and tensors without numbers.

The header is read and compared with the wanted shapes before the rest of the file is read. Reading then takes twice the
size of the file: its bytes, and the arrays made from them; afterwards only the arrays are left. The file is not mapped
into memory, because a mapped file that is cut short kills the process that reads it.

Source of the format: https://github.com/huggingface/safetensors#format (eight bytes, the header's length; the header, a
JSON object; the tensors' bytes).
"""

import math
import os
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError, deserialize

from textgen.errors import ModelError
from textgen.messages import shown
from textgen.store import atomic
from textgen.store.strict_json import open_plain, parse_json, unreadable

MAX_HEADER_BYTES = 2**20  # some ten thousand tensors
MAX_RANK = 8
MAX_FLOAT32 = float(np.finfo(np.float32).max)
ITEM = np.dtype("<f4")
LENGTH_BYTES = 8

Shape = tuple[int, ...]


def write_tensors(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Replace the file at `path` by these float32 tensors. Raises OSError."""
    atomic.write_bytes(path, safetensors.numpy.save(tensors))


def read_tensors(path: Path, shapes: dict[str, Shape] | None = None) -> dict[str, np.ndarray]:
    """The tensors of a file, float32 and writable.

    Args:
        path: a plain file; links, pipes and devices are refused.
        shapes: names and shapes that the file must hold, and the order of the result; None takes what is there.

    Raises:
        ModelError: the file is missing, damaged, or does not hold exactly these tensors. No tensor has been read.
    """
    with open_plain(path) as file:
        try:
            num_bytes = os.fstat(file.fileno()).st_size
            head = file.read(LENGTH_BYTES)
            length = int.from_bytes(head, "little")
            if not 2 <= length <= min(MAX_HEADER_BYTES, num_bytes - LENGTH_BYTES):
                raise ValueError(f"its header cannot be {length:,} bytes long")
            head += file.read(length)
            found = _shapes_in(head[LENGTH_BYTES:])
            if len(head) + ITEM.itemsize * sum(map(math.prod, found.values())) != num_bytes:
                raise ValueError("its size is not that of its tensors")
            if shapes is not None:
                _check_shapes(path, found, shapes)
            file.seek(0)
            content = file.read(num_bytes)
            if not content.startswith(head):
                raise ValueError("it is being written to")
            tensors = dict(deserialize(content))
        except OSError as problem:
            raise unreadable(path, problem) from None
        except (ValueError, RecursionError, SafetensorError) as problem:
            raise ModelError(f"{path} cannot be read: {shown(problem)}") from None
    return {name: np.frombuffer(tensors[name]["data"], ITEM).reshape(found[name]) for name in shapes or found}


def check_finite(path: Path, tensors: dict[str, np.ndarray], largest: float = MAX_FLOAT32) -> None:
    """Raise ModelError, naming `path`, where a number is NaN, infinite, or beyond `largest` either way."""
    for name, tensor in tensors.items():
        if not (-largest <= tensor.min() and tensor.max() <= largest):  # both are NaN where one number is
            raise ModelError(f"{path}: tensor {name!r} holds numbers that are not finite, or too large")


def _shapes_in(header: bytes) -> dict[str, Shape]:
    """Name and shape of every tensor that `header` describes. Raises ValueError or RecursionError."""
    entries = parse_json(header)
    if not isinstance(entries, dict):
        raise ValueError("its header is no JSON object")
    for name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"its header has {name!r:.80}, which describes no tensor")
        if entry["dtype"] != "F32":
            raise ValueError(f"tensor {name!r:.80} is not of type F32, the only one that is read")
        shape = entry["shape"]
        if not isinstance(shape, list) or len(shape) > MAX_RANK or not all(type(n) is int and n > 0 for n in shape):
            raise ValueError(f"the shape of tensor {name!r:.80} is not a list of at most {MAX_RANK} sizes above 0")
    return {name: tuple(entry["shape"]) for name, entry in entries.items()}


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
