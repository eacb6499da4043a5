"""A step that several processes make: here they are threads, and add by themselves."""

import functools
import threading

import numpy as np
import pytest
import tensorflow as tf
from conftest import model_config, random_weights, slow, training_config

from textgen.dataset.batches import Batch
from textgen.model.language_model import build_model
from textgen.training.shared_step import SharedStep, batch_of, bound_of, state_bytes
from textgen.training.step import TrainStep

B, T, V = 16, 5, 7
NOISE = {"dropout": 0.3, "input_dropout": 0.3, "embedding_dropout": 0.3, "state_reset": 0.4, "weight_drop": 0.2}
EVERYTHING = NOISE | {"ema": 0.9, "activation_reg": 2.0, "temporal_activation_reg": 1.0}


MANY = {"tokens": 400, "num_sampled": 9}
WORDS = EVERYTHING | MANY | {"tied": True}
SOME_WORDS = NOISE | MANY | {"tied": True, "weight_decay": 0.5, "clip_norm": 0.1}  # a step moves some of them


class Meeting:
    """Adds what so many threads bring, in the order of their numbers."""

    def __init__(self, count: int):
        self.count, self.brought, self.barrier = count, [None] * count, threading.Barrier(count, timeout=60)

    def member(self, index: int) -> "Member":
        return Member(self, index)


class Member:
    def __init__(self, meeting: Meeting, index: int):
        self.meeting, self.index, self.count = meeting, index, meeting.count

    def sum(self, value: tf.Tensor) -> tf.Tensor:
        def add(own: np.ndarray) -> np.ndarray:
            self.meeting.brought[self.index] = own
            self.meeting.barrier.wait()
            total = self.meeting.brought[0]
            for other in self.meeting.brought[1:]:
                total = total + other
            self.meeting.barrier.wait()
            return total

        return tf.ensure_shape(tf.numpy_function(add, [value], tf.float32), value.shape)


def make(kind: type[TrainStep], xla: bool, settings: dict, *arguments: object) -> TrainStep:
    settings = dict(settings)
    tokens, tied = settings.pop("tokens", V), settings.pop("tied", False)
    config = model_config(vocabulary_size=tokens, embedding_size=3, units=4, num_layers=1, tied=tied)
    model = build_model(config)
    model.set_named_weights(random_weights(config))
    training = training_config(batch_size=B, sequence_length=T, **{"dropout": 0.0, "state_reset": 0.0} | settings)
    return kind(model, training, *arguments, compile_with_xla=xla, token_counts=np.arange(tokens), document_end=None)


def three_batches(tokens: int = V) -> list[Batch]:
    draw = np.random.default_rng(0)
    blocks = [draw.integers(tokens, size=(B, T + 1)).astype(np.int32) for _ in range(3)]
    return [Batch(block[:, :-1], block[:, 1:], number == 0) for number, block in enumerate(blocks)]


def steps(step: TrainStep, left: dict, name: object) -> None:
    state, losses = None, []
    for number, batch in enumerate(three_batches(step.model.config.vocabulary_size)):
        loss, state = step(batch, state, 0.01, number)
        losses.append(float(loss))
    left[name] = left_by(step, losses, state)


def left_by(step: TrainStep, losses: list[float], state: list) -> tuple[list, list, list]:
    variables = [np.asarray(variable) for variable in (step.model.named_weights() | step.slots()).values()]
    return losses, [np.asarray(tensor) for tensor in tf.nest.flatten(state)], variables


def begin_again(step: TrainStep, begun: list[np.ndarray]) -> TrainStep:
    """The step with the variables that it had; it need not be traced and compiled again."""
    for variable, value in zip(step.variables(), begun, strict=True):
        variable.assign(value)
    return step


def values_of(step: TrainStep) -> list[np.ndarray]:
    return [np.asarray(variable).copy() for variable in step.variables()]  # a view would change with it


def team_of(rows: list[range], *, xla: bool, **settings) -> list[SharedStep]:
    meeting = Meeting(len(rows))
    return [make(SharedStep, xla, settings, meeting.member(i), own, 1) for i, own in enumerate(rows)]


