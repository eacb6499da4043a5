"""The NumPy engine against a float64 reference, and against itself: in one go, step by step, alone and side by side."""

import sys
import threading
import tracemalloc

import numpy as np
import pytest
from conftest import make_stored_model, model_config, random_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_model import ReferenceModel
from threadpoolctl import threadpool_info, threadpool_limits

from textgen.config import SamplingConfig
from textgen.generation import numpy_engine
from textgen.generation.few_rows import is_striped
from textgen.generation.generator import open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.numpy_rows import Rows
from textgen.generation.philox import uniforms
from textgen.generation.sampling import next_ids
from textgen.generation.state import MAX_RECENT, Context

CELLS = ("lstm", "gru", "rnn")
every_model = pytest.mark.parametrize(("cell", "num_layers"), [(cell, L) for cell in CELLS for L in (1, 2, 3)])
# Of 30 tokens: with 12 units the first layer is folded into a table, with 7 and 8 it is not.
SHAPES = [{}, {"tied": True}, {"units": 8, "tied": True}, {"units": 7}, {"units": 7, "tied": True}]
SKIPPING = [{"units": 7, "skip": True}, {"tied": True, "skip": True}]
every_shape = pytest.mark.parametrize("shape", SHAPES + SKIPPING, ids=str)
CONFIG = SamplingConfig(temperature=1.0)
token_lists = st.lists(st.integers(0, 29), max_size=12)


def make_engine(cell: str = "lstm", num_layers: int = 2, **shape) -> NumpyEngine:
    """An engine whose weights are so small that rounding does not grow over time."""
    config = make_stored_model(cell, num_layers=num_layers, **shape).record.model
    return NumpyEngine(config, random_weights(config, scale=0.3))


def make_pair(cell: str, num_layers: int, **shape) -> tuple[NumpyEngine, ReferenceModel]:
    """The engine and the reference with the same weights."""
    engine = make_engine(cell, num_layers, **shape)
    return engine, ReferenceModel(engine.config, random_weights(engine.config, scale=0.3))


def some_ids(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 30, size=length).astype(np.int32)


def written(engine, context, config, samples, length: int) -> np.ndarray:
    """`length` tokens of each sample, [length, B]."""
    blocks = engine.write(context, config, np.asarray(samples))
    tokens = np.concatenate([next(blocks) for _ in range(length)])
    blocks.close()
    return tokens


def assert_close(one: Context, other: Context) -> None:
    for field in ("hidden", "memory", "logits"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=0, atol=1e-5)
    assert one.recent.tolist() == other.recent.tolist()


# ---- reading


@pytest.mark.parametrize(("tokens", "folded"), [(48, True), (49, False)])
def test_only_a_small_vocabulary_is_folded_into_a_table(tokens, folded):
    config = model_config(vocabulary_size=tokens, units=12, embedding_size=8)
    engine = NumpyEngine(config, random_weights(config))
    assert engine.is_folded == folded
    assert engine.table.shape == ((tokens, 48) if folded else (tokens, 8))


