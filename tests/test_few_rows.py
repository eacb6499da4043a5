"""Products of a few rows in stripes are the products, whatever is left over."""

import multiprocessing
import warnings

import numpy as np
import pytest

from textgen import cores
from textgen.config import ModelConfig
from textgen.generation import few_rows
from textgen.generation.few_rows import MOST_ROWS, Stripes, is_striped
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.numpy_rows import Rows
from textgen.store.model_directory import weight_shapes


@pytest.mark.parametrize("num_rows", [2, 3, 16])
@pytest.mark.parametrize(("depth", "size"), [(5, 1), (256, 2999), (1024, 2048), (3, 1200)])
def test_a_product_in_stripes_is_the_product(num_rows, depth, size):
    draw = np.random.default_rng(depth)
    columns, rows = draw.normal(size=(size, depth)).astype("f4"), draw.normal(size=(num_rows, depth)).astype("f4")
    out = np.full((num_rows, size), np.nan, np.float32)
    Stripes(columns.T).product(rows, out)
    np.testing.assert_allclose(out, rows.astype(float) @ columns.T.astype(float), atol=2e-4)


def test_rows_and_columns_may_be_parts_of_larger_arrays():
    draw = np.random.default_rng(0)
    columns, rows = draw.normal(size=(700, 40)).astype("f4"), draw.normal(size=(8, 40)).astype("f4")
    everything = np.zeros((8, 1000), np.float32)
    Stripes(columns[:, -24:].T).product(rows[:, 10:34], everything[:, 200:900])
    np.testing.assert_allclose(everything[:, 200:900], rows[:, 10:34] @ columns[:, -24:].T, atol=1e-5)
    assert not everything[:, :200].any()
    assert not everything[:, 900:].any()


def large_product() -> np.ndarray:
    """Of eight rows with a matrix that is large enough for two cores."""
    draw = np.random.default_rng(2)
    columns, rows = draw.normal(size=(8195, 256)).astype("f4"), draw.normal(size=(8, 256)).astype("f4")
    out = np.full((8, 8195), np.nan, np.float32)
    Stripes(columns.T).product(rows, out)
    return out


def test_two_cores_give_the_bytes_of_one_in_a_forked_process_too(monkeypatch):
    monkeypatch.setattr(few_rows, "available_cores", lambda: 1)
    cores.other_core.cache_clear()
    expected = large_product()
    assert cores.other_core.cache_info().currsize == 0
    monkeypatch.setattr(few_rows, "available_cores", lambda: 2)
    np.testing.assert_array_equal(large_product(), expected)
    assert cores.other_core.cache_info().currsize == 1  # the other core had a part in it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads, which the child is without
        with multiprocessing.get_context("fork").Pool(1) as pool:
            result = pool.apply_async(large_product).get(timeout=60)
    np.testing.assert_array_equal(result, expected)


def test_where_no_other_core_can_be_asked_this_one_multiplies_all(monkeypatch):
    monkeypatch.setattr(few_rows, "available_cores", lambda: 2)
    expected = large_product()

    def refused() -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(cores, "other_core", refused)
    np.testing.assert_array_equal(large_product(), expected)


def test_one_row_many_rows_and_small_matrices_are_multiplied_as_a_whole():
    large, small = np.zeros((512, 2048), np.float32), np.zeros((128, 512), np.float32)
    assert [is_striped(large, number) for number in (1, 2, MOST_ROWS, MOST_ROWS + 1)] == [False, True, True, False]
    assert not is_striped(small, 8)


@pytest.mark.parametrize("vocabulary_size", [30, 900])  # whose first layer is folded, and is not
@pytest.mark.parametrize("tied", [False, True])
def test_texts_go_the_same_way_in_stripes(monkeypatch, vocabulary_size, tied):
    config = ModelConfig(vocabulary_size=vocabulary_size, embedding_size=24, units=32, num_layers=2, tied=tied)
    draw = np.random.default_rng(1)
    weights = {name: draw.normal(size=shape).astype("f4") * 0.3 for name, shape in weight_shapes(config).items()}
    token_ids = draw.integers(vocabulary_size, size=(20, 7))

    def scores() -> np.ndarray:
        engine = NumpyEngine(config, weights)
        rows = Rows(engine, 9)
        rows.resize(7)
        rows.put(slice(None), engine.read(np.array([3, 4])))
        found = []
        for ids in token_ids:
            rows.advance(ids)
            found.append(rows.logits.copy())
        return np.array(found)

    whole = scores()
    monkeypatch.setattr(few_rows, "LEAST_WEIGHTS", 0)
    calls, product = [], Stripes.product
    monkeypatch.setattr(Stripes, "product", lambda self, *given: calls.append(self) or product(self, *given))
    np.testing.assert_allclose(scores(), whole, atol=1e-5)
    assert len(calls) == 3 * len(token_ids)
