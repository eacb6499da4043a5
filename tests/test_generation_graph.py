"""The TensorFlow engine against the NumPy engine: random numbers, rules, network, and whole texts."""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from conftest import make_stored_model, slow
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.config import FILTERS, SamplingConfig
from textgen.generation import filters, graph_philox, graph_sampling, philox, sampling
from textgen.generation.barred import Barred
from textgen.generation.graph import FIRST_BLOCK, READ_BLOCK, TensorFlowEngine
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.past import Past
from textgen.generation.state import MAX_RECENT, Context

CELLS = ("lstm", "gru", "rnn")
B, V = 4, 11
words = st.integers(0, 2**32 - 1)
seeds = st.integers(0, 2**63 - 1)


def int64s(values) -> tuple[tf.Tensor, ...]:
    return tuple(tf.constant(value, tf.int64) for value in values)


# Random123, tests/kat_vectors: "philox4x32 10".
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_known_answers_of_its_authors(counter, key, answer, compiled):
    counter, key = (int64s(int(word, 16) for word in text.split()) for text in (counter, key))
    words = compiled_philox()(counter, key) if compiled else graph_philox.philox4x32(counter, key)
    assert " ".join(f"{int(word):08x}" for word in words) == answer


@functools.cache
def compiled_philox():
    return tf.function(graph_philox.philox4x32, jit_compile=True, autograph=False)


