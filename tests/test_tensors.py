"""Files of tensors: what comes back, and every header that is refused before anything is allocated."""

import contextlib
import io
import json
import os
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from textgen.config import STORAGES
from textgen.errors import ModelError
from textgen.store import tensors as tensors_file
from textgen.store.tensors import MAX_HEADER_BYTES, check_finite, read_tensors, rounded, storage_of, write_tensors

TENSORS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array([7.5], np.float32),
    "c": np.array(3, np.float32),
}
SHAPES = {name: np.shape(tensor) for name, tensor in TENSORS.items()}

tensors = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=4), elements=st.floats(width=32)),
    min_size=1,
    max_size=4,
).filter(lambda found: "__metadata__" not in found and not any(name.endswith(".scale") for name in found))


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "weights.safetensors"
    write_tensors(path, TENSORS)
    return path


LIBRARY = "Error while deserializing"  # said by safetensors, whose words change with its version


def entry(shape=(2, 3), start=0, end=24, dtype="F32", **more) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end], **more}


def content_of(header: object, body: bytes = bytes(24), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def refusal(path: Path, content: bytes) -> str:
    """What reading `content` fails with, in one line and without taking memory; no shapes make it pass."""
    path.write_bytes(content)
    tracemalloc.start()
    for shapes in ({"a": (2, 3)}, None):
        with pytest.raises(ModelError) as caught:
            read_tensors(path, shapes)
        assert str(caught.value).isprintable()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**20 + 20 * len(content)
    return str(caught.value).removeprefix(f"{path} cannot be read: ")


# ---- what comes back


def test_tensors_come_back_in_the_order_that_is_asked_for(path):
    read = read_tensors(path, SHAPES)
    assert list(read) == list(SHAPES)
    for name, tensor in read.items():
        assert tensor.dtype == np.float32
        assert tensor.flags.writeable
        assert np.array_equal(tensor, TENSORS[name])
    assert read_tensors(path).keys() == TENSORS.keys()


@given(tensors)
def test_whatever_safetensors_writes_is_read_as_safetensors_reads_it(tmp_path_factory, written):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(safetensors.numpy.save(written))
    read, expected = read_tensors(path), safetensors.numpy.load_file(path)
    assert read.keys() == expected.keys()
    assert all(read[name].tobytes() == expected[name].tobytes() for name in read)
    assert all(read[name].shape == expected[name].shape for name in read)


# ---- 16 and 8 bits


@settings(max_examples=60)
@given(tensors, st.sampled_from(STORAGES))
def test_what_is_written_is_read_as_it_was_rounded_bit_for_bit(tmp_path_factory, written, storage):
    path = tmp_path_factory.getbasetemp() / "rounded.safetensors"
    write_tensors(path, written, storage)
    read, expected = read_tensors(path), rounded(written, storage)
    assert read.keys() == expected.keys() == written.keys()
    for name, tensor in read.items():
        assert (tensor.dtype, tensor.shape) == (np.float32, written[name].shape)
        assert tensor.tobytes() == expected[name].tobytes()
        assert tensor.flags.writeable


def test_eight_bits_are_integers_times_the_scale_of_their_row(path):
    matrix = np.float32([[127, -63.5, 0.5, 1.5], [0, 0, 0, 0], [-1, 0.5, 1, 0.25]])
    bias = np.float32([0.1, -3])
    write_tensors(path, {"kernel": matrix, "bias": bias, "gru.bias": np.float32([[1, 2]])}, "int8")
    stored = safetensors.numpy.load_file(path)
    assert {name: tensor.dtype.name for name, tensor in stored.items()} == {
        "kernel": "int8",
        "kernel.scale": "float32",
        "bias": "float16",
        "gru.bias": "float16",
    }
    third = np.float32(1) / np.float32(127)
    assert stored["kernel"].tolist() == [[127, -64, 0, 2], [0, 0, 0, 0], [-127, 64, 127, 32]]
    assert stored["kernel.scale"].tolist() == [1, 0, third]
    read = read_tensors(path, {"bias": (2,), "gru.bias": (1, 2), "kernel": (3, 4)})
    assert list(read) == ["bias", "gru.bias", "kernel"]
    assert read["kernel"].tolist() == [[127, -64, 0, 2], [0, 0, 0, 0], [-1, 64 * third, 1, 32 * third]]
    assert read["bias"].tolist() == np.float16([0.1, -3]).tolist()


def test_a_tensor_that_float16_cannot_hold_stays_as_it_is(path):
    written = {"a": np.float32([[1, 65_519]]), "b": np.float32([[1, 65_520]]), "bias": np.float32([1e5, 0.1])}
    for storage, types in (("float16", ["F16", "F32", "F32"]), ("int8", ["I8", "I8", "F32"])):
        write_tensors(path, written, storage)
        header = json.loads(path.read_bytes()[8:].split(b"}}")[0] + b"}}")
        assert [header[name]["dtype"] for name in written] == types
        assert read_tensors(path)["bias"].tolist() == written["bias"].tolist()


def test_rounding_costs_half_a_step_of_the_row(path):
    matrix = np.random.default_rng(0).normal(size=(40, 300)).astype(np.float32)
    matrix[::2] *= 1e-3
    steps = np.abs(matrix).max(axis=1, keepdims=True) / 127
    assert (np.abs(rounded({"a": matrix}, "int8")["a"] - matrix) <= 0.5001 * steps).all()


@pytest.mark.parametrize("storage", STORAGES)
def test_what_was_read_is_written_as_the_same_bytes(path, storage):
    draw = np.random.default_rng(1)
    scales = np.exp(draw.uniform(-9, 9, size=(100_000, 1)))
    write_tensors(path, {"a": (scales * draw.normal(size=(100_000, 2))).astype(np.float32)}, storage)
    content = path.read_bytes()
    write_tensors(path, read_tensors(path), storage)
    assert path.read_bytes() == content


def test_the_smallest_numbers_are_within_the_range_of_the_integers(path):
    matrix = np.float32([[178 * 2.0**-149, 2.0**-149], [2.0**-149, 0]])  # scales of 1 and 0 times the smallest number
    write_tensors(path, {"a": matrix}, "int8")
    assert safetensors.numpy.load_file(path)["a"].tolist() == [[127, 1], [0, 0]]


def test_a_storage_that_there_is_not_is_a_programming_error(path):
    with pytest.raises(ValueError, match=r"storage must be one of float32, float16, int8\. Received: 'int4'"):
        write_tensors(path, TENSORS, "int4")


@pytest.mark.parametrize("storage", STORAGES)
def test_a_file_shows_how_it_is_stored(path, storage):
    write_tensors(path, TENSORS, storage)
    assert storage_of(path) == (storage, path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="its size is not that of its tensors"):
        storage_of(path)


def with_scale(integers: bytes = bytes(6), scale: object = (1.0, 1.0), **header) -> bytes:
    """A file of a tensor `a`, I8 [2, 3], and its scale; `header` replaces what is said of them, None takes it out."""
    body = np.float32(scale).tobytes() + integers
    said = {"a_scale": entry((2,), 0, 8), "a": entry((2, 3), 8, 14, "I8")} | header
    return content_of({name.replace("_", "."): value for name, value in said.items() if value}, body)


def test_integers_with_a_scale_are_read(path):
    path.write_bytes(with_scale(bytes([1, 2, 3, 255, 254, 129]), (0.5, 0.0)))
    assert read_tensors(path)["a"].tolist() == [[0.5, 1, 1.5], [0, 0, 0]]


NO_SCALE = "tensor 'a' is of type I8 and has no scale of type F32 for each row"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (content_of({"a": entry((6,), 0, 6, "I8")}, bytes(6)), "tensor 'a' is of type I8 and has no rows"),
        (content_of({"a": entry((), 0, 1, "I8")}, bytes(1)), "tensor 'a' is of type I8 and has no rows"),
        (content_of({"a": entry((2, 3), 0, 6, "I8")}, bytes(6)), NO_SCALE),
        (with_scale(a_scale=None, b_scale=entry((2,), 0, 8)), NO_SCALE),
        (with_scale(a_scale=entry((4,), 0, 8, "F16")), NO_SCALE),
        (with_scale(a_scale=entry((2, 1), 0, 8)), NO_SCALE),
        (with_scale(a=entry((3, 2), 8, 14, "I8")), NO_SCALE),
        (with_scale(a_scale=entry((2, 4), 0, 8, "I8")), "has no scale of type F32 for each row"),
        (with_scale(a=entry((3,), 8, 14, "F16")), "there is a scale 'a.scale' without a tensor of type I8"),
        (with_scale(a=None, b=entry((3,), 8, 14, "F16")), "there is a scale 'a.scale' without a tensor of type I8"),
        (content_of({"a.scale": entry()}), "there is a scale 'a.scale' without a tensor of type I8"),
        (with_scale(b"\0\0\0\0\0\x80"), "tensor 'a' holds the integer -128"),
        (with_scale(scale=(1, np.nan)), "a scale of tensor 'a' is below 0 or not finite"),
        (with_scale(scale=(np.inf, 1)), "a scale of tensor 'a' is below 0 or not finite"),
        (with_scale(scale=(1, -1e-45)), "a scale of tensor 'a' is below 0 or not finite"),
        (with_scale(bytes(7)), "its size is not that of its tensors"),
        (with_scale(a=entry((2, 3), 8, 32, "I8")), LIBRARY),
        (with_scale(a=entry((2, 3), 7, 13, "I8")), LIBRARY),
        (content_of({"a": entry(dtype="F16")}), "its size is not that of its tensors"),
        *(
            (content_of({"a": entry((2, 3), 0, 6 * size, kind)}, bytes(6 * size)), "tensor 'a' is not of type F32, F16")
            for kind, size in {"BF16": 2, "F8_E4M3": 1, "F64": 8, "I16": 2, "I32": 4, "U8": 1, "BOOL": 1}.items()
        ),
    ],
)
def test_a_file_of_16_or_8_bits_that_is_not_as_textgen_writes_it_is_refused(path, content, message):
    assert message in refusal(path, content)


