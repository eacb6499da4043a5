"""Ids on disk, and batches as a pure function of (seed, step).

The ids are usually 0, 1, 2 ...: a token's id then says where it stands in the corpus.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from textgen.dataset.batches import Batches, append_token_ids, minimum_tokens, open_token_ids, smallest_dtype
from textgen.errors import CorpusError

batch_sizes, sequence_lengths = st.integers(1, 5), st.integers(1, 7)
spare_tokens, seeds, epochs = st.integers(0, 60), st.integers(0, 2**31 - 1), st.integers(0, 1000)


def positions(num_tokens: int) -> np.ndarray:
    return np.arange(num_tokens, dtype=np.uint32)


def write(path: Path, token_ids: np.ndarray, vocabulary_size: int) -> None:
    with path.open("wb") as file:
        append_token_ids(file, token_ids, vocabulary_size)


def epoch_of_batches(batches: Batches, epoch: int) -> list:
    first = epoch * batches.steps_per_epoch
    return [batches[step] for step in range(first, first + batches.steps_per_epoch)]


def make_batches(B: int, T: int, spare: int, seed: int = 0) -> Batches:
    """Batches of a corpus that is `spare` tokens longer than it has to be."""
    return Batches(positions(minimum_tokens(B, T) + spare), B, T, seed)


# ---- batches


def test_seven_tokens_in_two_streams():
    """With windows of one token the offset is always 0, so every number can be written down."""
    batches = Batches(np.array([10, 11, 12, 13, 14, 15, 16], np.uint8), batch_size=2, sequence_length=1, seed=3)
    assert (batches.stream_length, batches.steps_per_epoch) == (3, 3)
    assert [batch.inputs.tolist() for batch in epoch_of_batches(batches, 0)] == [
        [[10], [13]],
        [[11], [14]],
        [[12], [15]],
    ]
    assert [batch.targets.tolist() for batch in epoch_of_batches(batches, 0)] == [
        [[11], [14]],
        [[12], [15]],
        [[13], [16]],
    ]
    assert [batch.is_first for batch in epoch_of_batches(batches, 0)] == [True, False, False]
    assert batches[3].is_first
    assert batches[0].inputs.dtype == batches[0].targets.dtype == np.int32


@given(batch_sizes, sequence_lengths, spare_tokens, seeds, st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
def test_a_batch_depends_on_seed_and_step_alone(B, T, spare, seed, steps):
    batches = make_batches(B, T, spare, seed)
    first_run = [batches[step] for step in steps]
    for step, batch in reversed(list(zip(steps, first_run, strict=True))):
        again = make_batches(B, T, spare, seed)[step]
        assert np.array_equal(again.inputs, batch.inputs)
        assert np.array_equal(again.targets, batch.targets)
        assert again.is_first == batch.is_first == (step % batches.steps_per_epoch == 0)


@given(batch_sizes, sequence_lengths, spare_tokens, seeds, epochs)
def test_streams_are_contiguous_from_batch_to_batch(B, T, spare, seed, epoch):
    batches = make_batches(B, T, spare, seed)
    streams = np.concatenate([batch.inputs for batch in epoch_of_batches(batches, epoch)], axis=1)
    assert streams.shape == (B, batches.steps_per_epoch * T)
    assert np.array_equal(streams, streams[:, :1] + np.arange(streams.shape[1]))


@given(batch_sizes, sequence_lengths, spare_tokens, seeds, epochs)
def test_targets_are_one_token_ahead(B, T, spare, seed, epoch):
    for batch in epoch_of_batches(make_batches(B, T, spare, seed), epoch):
        assert batch.inputs.shape == batch.targets.shape == (B, T)
        assert np.array_equal(batch.targets, batch.inputs + 1)


@given(batch_sizes, sequence_lengths, spare_tokens, seeds, epochs)
def test_an_epoch_sees_every_token_once_but_for_less_than_a_window_at_the_end_of_a_stream(B, T, spare, seed, epoch):
    batches = make_batches(B, T, spare, seed)
    seen = np.concatenate([batch.inputs.ravel() for batch in epoch_of_batches(batches, epoch)])
    assert len(np.unique(seen)) == len(seen)
    offset = seen.min()
    assert 0 <= offset < T
    missed = np.setdiff1d(np.arange(offset, offset + B * batches.stream_length), seen)
    assert len(missed) == B * (batches.stream_length % T)
    assert (np.bincount((missed - offset) // batches.stream_length, minlength=B) < T).all()
    # What no stream holds: the offset, its counterpart at the end, and what does not divide among the streams.
    assert len(batches.token_ids) - B * batches.stream_length < T + B


@given(batch_sizes, sequence_lengths, st.integers(1, 9), seeds, epochs)
def test_where_windows_divide_the_streams_an_epoch_sees_every_token_from_its_offset_on(B, T, windows, seed, epoch):
    batches = Batches(positions(B * T * windows + T), B, T, seed)
    seen = np.concatenate([batch.inputs.ravel() for batch in epoch_of_batches(batches, epoch)])
    assert np.array_equal(np.sort(seen), seen.min() + np.arange(B * T * windows))


def test_the_offset_changes_from_epoch_to_epoch_and_takes_every_value():
    batches = Batches(positions(100), batch_size=2, sequence_length=8, seed=5)
    offsets = [int(epoch_of_batches(batches, epoch)[0].inputs.min()) for epoch in range(200)]
    assert set(offsets) == set(range(8))
    assert sum(a != b for a, b in itertools.pairwise(offsets)) > 150


def test_the_offset_changes_with_the_seed():
    first = [[make_batches(2, 64, 0, seed)[epoch].inputs[0, 0] for epoch in range(5)] for seed in range(20)]
    assert len({tuple(row) for row in first}) == 20


# ---- length


@given(batch_sizes, sequence_lengths, seeds)
def test_the_minimum_is_exact(B, T, seed):
    batches = make_batches(B, T, spare=0, seed=seed)
    assert batches.steps_per_epoch == 1
    assert batches[0].inputs.shape == (B, T)
    with pytest.raises(CorpusError, match="one batch of"):
        make_batches(B, T, spare=-1)


def test_a_text_that_is_too_short_is_told_what_would_fit():
    with pytest.raises(CorpusError) as caught:
        Batches(positions(1000), batch_size=16, sequence_length=64, seed=0)
    assert str(caught.value) == (
        "the training part has 1,000 tokens; one batch of 16 x 64 needs 1,088. "
        "Lower --batch-size to 14 or less, or use more text"
    )
    with pytest.raises(CorpusError, match="Lower --batch-size to 1 and --sequence-length to 50 or less"):
        Batches(positions(100), batch_size=16, sequence_length=64, seed=0)
    with pytest.raises(CorpusError, match=r"128\. Lower --sequence-length to 50 or less, or"):
        Batches(positions(100), batch_size=1, sequence_length=64, seed=0)


@given(st.integers(2, 300), st.integers(1, 40), st.integers(1, 60))
def test_following_the_advice_helps(num_tokens, B, T):
    assume(num_tokens < minimum_tokens(B, T))
    with pytest.raises(CorpusError) as caught:
        Batches(positions(num_tokens), B, T, seed=0)
    words = str(caught.value).split()
    if "--batch-size" in words:
        B = int(words[words.index("--batch-size") + 2])
    if "--sequence-length" in words:
        T = int(words[words.index("--sequence-length") + 2])
    assert Batches(positions(num_tokens), B, T, seed=0)[0].inputs.shape == (B, T)


def test_epochs_and_steps_are_converted_into_each_other():
    batches = Batches(positions(2 * 3 * 10 + 3), batch_size=2, sequence_length=3, seed=0)
    assert batches.steps_per_epoch == 10
    assert [batches.steps_for(epochs) for epochs in (0.001, 0.1, 0.11, 1, 2.5)] == [1, 1, 2, 10, 25]
    assert batches.epoch_of(25) == 2.5


# ---- ids on disk


@pytest.mark.parametrize(
    ("vocabulary_size", "num_bytes"), [(2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4), (4_194_304, 4)]
)
def test_ids_take_the_smallest_unsigned_type_and_come_back(tmp_path, vocabulary_size, num_bytes):
    path = tmp_path / "ids"
    token_ids = np.array([0, 1, vocabulary_size - 1, 0], np.int32)
    write(path, token_ids, vocabulary_size)
    assert smallest_dtype(vocabulary_size) == np.dtype(f"u{num_bytes}")
    assert path.stat().st_size == 4 * num_bytes
    assert open_token_ids(path, vocabulary_size).tolist() == token_ids.tolist()


def test_ids_are_little_endian_on_disk(tmp_path):
    write(tmp_path / "ids", np.array([1, 258]), 300)
    assert (tmp_path / "ids").read_bytes() == b"\x01\x00\x02\x01"


def test_ids_are_mapped_not_read_and_cannot_be_changed(tmp_path):
    write(tmp_path / "ids", positions(500), 500)
    token_ids = open_token_ids(tmp_path / "ids", 500)
    assert isinstance(token_ids, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        token_ids[0] = 1


def test_batches_of_a_mapped_file_are_those_of_the_array(tmp_path):
    write(tmp_path / "ids", positions(500), 500)
    mapped, array = Batches(open_token_ids(tmp_path / "ids", 500), 3, 7, 1), Batches(positions(500), 3, 7, 1)
    for step in (0, 5, 100):
        assert np.array_equal(mapped[step].inputs, array[step].inputs)
        assert mapped[step].targets.dtype == np.int32


def test_no_ids_are_an_empty_file_and_an_empty_array(tmp_path):
    write(tmp_path / "ids", np.zeros(0, np.int32), 300)
    assert (tmp_path / "ids").stat().st_size == 0
    assert open_token_ids(tmp_path / "ids", 300).dtype == np.uint16


def test_ids_are_appended_whatever_their_type_and_strides(tmp_path):
    with (tmp_path / "ids").open("wb") as file:
        for token_ids in (positions(8)[::2].astype(np.int32), positions(3), np.zeros(0, np.int32)):
            append_token_ids(file, token_ids, 300)
    assert open_token_ids(tmp_path / "ids", 300).tolist() == [0, 2, 4, 6, 0, 1, 2]