@given(seeds, st.lists(words, min_size=1, max_size=3), st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_the_graph_draws_the_same_uniform_numbers_as_numpy(seed, samples, first):
    numbers = graph_philox.uniforms(*int64s([seed, samples, first]), 5)
    assert np.array_equal(numbers.numpy(), philox.uniforms(seed, np.array(samples), first, 5))


@functools.cache
def traced_rules(active: tuple[tuple[str, bool], ...] | None):
    """`next_ids` compiled for the settings that act; None finds them in each call, as an export does."""

    def chosen(logits, uniform, rules, counts, barred):
        acting = graph_sampling.acting(rules) if active is None else dict(active)
        rules, acting = graph_sampling.rules_at(tf.constant(0), rules, acting)
        return graph_sampling.next_ids(logits, uniform, rules, acting, counts, barred)

    return tf.function(chosen, jit_compile=active is not None, autograph=False)


def graph_ids(logits, uniform, config, recent, barred=None, *, exported: bool) -> np.ndarray:
    """`barred` holds the ids of each row that are not drawn."""
    counts = np.zeros(logits.shape, np.int32)
    for row, ids in enumerate(recent):
        np.add.at(counts[row], ids[ids >= 0], 1)
    rules, active = graph_sampling.rules_of(config)
    function = traced_rules(None if exported else tuple(active.items()))
    mask = np.zeros(logits.shape, bool)
    for row, ids in enumerate(barred or ()):
        mask[row, ids] = True
    return function(tf.constant(logits), tf.constant(uniform), rules, tf.constant(counts), tf.constant(mask)).numpy()


def assert_same_ids(logits, uniform, config, recent, barred=None, *, exported: bool) -> None:
    """Equal, or so near a boundary that a change of 1e-12 in the logits gives the other's id."""
    expected = sampling.next_ids(logits, uniform, config, recent, barred)
    received = graph_ids(logits, uniform, config, recent, barred, exported=exported)
    for row in np.flatnonzero(expected != received):
        assert received[row] in ids_nearby(
            logits[row], uniform[row], config, recent[row], barred and barred[row], 1e-12
        )


def ids_nearby(logits, uniform, config, recent, barred, distance: float) -> np.ndarray:
    """The ids that NumPy chooses when the logits [V] are off by up to `distance`, `barred` [N] excepted."""
    noise = np.random.default_rng(0).uniform(-distance, distance, (256, len(logits)))
    return sampling.next_ids(
        logits + noise,
        np.tile(uniform, 256),
        config,
        np.tile(recent, (256, 1)),
        None if barred is None else [barred] * 256,
    )


def random_case(seed: int, ties: bool, config: SamplingConfig) -> tuple:
    """Logits [B, V], uniform numbers [B] with both ends among them, `config`, recent ids [B, 3]."""
    draw = np.random.default_rng(seed)
    logits = draw.integers(-2, 3, (B, V)) if ties else draw.normal(0, draw.choice([0.1, 3, 30]), (B, V))
    uniform = draw.random(B)
    uniform[0], uniform[1] = 0.0, 1 - 2**-53
    return logits.astype(np.float32), uniform, config, draw.integers(-1, V, (B, 3))


# Beside the ends of every range, the default, the value to be tried, and any other.
EDGES = {"temperature": [0.1, 1.0, 3.5], "top_k": [1, 2, 5, V - 1, V, V + 1], "top_p": [0.1, 0.5, 0.999]}


def values_of(name: str):
    """Values of a setting, among them those at which it may begin to act, or act otherwise."""
    field = SamplingConfig.__dataclass_fields__[name]
    limits = field.metadata
    low, high = limits["minimum"] if limits["above"] is None else limits["above"] + 1e-6, limits["maximum"]
    edges = [low, high, field.default, limits.get("tried", field.default), *EDGES.get(name, [])]
    is_whole = field.type is int
    return st.sampled_from(edges) | (
        st.integers(low, high) if is_whole else st.floats(low, high, allow_subnormal=False)
    )


ACTING = [name for name in ("temperature", *graph_sampling.OFF) if name != "no_repeat_ngram"]  # whose ids come barred
configs = st.builds(SamplingConfig, **{name: values_of(name) for name in ACTING})
barred_rows = st.lists(st.sets(st.integers(0, V - 1), max_size=V).map(sorted), min_size=B, max_size=B)


# XLA compiles anew for every set of rules that act: a second of work for a few examples.
@pytest.mark.parametrize(
    ("exported", "number"),
    [(True, 150), (False, 15), slow(False, 300)],
    ids=["exported", "compiled", "compiled, many"],
)
def test_every_rule_chooses_the_id_that_numpy_chooses(exported, number):
    @given(st.integers(0, 2**32 - 1), st.booleans(), configs, barred_rows)
    @settings(max_examples=number, deadline=None)
    def agree(seed, ties, config, barred):
        assert_same_ids(*random_case(seed, ties, config), barred, exported=exported)

    agree()


def test_xla_compiles_nothing_again_at_another_position():
    """Where a slice begins is a constant to XLA, which compiles a program for each of its values."""
    rules, active = graph_sampling.rules_of(SamplingConfig(temperature=(0.5, 1.0)))
    at = tf.function(lambda position: graph_sampling.rules_at(position, rules, active)[0]["temperature"])
    graph = at.get_concrete_function(tf.TensorSpec([], tf.int32)).graph
    assert not any(operation.type == "StridedSlice" for operation in graph.get_operations())
    assert [at(tf.constant(position)).numpy() for position in range(3)] == [0.5, 1.0, 0.5]


def test_every_setting_is_a_filter_or_has_a_place_of_its_own():
    """A new setting without a value to be tried is none that the table of filters knows."""
    own = {"length", "new_words", "repeat_penalty", "presence_penalty", "frequency_penalty", "repeat_last_n"}
    own |= {"no_repeat_ngram", "ban", "min_length", "temperature", "seed", "stop", "ignore_eod"}
    own |= {"endless", "beams", "must_include", "regex", "max_copy"}
    assert {field.name for field in dataclasses.fields(SamplingConfig)} == own | set(FILTERS)


def test_every_filter_has_a_form_in_numpy_and_one_in_the_graph():
    assert set(filters.KEEP) == set(graph_sampling.KEEP) == set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_drops_nothing_at_its_default_and_something_at_the_value_that_checks_try(name):
    weights = np.exp(np.random.default_rng(0).normal(0, 3, (8, 100)))
    config = SamplingConfig(**{name: FILTERS[name].metadata["tried"]})
    rules, active = graph_sampling.rules_of(config)
    kept = filters.filter_weights(weights, config)
    assert np.array_equal(graph_sampling.filter_weights(tf.constant(weights), rules, active).numpy(), kept)
    assert ((kept == 0) | (kept == weights)).all()
    assert ((kept == 0).any(axis=-1) & (kept > 0).any(axis=-1)).all()
    rules, active = graph_sampling.rules_of(SamplingConfig())
    assert np.array_equal(filters.filter_weights(weights, SamplingConfig()), weights)
    assert np.array_equal(graph_sampling.filter_weights(tf.constant(weights), rules, active).numpy(), weights)


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_keeps_what_numpy_keeps_at_its_boundaries_too(name):
    """Of weights whose sums are not rounded, so that what lies on a boundary is decided alike."""
    draw = np.random.default_rng(0)
    weights = draw.multinomial(64, draw.dirichlet(np.ones(6), 400)) / 64.0
    is_whole = FILTERS[name].type is int
    for number in range(1, 8) if is_whole else np.arange(4, 64, 5) / 64:
        config = SamplingConfig(**{name: number})
        kept = graph_sampling.filter_weights(tf.constant(weights), *graph_sampling.rules_of(config))
        assert np.array_equal(kept, filters.filter_weights(weights, config))


def test_typical_keeps_both_of_two_sides_that_are_as_near():
    """However the two distances are rounded."""
    for number in range(1, 13):
        weights = tf.constant([[number, *[1.0] * number]], tf.float64)
        assert np.array_equal(graph_sampling.keep_typical(weights, tf.constant(0.1, tf.float64)), weights)


@pytest.mark.parametrize("exported", [False, True], ids=["compiled", "exported"])
def test_the_rules_choose_the_id_that_numpy_chooses_in_a_large_vocabulary(exported):
    draw = np.random.default_rng(0)
    logits, uniform = draw.normal(0, 3, (64, 3000)).astype(np.float32), draw.random(64)
    config = SamplingConfig(temperature=1.0, top_k=500, top_p=0.95)
    assert_same_ids(logits, uniform, config, np.zeros((64, 0), int), exported=exported)


def test_a_hand_worked_draw():
    # Odds 1 : 2 : 1; a half is the last number that belongs to id 1 ... and three quarters the first of id 2.
    logits = np.log(np.float32([[1, 2, 1]])).repeat(4, axis=0)
    uniform = np.array([0.24, 0.26, 0.74, 0.76])
    recent = np.zeros((4, 0), int)
    config = SamplingConfig(temperature=1.0)
    assert graph_ids(logits, uniform, config, recent, exported=False).tolist() == [0, 1, 1, 2]
    assert graph_ids(logits, uniform, config.replace(top_k=1), recent, exported=True).tolist() == [1] * 4


def test_an_id_that_was_dropped_is_never_drawn():
    logits = np.float32([[3, 2, 1, 0, -50]])
    config = SamplingConfig(temperature=1.0, top_k=3)
    drawn = [
        graph_ids(logits, np.array([u]), config, np.zeros((1, 0), int), exported=False)[0] for u in (0.0, 1 - 2**-53)
    ]
    assert drawn == [0, 2]


def test_the_lowest_temperatures_are_greedy():
    logits, recent = np.float32([[-1e30, 3, 1, -5]]), np.zeros((1, 0), int)
    for temperature, exported in itertools.product((5e-324, 1e-310, 1e-300, 1e-3), (False, True)):
        config = SamplingConfig(temperature=temperature)
        assert graph_ids(logits, np.array([0.5]), config, recent, exported=exported).tolist() == [1]


@pytest.mark.parametrize("compiled", [False, True])
def test_a_number_on_a_boundary_draws_the_id_behind_it_and_never_one_without_weight(compiled):
    draw = tf.function(graph_sampling.draw, jit_compile=compiled)
    eighths = np.tile([0.0, 2.0, 0.0, 1.0, 0.0, 4.0, 1.0, 0.0], (8, 1))  # their sums are not rounded
    assert draw(eighths, np.arange(8) / 8).numpy().tolist() == [1, 1, 3, 5, 5, 5, 5, 6]
    random = np.random.default_rng(3)
    weights = random.random((64, 700)) * (random.random((64, 700)) < 0.2)
    cumulative = np.cumsum(weights, axis=-1)
    for column in range(0, 700, 20):  # where a sum, whose rounding depends on its order, equals what is asked for
        drawn = draw(weights, cumulative[:, column] / cumulative[:, -1]).numpy()
        assert (np.take_along_axis(weights, drawn[:, None].astype(int), axis=-1) > 0).all()


@functools.cache
def engines(cell: str) -> tuple[TensorFlowEngine, NumpyEngine]:
    model = make_stored_model(cell, units=24, embedding_size=8)
    weights = dict(model.weights)
    if cell == "rnn":
        # With large recurrent weights it is chaotic: rounding grows until the texts part, on any two machines.
        weights |= {name: value * np.float32(0.3) for name, value in weights.items() if "recurrent" in name}
    return tuple(engine(model.record.model, weights) for engine in (TensorFlowEngine, NumpyEngine))


def written(engine, context, config, samples, length, barred=None) -> np.ndarray:
    """int32 [length, B]."""
    blocks, count = [], 0
    for block in engine.write(context, config, np.array(samples), barred):
        blocks.append(block)
        if (count := count + len(block)) >= length:
            return np.concatenate(blocks)[:length]


@pytest.mark.parametrize("cell", CELLS)
def test_reading_gives_the_state_and_logits_of_the_numpy_engine(cell):
    graph, numpy = engines(cell)
    token_ids = np.random.default_rng(0).integers(0, 30, READ_BLOCK + 7)
    for ours, theirs in itertools.pairwise([graph.read(token_ids), numpy.read(token_ids)]):
        np.testing.assert_allclose(ours.hidden, theirs.hidden, atol=1e-4)
        np.testing.assert_allclose(ours.memory, theirs.memory, atol=1e-4)
        np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-4)
        assert np.array_equal(ours.recent, theirs.recent)