def test_a_large_vocabulary_costs_no_copy_of_its_weights():
    config = model_config(vocabulary_size=5000, units=8, embedding_size=8, tied=True)
    weights = random_weights(config)
    tracemalloc.start()
    engine = NumpyEngine(config, weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < weights["embedding"].nbytes / 2
    assert np.shares_memory(engine.output_kernel, weights["embedding"])


def test_a_network_small_enough_to_follow_by_hand():
    """One unit that copies: h = tanh(embedding of the token), logits = h and -h."""
    model = make_stored_model("rnn", symbols="ab", units=1, embedding_size=1, num_layers=1)
    weights = {name: np.zeros_like(weight) for name, weight in model.weights.items()}
    weights |= {
        "embedding": np.float32([[0], [1]]),
        "layers.0.kernel": np.float32([[1]]),
        "output.kernel": np.float32([[1, -1]]),
    }
    engine = NumpyEngine(model.record.model, weights)
    assert engine.read(np.array([0])).logits.tolist() == [0, 0]
    np.testing.assert_allclose(engine.read(np.array([1])).logits, [np.tanh(1), -np.tanh(1)], rtol=1e-6)


@every_model
@every_shape
def test_reading_agrees_with_the_float64_reference(cell, num_layers, shape):
    engine, reference = make_pair(cell, num_layers, **shape)
    token_ids = some_ids(40)
    context = engine.read(token_ids)
    logits, state = reference.read(token_ids)
    np.testing.assert_allclose(context.logits, logits[-1], rtol=0, atol=2e-5)
    np.testing.assert_allclose(context.hidden, [layer.hidden for layer in state], rtol=0, atol=1e-5)
    np.testing.assert_allclose(context.memory, [layer.memory for layer in state], rtol=0, atol=1e-5)
    assert context.hidden.dtype == context.memory.dtype == context.logits.dtype == np.float32


@every_model
@every_shape
def test_every_position_of_every_stream_agrees_with_the_float64_reference(cell, num_layers, shape):
    engine, reference = make_pair(cell, num_layers, **shape)
    token_ids = some_ids(3 * 25).reshape(25, 3)
    hidden, memory = np.zeros((2, num_layers, 3, engine.config.units), np.float32)
    logits = engine.logits(engine.run(token_ids, hidden, memory))
    for stream in range(3):
        expected, state = reference.read(token_ids[:, stream])
        np.testing.assert_allclose(logits[:, stream], expected, rtol=0, atol=2e-5)
        np.testing.assert_allclose(hidden[:, stream], [layer.hidden for layer in state], rtol=0, atol=1e-5)
        np.testing.assert_allclose(memory[:, stream], [layer.memory for layer in state], rtol=0, atol=1e-5)


@every_model
def test_reading_step_by_step_is_reading_in_one_go(cell, num_layers):
    engine = make_engine(cell, num_layers)
    token_ids, context = some_ids(30), None
    for token_id in token_ids:
        context = engine.read(np.array([token_id]), context)
    assert_close(context, engine.read(token_ids))


@settings(deadline=None)
@given(token_lists.filter(bool), token_lists, st.sampled_from(CELLS))
def test_reading_in_two_parts_is_reading_in_one_go(one, other, cell):
    engine = make_engine(cell)
    in_parts = engine.read(np.array(other, int), engine.read(np.array(one)))
    assert_close(in_parts, engine.read(np.array(one + other)))


def test_long_texts_are_read_in_blocks(monkeypatch):
    engine, token_ids = make_engine(), some_ids(50)
    whole = engine.read(token_ids)
    monkeypatch.setattr(numpy_engine, "READ_BLOCK", 7)
    assert_close(engine.read(token_ids), whole)


def test_reading_nothing_changes_nothing():
    engine = make_engine()
    context = engine.read(some_ids(5))
    assert_close(engine.read(np.zeros(0, np.int32), context), context)


def test_a_context_is_not_changed_by_reading_or_writing():
    engine = make_engine()
    context = engine.read(some_ids(5))
    before = [np.copy(part) for part in (context.hidden, context.memory, context.logits, context.recent)]
    engine.read(some_ids(5, seed=1), context)
    written(engine, context, CONFIG.replace(repeat_penalty=2.0), [0, 1], 5)
    for part, copy in zip((context.hidden, context.memory, context.logits, context.recent), before, strict=True):
        assert np.array_equal(part, copy)


def test_the_empty_context_is_not_changed_either():
    engine = make_engine()
    empty = engine.empty_context()
    engine.read(some_ids(5), empty)
    assert not any(part.any() for part in (empty.hidden, empty.memory, empty.logits))


def test_a_context_remembers_the_latest_ids_and_no_more_than_needed():
    engine = make_engine(units=2, embedding_size=2, num_layers=1)
    token_ids = some_ids(MAX_RECENT + 10)
    assert engine.read(token_ids[:3], engine.read(token_ids[3:5])).recent.tolist() == [
        *token_ids[3:5].tolist(),
        *token_ids[:3].tolist(),
    ]
    assert np.array_equal(engine.read(token_ids).recent, token_ids[-MAX_RECENT:])
    assert SamplingConfig(repeat_last_n=MAX_RECENT).repeat_last_n == MAX_RECENT


def test_recent_rows_are_filled_up_with_minus_one():
    zeros = np.zeros((1, 1), np.float32)
    context = Context(zeros, zeros, zeros[0], np.array([4, 5, 6], np.int32))
    assert context.recent_rows(2, 2).tolist() == [[5, 6], [5, 6]]
    assert context.recent_rows(5, 1).tolist() == [[-1, -1, 4, 5, 6]]


# ---- writing


def assert_follows_reference(engine, reference, prompt, config, samples, length: int) -> None:
    """Every token is what the reference draws; where it is not, the number lies within rounding of a boundary."""
    tokens = written(engine, engine.read(prompt), config, samples, length)
    numbers = uniforms(config.seed, np.asarray(samples), 0, length)
    for column in range(len(samples)):
        logits, state = reference.read(prompt)
        scores, text = logits[-1], list(prompt)
        for position in range(length):
            recent = np.array([text[-config.repeat_last_n :]])

            def draw(number, scores=scores, recent=recent) -> int:
                return next_ids(scores[None], np.array([number]), config, recent).item()

            number = numbers[position, column]
            nearby = {draw(number), draw(max(number - 1e-5, 0)), draw(min(number + 1e-5, 1 - 2**-53))}
            token_id = int(tokens[position, column])
            assert token_id in nearby
            text.append(token_id)
            scores, state = reference.step(token_id, state)


@every_model
@every_shape
def test_writing_follows_the_float64_reference(cell, num_layers, shape):
    engine, reference = make_pair(cell, num_layers, **shape)
    config = CONFIG.replace(temperature=0.7, repeat_penalty=3.0, repeat_last_n=6, seed=5)
    assert_follows_reference(engine, reference, some_ids(4), config, samples=[0, 7, 2], length=40)


def test_writing_on_after_a_block_of_random_numbers_follows_the_reference(monkeypatch):
    monkeypatch.setattr(numpy_engine, "UNIFORM_BLOCK", 5)
    engine, reference = make_pair("lstm", 2)
    assert_follows_reference(engine, reference, some_ids(4), CONFIG, samples=[3], length=23)


@every_model
def test_what_was_written_is_what_reading_it_would_have_drawn(cell, num_layers):
    engine = make_engine(cell, num_layers)
    greedy = CONFIG.replace(temperature=0)
    context = engine.read(some_ids(4))
    for token_id in written(engine, context, greedy, [0], 30)[:, 0]:
        assert token_id == context.logits.argmax()
        context = engine.read(np.array([token_id]), context)


@every_model
def test_a_sample_is_the_same_alone_and_among_many(cell, num_layers):
    engine = make_engine(cell, num_layers)
    context = engine.read(some_ids(4))
    together = written(engine, context, CONFIG, range(6), 40)
    assert together.dtype == np.int32
    for sample in (0, 3, 5):
        assert written(engine, context, CONFIG, [sample], 40)[:, 0].tolist() == together[:, sample].tolist()
    assert len({tuple(column) for column in together.T.tolist()}) == 6


def test_the_same_seed_writes_the_same_and_another_seed_something_else():
    engine = make_engine()
    context = engine.read(some_ids(4))
    texts = [written(engine, context, CONFIG.replace(seed=seed), [0], 40).tolist() for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("num_rows", [7, 17])
def test_a_large_vocabulary_scores_few_rows_as_it_scores_one(num_rows):
    """Few rows are multiplied by stripes of the vocabulary."""
    config = model_config(vocabulary_size=8193, embedding_size=256, units=256, num_layers=1, tied=True)
    engine = NumpyEngine(config, random_weights(config))
    assert is_striped(engine.output_kernel, num_rows) == (num_rows <= 16)
    ids = np.arange(num_rows) * 400
    rows = Rows(engine, num_rows)
    rows.resize(num_rows)
    rows.put(slice(None), engine.empty_context())
    rows.advance(ids)
    alone = [engine.read(np.array([token_id])).logits for token_id in ids]
    np.testing.assert_allclose(rows.logits, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_streams_may_be_open_side_by_side(cell):
    """A stream that is read on after others were begun, of other sizes, goes on as if they had never been."""
    engine = make_engine(cell)
    context = engine.read(some_ids(4))
    expected = written(engine, context, CONFIG, [0], 12)
    stream = engine.write(context, CONFIG, np.array([0]))
    tokens = []
    for others in (1, 3, 2):
        tokens += [next(stream) for _ in range(4)]
        engine.read(some_ids(3))
        written(engine, context, CONFIG, range(others), 2)
    assert np.concatenate(tokens).tolist() == expected.tolist()


def test_threads_may_write_at_once():
    engine = make_engine(units=64)
    context = engine.read(some_ids(4))
    expected = [written(engine, context, CONFIG, [sample, 9], 150).tolist() for sample in range(4)]
    found = [None] * 4

    def write(sample: int) -> None:
        found[sample] = written(engine, context, CONFIG, [sample, 9], 150).tolist()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=write, args=[sample]) for sample in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert found == expected


@pytest.fixture
def two_blas_threads():
    """What a program that uses textgen may have chosen."""
    with threadpool_limits(2, user_api="blas"):
        yield


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.usefixtures("two_blas_threads")
@pytest.mark.parametrize("closing_order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_blas_has_one_thread_until_the_last_stream_is_closed(closing_order):
    engine = make_engine()
    context = engine.read(some_ids(4))
    assert blas_threads() == {2}
    streams = [engine.write(context, CONFIG, np.array([0])) for _ in range(3)]
    for stream in streams:
        next(stream)
    for index in closing_order:
        assert blas_threads() == {1}
        streams[index].close()
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
def test_blas_has_one_thread_in_another_thread_too():
    """The thread that sampled first is still there."""
    engine = make_engine()
    context = engine.read(some_ids(4))
    written(engine, context, CONFIG, [0], 2)
    found = []

    def write() -> None:
        stream = engine.write(context, CONFIG, np.array([0]))
        next(stream)
        found.append(blas_threads())
        stream.close()
        found.append(blas_threads())

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert found == [{1}, {2}]
    written(engine, context, CONFIG, [0], 2)
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_blas_threads")
@pytest.mark.parametrize("ending_order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_threads_that_end_in_any_order_leave_the_number_of_blas_threads_as_it_was(ending_order):
    engine = make_engine()
    context = engine.read(some_ids(4))
    written(engine, context, CONFIG, [0], 2)
    begun, may_end = threading.Barrier(4), [threading.Event() for _ in range(3)]

    def write(number: int) -> None:
        stream = engine.write(context, CONFIG, np.array([number]))
        next(stream)
        begun.wait()
        may_end[number].wait()
        stream.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    found = []
    for number in ending_order:
        found.append(blas_threads())
        may_end[number].set()
        threads[number].join()
    assert found == [{1}] * 3
    assert blas_threads() == {2}


def test_a_program_keeps_the_right_to_set_the_number_of_blas_threads():
    """Also where it began to set it before a thread wrote, and where that thread is still there."""
    engine = make_engine()
    context = engine.read(some_ids(4))
    before, written_to, may_end = blas_threads(), threading.Event(), threading.Event()

    def write() -> None:
        written(engine, context, CONFIG, [0], 2)
        written_to.set()
        may_end.wait()

    thread = threading.Thread(target=write)
    found = []
    with threadpool_limits(2, user_api="blas"):
        thread.start()
        written_to.wait()
        found.append(blas_threads())
    found.append(blas_threads())
    with threadpool_limits(3, user_api="blas"):
        found.append(blas_threads())
    may_end.set()
    thread.join()
    assert found == [{2}, before, {3}]


@pytest.mark.usefixtures("two_blas_threads")
def test_large_layers_keep_all_blas_threads(monkeypatch):
    monkeypatch.setattr(numpy_engine, "SHARED_PRODUCT_OPERATIONS", 0)
    engine = make_engine()
    stream = engine.write(engine.read(some_ids(4)), CONFIG, np.array([0]))
    next(stream)
    assert blas_threads() == {2}
    stream.close()


# ---- a long text costs no more than a short one


def peak_bytes_of_writing(num_tokens: int) -> int:
    """The most memory that Python and NumPy held while so many tokens were written, above what they held before."""
    model = make_stored_model(units=16)
    generator = open_generator(model)
    config = SamplingConfig(length=num_tokens)
    for _ in generator.stream("a", SamplingConfig(length=600)):
        pass  # what is made once is made now
    tracemalloc.start()
    written = sum(len(piece) for piece in generator.stream("a", config))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert written == num_tokens
    return peak


def test_many_tokens_take_no_more_memory_than_few():
    # Five bytes for each token more would be too many: an id that is kept takes eight.
    assert peak_bytes_of_writing(10_000) < peak_bytes_of_writing(1_000) + 45_000


@pytest.mark.slow
def test_a_million_tokens_take_no_more_memory_than_a_thousand():
    assert peak_bytes_of_writing(1_000_000) < peak_bytes_of_writing(1_000) + 500_000
