"""What a steering allows is what either engine draws, and both draw the same."""

import numpy as np
import pytest
from conftest import slow
from test_generation_graph import engines

from textgen.config import SamplingConfig
from textgen.generation.barred import Barred
from textgen.generation.steering import Together

NUMBER, SAMPLES = 16, np.arange(3)


class Turns:
    """Allows another part of the ids at every token: of row r at token t those with id % parts == (t + r) % parts."""

    def __init__(self, parts: int, vocabulary_size: int):
        self.parts, self.ids, self.time, self.told = parts, np.arange(vocabulary_size), 0, []

    def allowed(self):
        place = (self.time + SAMPLES) % self.parts
        return self.ids[None] % self.parts == place[:, None]

    def advance(self, token_ids):
        self.time += 1
        self.told.append(token_ids.copy())


class Anything:
    """Allows all."""

    def allowed(self):
        return None

    def advance(self, token_ids):
        pass


def written(engine, steering, config):
    context = engine.read(np.array([1, 2, 3]))
    blocks, ids = engine.write(context, config, SAMPLES, None, steering), np.zeros((0, len(SAMPLES)), int)
    while len(ids) < NUMBER:
        ids = np.concatenate([ids, next(blocks)])
    return ids[:NUMBER]


@pytest.mark.parametrize("temperature", [slow(0.0), 1.0])
def test_both_engines_draw_the_same_ids_of_those_that_are_allowed(temperature):
    config = SamplingConfig(temperature=temperature, top_p=0.95)
    texts = []
    for engine in engines("lstm"):
        steering = Turns(3, engine.config.vocabulary_size)
        ids = written(engine, steering, config)
        times = np.arange(NUMBER)[:, None]
        assert (ids % 3 == (times + SAMPLES) % 3).all()
        np.testing.assert_array_equal(steering.told, ids)
        texts.append(ids)
    np.testing.assert_array_equal(*texts)


@pytest.mark.parametrize("number", [slow(0), 1], ids=["tensorflow", "numpy"])
def test_a_steering_that_allows_all_changes_nothing(number):
    engine, config = engines("lstm")[number], SamplingConfig()
    np.testing.assert_array_equal(written(engine, Anything(), config), written(engine, None, config))


def test_steerings_together_allow_what_all_of_them_allow():
    two, three = Turns(2, 6), Turns(3, 6)
    together = Together([Anything(), two, three])
    np.testing.assert_array_equal(together.allowed(), two.allowed() & three.allowed())
    together.advance(np.array([0, 1, 2]))
    np.testing.assert_array_equal(together.allowed(), two.allowed() & three.allowed())
    assert Together([Anything()]).allowed() is None


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("number", [slow(0), 1], ids=["tensorflow", "numpy"])
def test_a_text_has_no_next_id_where_all_that_is_allowed_is_barred(number, temperature):
    engine, config = engines("lstm")[number], SamplingConfig(temperature=temperature)
    size = engine.config.vocabulary_size
    odd = Barred(np.zeros(size, np.int32), (np.arange(1, size, 2),))
    first = next(engine.write(engine.read(np.array([1])), config, SAMPLES, odd, Turns(2, size)))[0]
    assert (first[[0, 2]] % 2 == 0).all()
    assert (first[[0, 2]] >= 0).all()
    assert first[1] == -1