def test_reading_in_two_parts_equals_reading_in_one():
    graph, _ = engines("lstm")
    token_ids = np.arange(25)
    parts = graph.read(token_ids[9:], graph.read(token_ids[:9]))
    whole = graph.read(token_ids)
    assert np.array_equal(parts.logits, whole.logits)
    assert np.array_equal(parts.recent, whole.recent)


def test_reading_nothing_leaves_the_context_as_it_was():
    graph, _ = engines("lstm")
    context = graph.read(np.arange(5))
    again = graph.read(np.zeros(0, np.int32), context)
    assert all(np.array_equal(getattr(again, f), getattr(context, f)) for f in ("hidden", "memory", "logits", "recent"))


PLAIN = SamplingConfig(temperature=0.8)
TEXT_CONFIGS = {
    "plain": PLAIN,
    "hot": PLAIN.replace(temperature=1.5, seed=7),
    "large seed": PLAIN.replace(temperature=0.5, seed=2**63 - 1),
    "min-p": PLAIN.replace(min_p=0.1, seed=1),
    "greedy": PLAIN.replace(temperature=0),
    "top": PLAIN.replace(top_k=8, top_p=0.9, min_p=0.02, seed=3),
    "past": PLAIN.replace(temperature=(0.8, 0.0, 1.2), repeat_penalty=1.5, repeat_last_n=5, seed=4),
    "runs": PLAIN.replace(temperature=(0.8, 0.0, 1.2), no_repeat_ngram=3, seed=4),
}
# After an id below 15 comes one of the others, and after those one below 15.
HALVES = Barred((np.arange(30) < 15).astype(np.int32), (np.arange(15, 30), np.arange(15)))


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        *(("lstm", name) for name in TEXT_CONFIGS if name != "runs"),
        slow("lstm", "runs"),  # compiled twice, since its history grows
        *((cell, "top") for cell in ("gru", "rnn")),
        *(slow(cell, name) for cell in ("gru", "rnn") for name in TEXT_CONFIGS if name != "top"),
    ],
)
def test_both_engines_write_the_same_text(cell, name):
    graph, numpy = engines(cell)
    config, samples, prompt = TEXT_CONFIGS[name], [0, 5], np.arange(3, 13)
    barred = HALVES if name in ("past", "runs") else None
    ours, theirs = (written(e, e.read(prompt), config, samples, 400, barred) for e in (graph, numpy))
    for column, sample in enumerate(samples):
        assert_same_text(ours[:, column], theirs[:, column], sample, config, numpy, prompt, barred)
    assert len(np.unique(ours)) > 1