@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7E00, 0x7C01, 0xFFFF])
def test_a_number_of_16_bits_that_is_not_finite_is_found(path, bits):
    path.write_bytes(content_of({"a": entry((2,), 0, 4, "F16")}, struct.pack("<HH", 0, bits)))
    with pytest.raises(ModelError, match="holds numbers that are not finite"):
        check_finite(path, read_tensors(path))


def test_a_scale_that_leaves_float32_is_found(path):
    path.write_bytes(with_scale(b"\x7f" * 6, (1.0, 3e38)))
    with pytest.raises(ModelError, match="holds numbers that are not finite"):
        check_finite(path, read_tensors(path))


# ---- the header


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its header cannot be 0 bytes long"),
        (b"\xff" * 7, "its header cannot be"),
        (b"\xff" * 8, "its header cannot be"),
        (struct.pack("<Q", 0), "its header cannot be 0 bytes long"),
        (struct.pack("<Q", 2**62) + b"{}", "its header cannot be"),
        (struct.pack("<Q", 3) + b"{}", "its header cannot be 3 bytes long"),
        (content_of({"a": entry()}, length=MAX_HEADER_BYTES + 1), "its header cannot be"),
        (content_of(b"[]"), "its header is no JSON object"),
        (content_of(b"[" * 100_000), "recursion"),
        (content_of(b"\xff\xfe{}"), "utf-8"),
        (content_of({"a": entry()}, bytes(23)), "its size is not that of its tensors"),
        (content_of({"a": entry()}, bytes(25)), "its size is not that of its tensors"),
        (content_of({"a": entry(end=2**62)}), LIBRARY),
        (content_of({"a": entry((2**31, 2**31), 0, 2**64)}), "its size is not that of its tensors"),
        (content_of({"a": entry((2**40, 2**40), 0, 24)}), "its size is not that of its tensors"),
        (content_of({"a": entry(end=2**70)}), "a number has more than 20 digits"),
        (content_of({"a": entry((6,)), "b": entry((6,))}), "its size is not that of its tensors"),
        (content_of({"a": entry((3,), 0, 12), "b": entry((3,), 0, 12)}), LIBRARY),
        (content_of({"a": entry((3,), 0, 12), "b": entry((2,), 16, 24)}, bytes(20)), LIBRARY),
        (content_of({"a": entry((6,), 4, 28)}), LIBRARY),
        (content_of({"a": entry((6,), 24, 0)}), LIBRARY),
        (content_of({"a": entry((6,), -24, 0)}), LIBRARY),
        (content_of({"a": {**entry(), "data_offsets": [0, 12, 24]}}), LIBRARY),
        (content_of({"a": {**entry(), "data_offsets": [0, 24.0]}}), LIBRARY),
        (content_of({"a": {**entry(), "data_offsets": [False, 24]}}), LIBRARY),
        (content_of({"a": entry((-2, -3))}), "the shape of tensor 'a' is not"),
        (content_of({"a": entry((0, 2**62), 0, 0)}), "the shape of tensor 'a' is not"),
        (content_of({"a": entry((6.0,))}), "the shape of tensor 'a' is not"),
        (content_of({"a": entry((True,) * 6)}), "the shape of tensor 'a' is not"),
        (content_of({"a": entry((1,) * 100)}), "the shape of tensor 'a' is not a list of at most 8 sizes above 0"),
        (content_of({"a": {**entry(), "shape": "23"}}), "the shape of tensor 'a' is not"),
        (content_of({"a": {**entry(), "shape": [["\x1b[2J"]]}}), "the shape of tensor 'a' is not"),
        (content_of({"a": entry(dtype="F64")}), "tensor 'a' is not of type F32"),
        (content_of({"a": entry(dtype=["F32"])}), "tensor 'a' is not of type F32"),
        (content_of({"a": entry(more=1)}), "its header has 'a', which describes no tensor"),
        (content_of({"a": [1]}), "its header has 'a', which describes no tensor"),
        (content_of({"__metadata__": {"x": "y"}, "a": entry()}), "its header has '__metadata__', which describes no"),
        (content_of({"\x1b[31m" * 50: 1}), r"its header has '\x1b[31m"),
        (content_of({"\x1b[2J\n": entry((6,), 4, 28)}), LIBRARY),
        (content_of(b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2)), "the key 'a' stands in it twice"),
        (content_of(b'{"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], "dtype": "F32"}}'), "'dtype'"),
    ],
)
def test_a_header_that_does_not_describe_the_file_is_refused(path, content, message):
    assert message in refusal(path, content)