def together(team: list[SharedStep]) -> tuple[list, list, list]:
    """Losses, state and variables after three steps of as many threads; all have the same variables."""
    left: dict = {}
    threads = [threading.Thread(target=steps, args=(step, left, i)) for i, step in enumerate(team)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [left[i] for i in range(len(team))]
    for losses, _, variables in found[1:]:
        assert losses == found[0][0]
        assert [v.tobytes() for v in variables] == [v.tobytes() for v in found[0][2]]
    state = [np.concatenate(parts) for parts in zip(*(state for _, state, _ in found), strict=True)]
    return found[0][0], state, found[0][2]


@functools.cache
def alone(num_shards: int, *, xla: bool, **settings) -> tuple[tuple[list, list, list], TrainStep, list[np.ndarray]]:
    """The same of one process; its step, and the variables that it began with."""
    left: dict = {}
    step = make(TrainStep, xla, settings)
    step.num_shards, begun = num_shards, values_of(step)
    steps(step, left, "alone")
    return left["alone"], step, begun


def as_bytes(found: tuple[list, list, list]) -> tuple:
    return found[0], [tensor.tobytes() for tensor in found[1]], [variable.tobytes() for variable in found[2]]


@pytest.mark.parametrize(
    "settings",
    [
        WORDS,
        SOME_WORDS,
        slow(EVERYTHING | MANY),
        slow(EVERYTHING | {"num_sampled": 3}),
        slow(EVERYTHING),
        slow({}),
        slow({"clip_norm": 0.01}),
    ],
    ids=str,
)
def test_two_processes_make_the_bytes_of_one_with_two_shards(settings):
    """Of many tokens they send each other the gradients of those that the batch touches."""
    team = team_of([range(8), range(8, 16)], xla=True, **settings)
    assert as_bytes(together(team)) == as_bytes(alone(2, xla=True, **settings)[0])


@pytest.mark.parametrize("settings", [WORDS, SOME_WORDS], ids=["all words", "some words"])
def test_several_compiled_steps_in_two_shards_in_one_call_are_those_of_as_many_calls(settings):
    expected, step, begun = alone(2, xla=True, **settings)
    batches = three_batches(step.model.config.vocabulary_size)
    losses, state = begin_again(step, begun).several(batches, step.zero_state(), [0.01] * 3, 0)
    assert as_bytes(left_by(step, [float(loss) for loss in losses], state)) == as_bytes(expected)


def test_rows_that_do_not_come_out_even_count_as_much_as_the_others_and_give_the_same_bytes_again():
    team = team_of([range(7), range(7, 16)], xla=False, **EVERYTHING)
    begun = [values_of(step) for step in team]
    found, (expected, *_) = together(team), alone(1, xla=False, **EVERYTHING)
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    for one, other in zip([*found[1], *found[2]], [*expected[1], *expected[2]], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    assert as_bytes(found) == as_bytes(together([begin_again(*own) for own in zip(team, begun, strict=True)]))


@pytest.mark.parametrize(
    ("tokens", "num_sampled", "expected"), [(338, 9, 169), (337, 9, 0), (400, 0, 0), (20_000, 1024, 1184), (7, 3, 0)]
)
def test_gradients_of_touched_tokens_alone_are_sent_where_they_are_few(tokens, num_sampled, expected):
    config = training_config(batch_size=B, sequence_length=T, num_sampled=num_sampled)
    assert bound_of(tokens, config) == expected


def test_what_is_sent_comes_as_it_was():
    batch = three_batches()[0]
    block = np.concatenate([batch.inputs, batch.targets[:, -1:]], axis=1).astype("<i4")
    found = batch_of(block[3:5].tobytes(), T, begins=True)
    np.testing.assert_array_equal(found.inputs, batch.inputs[3:5])
    np.testing.assert_array_equal(found.targets, batch.targets[3:5])
    step = make(SharedStep, False, EVERYTHING, Meeting(1).member(0), range(4), 1)
    draw = np.random.default_rng(1)
    arrays = [draw.normal(size=variable.shape).astype(variable.dtype) for variable in step.variables()]
    arrays[0].flat[0] = -0.0
    state = [[draw.normal(size=(4, 4)).astype(np.float32) for _ in range(2)]]
    loaded = step.load(b"".join([*(array.tobytes() for array in arrays), *state_bytes(state)]))
    assert [np.asarray(v).tobytes() for v in step.variables()] == [array.tobytes() for array in arrays]
    assert state_bytes(loaded) == state_bytes(state)