def assert_same_text(ours, theirs, sample, config, numpy, prompt, barred) -> None:
    """Equal, or equal up to a place where the uniform number lies within rounding of a boundary."""
    if np.array_equal(ours, theirs):
        return
    parted = int(np.argmax(ours != theirs))
    context = numpy.read(np.concatenate([prompt, theirs[:parted]]))
    uniform = philox.uniforms(config.seed, np.array([sample]), parted, 1)[0, 0]
    past = Past(context, config, 1, barred)
    rows = past.barred_ids()
    nearby = ids_nearby(context.logits, uniform, config.at(parted), past.recent[0], rows and rows[0], 1e-5)
    assert ours[parted] in nearby


def test_the_penalty_looks_at_the_prompt_too():
    graph, numpy = engines("lstm")
    config = PLAIN.replace(temperature=0, repeat_penalty=100, repeat_last_n=MAX_RECENT)
    prompt = np.arange(25)
    texts = [written(e, e.read(prompt), config, [0], 5) for e in (graph, numpy)]
    assert np.array_equal(*texts)
    assert set(texts[0].ravel()) == set(range(25, 30))


def test_a_sample_is_the_same_alone_and_in_a_batch():
    graph, _ = engines("lstm")
    context = graph.read(np.arange(6))
    batch = written(graph, context, PLAIN, [0, 5], 100)
    assert np.array_equal(batch[:, 1:], written(graph, context, PLAIN, [5], 100))
    assert not np.array_equal(batch[:, 0], batch[:, 1])


