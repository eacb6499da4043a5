"""Files of tensors: what comes back, and every header that is refused before anything is allocated."""

import contextlib
import json
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from textgen.errors import ModelError
from textgen.tensor_files import MAX_HEADER_BYTES, check_finite, check_tensors, read_any_tensors, read_tensors

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
).filter(lambda found: "__metadata__" not in found)


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.numpy.save(TENSORS))
    return path


def entry(shape=(2, 3), start=0, end=24, dtype="F32", **more) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end], **more}


def content_of(header: object, body: bytes = bytes(24), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def refusal(path: Path, content: bytes) -> str:
    """What reading `content` fails with, in every way, and without taking memory."""
    path.write_bytes(content)
    messages = set()
    tracemalloc.start()
    for read in (read_any_tensors, lambda p: read_tensors(p, {"a": (2, 3)}), lambda p: check_tensors(p, {"a": (2, 3)})):
        with pytest.raises(ModelError) as caught:
            read(path)
        messages.add(str(caught.value))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**20 + 20 * len(content)
    assert len(messages) == 1
    assert min(messages).isprintable()
    return min(messages).removeprefix(f"{path} cannot be read: ")


# ---- what comes back


def test_tensors_come_back_in_the_order_that_is_asked_for(path):
    read = read_tensors(path, SHAPES)
    assert list(read) == list(SHAPES)
    for name, tensor in read.items():
        assert tensor.dtype == np.float32
        assert tensor.flags.writeable
        assert np.array_equal(tensor, TENSORS[name])
    assert read_any_tensors(path).keys() == TENSORS.keys()
    check_tensors(path, SHAPES)


@given(tensors)
def test_whatever_safetensors_writes_is_read_as_safetensors_reads_it(tmp_path_factory, written):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(safetensors.numpy.save(written))
    read, expected = read_any_tensors(path), safetensors.numpy.load_file(path)
    assert read.keys() == expected.keys()
    assert all(read[name].tobytes() == expected[name].tobytes() for name in read)
    assert all(read[name].shape == expected[name].shape for name in read)


# ---- the header


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it ends too early"),
        (b"\xff" * 7, "it ends too early"),
        (b"\xff" * 8, "its header cannot be"),
        (struct.pack("<Q", 0), "its header cannot be 0 bytes long"),
        (struct.pack("<Q", 2**62) + b"{}", "its header cannot be"),
        (struct.pack("<Q", 3) + b"{}", "its header cannot be 3 bytes long"),
        (content_of({"a": entry()}, length=MAX_HEADER_BYTES + 1), "its header cannot be"),
        (content_of(b"[]"), "its header is no JSON object"),
        (content_of(b"[" * 100_000), "its header: "),
        (content_of(b"\xff\xfe{}"), "its header: "),
        (content_of({"a": entry()}, bytes(23)), "its tensors do not end where the file ends"),
        (content_of({"a": entry()}, bytes(25)), "its tensors do not end where the file ends"),
        (content_of({"a": entry(end=2**62)}), "the shape of tensor 'a' does not fit its bytes"),
        (content_of({"a": entry((2**31, 2**31), 0, 2**64)}), "its tensors do not end where the file ends"),
        (content_of({"a": entry((2**40, 2**40), 0, 24)}), "the shape of tensor 'a' does not fit its bytes"),
        (content_of({"a": entry(end=2**70)}), "a number has more than 20 digits"),
        (content_of({"a": entry((6,)), "b": entry((6,))}), "tensor 'b' does not begin where the one before it ends"),
        (content_of({"a": entry((3,), 0, 12), "b": entry((2,), 16, 24)}), "tensor 'b' does not begin where"),
        (content_of({"a": entry((6,), 4, 28)}, bytes(28)), "tensor 'a' does not begin where"),
        (content_of({"a": entry((6,), 24, 0)}), "the shape of tensor 'a' does not fit its bytes"),
        (content_of({"a": entry((6,), -24, 0)}), "the shape or the place of tensor 'a' makes no sense"),
        (content_of({"a": entry((-2, -3))}), "the shape or the place of tensor 'a' makes no sense"),
        (content_of({"a": entry((0, 2**62), 0, 0)}), "the shape or the place of tensor 'a' makes no sense"),
        (content_of({"a": entry((6.0,))}), "the shape or the place of tensor 'a' makes no sense"),
        (content_of({"a": entry((True,) * 6)}), "the shape or the place of tensor 'a' makes no sense"),
        (content_of({"a": entry((1,) * 100)}), "the shape or the place of tensor 'a' makes no sense"),
        (content_of({"a": {**entry(), "shape": "23"}}), "the shape or the place of tensor 'a' makes no sense"),
        (content_of({"a": {**entry(), "data_offsets": [0, 12, 24]}}), "the shape or the place of tensor 'a' makes no"),
        (content_of({"a": entry(dtype="F64")}), "tensor 'a' is not of type F32"),
        (content_of({"a": entry(dtype=["F32"])}), "tensor 'a' is not of type F32"),
        (content_of({"a": entry(more=1)}), "its header has 'a', which describes no tensor"),
        (content_of({"a": [1]}), "its header has 'a', which describes no tensor"),
        (content_of({"__metadata__": {"x": "y"}, "a": entry()}), "its header has '__metadata__', which describes no"),
        (content_of({"\x1b[31m" * 50: 1}), r"its header has '\x1b[31m"),
        (content_of(b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2)), "the key 'a' stands in it twice"),
        (content_of(b'{"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], "dtype": "F32"}}'), "'dtype'"),
    ],
)
def test_a_header_that_does_not_describe_the_file_is_refused(path, content, message):
    assert message in refusal(path, content)


def test_the_claim_of_a_small_file_to_be_huge_costs_nothing(path):
    claimed = {"a": entry((65_536, 4 * 65_536), 0, 4 * 65_536 * 4 * 65_536)}
    assert "its tensors do not end where the file ends" in refusal(path, content_of(claimed))


@pytest.mark.parametrize(
    ("seed", "rounds"), [(1, 300), *(pytest.param(s, 5000, marks=pytest.mark.soak) for s in range(9))]
)
def test_a_header_with_bytes_exchanged_is_read_or_refused(path, seed, rounds):
    """Nothing but a ModelError; and what is read is no larger than the file."""
    draw, whole = random.Random(seed), path.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(rounds):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(end)] = draw.choice(b'\0\xff{}[]",:0123456789aF \\' + bytes([draw.randrange(256)]))
        path.write_bytes(content)
        with contextlib.suppress(ModelError):
            assert sum(tensor.nbytes for tensor in read_any_tensors(path).values()) <= len(whole) - end


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