def test_the_claim_of_a_small_file_to_be_huge_costs_nothing(path):
    claimed = {"a": entry((65_536, 4 * 65_536), 0, 4 * 65_536 * 4 * 65_536)}
    assert "its size is not that of its tensors" in refusal(path, content_of(claimed))


def test_a_large_file_of_other_shapes_is_refused_unread(path):
    path.write_bytes(content_of({"a": entry((2**28,), 0, 2**30)}, b""))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 2**30)  # a sparse file: it takes no room
    tracemalloc.start()
    with pytest.raises(ModelError, match=r"tensor 'a' is 268435456 instead of 2 x 3$"):
        read_tensors(path, {"a": (2, 3)})
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "change", [lambda path: os.truncate(path, 1000), lambda path: path.write_bytes(content_of(b"{}"))]
)
def test_a_file_that_changes_while_it_is_read_is_refused(path, monkeypatch, change):
    class Changing(io.BufferedReader):
        def seek(self, *place):
            change(path)
            return super().seek(*place)

    monkeypatch.setattr(tensors_file, "open_plain", lambda path: Changing(io.FileIO(path)))
    write_tensors(path, {"a": np.zeros(100_000, np.float32)})  # more than is buffered
    with pytest.raises(ModelError, match=r"cannot be read: (it is being written to|Error while deserializing)"):
        read_tensors(path)