def test_the_first_block_is_short_so_that_text_streams_soon():
    graph, _ = engines("lstm")
    blocks = graph.write(graph.read(np.arange(6)), PLAIN, np.array([0]))
    assert [next(blocks).shape for _ in range(3)] == [(FIRST_BLOCK, 1), (2 * FIRST_BLOCK, 1), (4 * FIRST_BLOCK, 1)]


def test_changing_a_number_traces_nothing_again():
    model = make_stored_model("rnn")
    engine = TensorFlowEngine(model.record.model, model.weights)
    context = engine.read(np.arange(6))
    for number in (1, 2, 3):
        config = SamplingConfig(temperature=number / 4, top_k=number, min_p=number / 10, seed=number)
        written(engine, context, config, [number], 100)
        engine.read(np.arange(number), context)
    assert engine._write.experimental_get_tracing_count() == 1
    assert engine._read.experimental_get_tracing_count() == 1


def test_full_precision_is_asked_for_while_it_computes_and_then_given_back(monkeypatch):
    graph, _ = engines("lstm")
    seen = []
    original = graph._read
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled
    monkeypatch.setattr(graph, "_read", lambda *a: (seen.append(tf32()), original(*a))[1])
    before = tf32()
    graph.read(np.arange(3), Context.empty(2, 24, 30))
    assert seen == [False]
    assert tf32() == before