@pytest.mark.parametrize("storage", STORAGES)
def test_reading_takes_twice_the_size_of_the_file_and_the_arrays_which_are_left(path, storage):
    written = {"a": np.ones((2**10, 2**10), np.float32), "b": np.ones((2**20,), np.float32)}
    write_tensors(path, written, storage)
    tracemalloc.start()
    read = read_tensors(path)
    left, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = sum(tensor.nbytes for tensor in read.values())
    assert size <= left < size + 2**16
    assert most < 2 * path.stat().st_size + (0 if storage == "float32" else size) + 2**16


@pytest.mark.parametrize(
    ("seed", "rounds"), [(1, 300), *(pytest.param(s, 5000, marks=pytest.mark.soak) for s in range(9))]
)
def test_a_header_with_bytes_exchanged_is_read_or_refused(path, seed, rounds):
    """Nothing but a ModelError; and what is read is no larger than the file, had it 32 bits for each number."""
    draw, wholes = random.Random(seed), []
    for storage in STORAGES:
        write_tensors(path, TENSORS, storage)
        wholes.append((path.read_bytes(), 4 if storage == "int8" else 2 if storage == "float16" else 1))
    for index in range(rounds):
        whole, growth = wholes[index % len(wholes)]
        end = 8 + int.from_bytes(whole[:8], "little")
        content = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(end)] = draw.choice(b'\0\xff{}[]",:0123456789aF \\' + bytes([draw.randrange(256)]))
        path.write_bytes(content)
        with contextlib.suppress(ModelError):
            assert sum(tensor.nbytes for tensor in read_tensors(path).values()) <= growth * (len(whole) - end)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_found(value):
    tensor = np.zeros((3, 4), np.float32)
    check_finite(Path("w"), {"a": tensor, "b": np.float32([3e38, -3e38, 1e-45])})
    tensor[1, 2] = value
    with pytest.raises(ModelError, match=r"^w: tensor 'b' holds numbers that are not finite, or too large$"):
        check_finite(Path("w"), {"a": np.ones(1, np.float32), "b": tensor})


def test_a_number_beyond_the_largest_is_found():
    check_finite(Path("w"), {"a": np.float32([8, -8])}, 8)
    for value in (9, -9):
        with pytest.raises(ModelError, match=r"^w: tensor 'a' holds numbers that are not finite, or too large$"):
            check_finite(Path("w"), {"a": np.float32([0, value])}, 8)
