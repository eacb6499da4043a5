"""From logits and one uniform number to the next id: each rule by hand, then all of them against plain Python.

The rules are compared on weights and thresholds that are multiples of powers of two: then no sum is rounded, and the
reference, which computes with fractions, has to agree exactly.
"""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.config import FILTERS, SamplingConfig
from textgen.generation import sampling
from textgen.generation.filters import KEEP, KEPT, LEAST, filter_row, filter_weights, typical_ids
from textgen.generation.past import Past, Runs
from textgen.generation.sampling import draw, next_ids, occurrences, penalised, repeat_penalty
from textgen.generation.state import MAX_RECENT, Context

NOTHING_RECENT = np.full((1, 1), -1)
JUST_BELOW_1 = math.nextafter(1, 0)

rows = st.lists(st.integers(0, 16), min_size=1, max_size=12).filter(any)
shares = st.integers(1, 64).map(lambda n: n / 64)


@pytest.fixture(autouse=True, scope="module", params=[sampling.MANY_IDS, 1], ids=["few ids", "many ids"])
def both_ways(request):
    """Of many ids the rules look only at those that matter; every test sees that way, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "MANY_IDS", request.param)
        yield


def next_id(logits, uniform: float = 0.5, recent=(-1,), **changes) -> int:
    """The next id of one row, with every rule off that `changes` does not name."""
    config = SamplingConfig(temperature=1.0).replace(**changes)
    return int(next_ids(np.float32([logits]), np.array([uniform]), config, np.array([recent]))[0])


def odds(*weights: float) -> list[float]:
    """Logits whose probabilities stand to each other as `weights`."""
    return [math.log(weight) if weight else -math.inf for weight in weights]


def left_of(weights, logs=None, **changes) -> np.ndarray:
    """What the filters leave of a row of weights: as of a batch, or as of many ids."""
    row, config = np.array(weights, float), SamplingConfig().replace(**changes)
    if sampling.MANY_IDS > 1:
        return filter_weights(row[None], config, None if logs is None else logs[None])[0]
    ids, kept = filter_row(row, config, logs)
    left = np.zeros_like(row)
    left[ids] = kept
    return left


def possible(logits, **changes) -> set[int]:
    """The ids that some uniform number draws."""
    return {next_id(logits, uniform, **changes) for uniform in np.linspace(0, JUST_BELOW_1, 400)}


# ---- draw


@pytest.mark.parametrize(
    ("uniform", "token_id"),
    [(0.0, 0), (0.24, 0), (0.25, 1), (0.74, 1), (0.75, 3), (JUST_BELOW_1, 3)],
)
def test_the_first_id_whose_cumulative_share_exceeds_the_number_is_drawn(uniform, token_id):
    assert draw(np.array([[1.0, 2.0, 0.0, 1.0]]), np.array([uniform])).tolist() == [token_id]


@pytest.mark.parametrize("weights", [[0, 1, 0], [0, 0, 5e-324], [3, 0, 0], [0, 1e300, 0]])
def test_an_id_without_weight_is_not_drawn_even_at_the_ends(weights):
    likely = int(np.argmax(weights))
    for uniform in (0.0, 0.5, JUST_BELOW_1):
        assert draw(np.array([weights], float), np.array([uniform])).tolist() == [likely]


def test_the_largest_number_draws_the_last_id_that_has_weight_however_the_sum_is_rounded():
    generator = np.random.default_rng(0)
    for _ in range(200):
        weights = generator.random(50)
        weights[generator.integers(1, 50) :] = 0
        assert draw(weights[None], np.array([JUST_BELOW_1])).item() == np.flatnonzero(weights)[-1]


@given(st.lists(rows, min_size=1, max_size=3).filter(lambda r: len({len(row) for row in r}) == 1), st.data())
def test_drawing_agrees_with_fractions(weights, data):
    numerators = data.draw(st.lists(st.integers(0, 1023), min_size=len(weights), max_size=len(weights)))
    expected = []
    for row, numerator in zip(weights, numerators, strict=True):
        target = Fraction(numerator, 1024) * sum(row)
        expected.append(next(i for i in range(len(row)) if sum(row[: i + 1]) > target))
    assert draw(np.array(weights, float), np.array(numerators) / 1024).tolist() == expected


# ---- temperature


def test_temperature_zero_takes_the_likeliest_and_ignores_the_number():
    assert {next_id([0, 3, 1], uniform, temperature=0) for uniform in (0.0, 0.5, JUST_BELOW_1)} == {1}


def test_temperature_zero_takes_the_first_of_equals():
    assert next_id([0, 3, 3], temperature=0) == 1


def test_temperature_divides_the_logits():
    """Odds of 1 to 4 become 1 to 2 at temperature 2, and 1 to 16 at temperature 1/2."""
    for temperature, share in ((1, 1 / 5), (2, 1 / 3), (0.5, 1 / 17)):
        assert next_id(odds(1, 4), share - 1e-6, temperature=temperature) == 0
        assert next_id(odds(1, 4), share + 1e-6, temperature=temperature) == 1


@pytest.mark.parametrize("share", [1.0, 0.002])
@pytest.mark.parametrize("num_ids", [sampling.MANY_IDS, sampling.MANY_IDS + 1, 9999])
def test_of_many_ids_the_one_is_drawn_that_adding_up_in_order_finds(num_ids, share):
    random = np.random.default_rng(num_ids)
    weights = np.exp(3 * random.normal(size=(60, num_ids))) * (random.random((60, num_ids)) < share)
    weights[:, random.integers(num_ids)] = 1e-300
    uniform = random.random(60)
    uniform[:2] = 0, JUST_BELOW_1
    cumulative = np.cumsum(weights, axis=-1)
    target = np.minimum(uniform * cumulative[:, -1], np.nextafter(cumulative[:, -1], 0))
    assert draw(weights, uniform).tolist() == (cumulative > target[:, None]).argmax(axis=-1).tolist()


@pytest.mark.parametrize("temperature", [5e-324, 1e-310, 1e-300, 1e-30, 1e-3])
def test_the_lowest_temperatures_are_greedy(temperature):
    for uniform in (0.0, 0.5, JUST_BELOW_1):
        assert next_id([-1e30, 3, 1, -5], uniform, temperature=temperature) == 1


def test_the_highest_temperature_is_nearly_indifferent():
    assert [next_id([5, 0, -5, 0], uniform, temperature=1000) for uniform in (0.2, 0.4, 0.6, 0.9)] == [0, 1, 2, 3]


def test_large_logits_do_not_overflow():
    assert [next_id([3e38, 3e38, -3e38], uniform) for uniform in (0.49, 0.51)] == [0, 1]


# ---- filters, by hand


@pytest.mark.parametrize(("k", "kept"), [(1, {3}), (2, {1, 3}), (3, {0, 1, 3}), (4, {0, 1, 2, 3}), (9, {0, 1, 2, 3})])
def test_top_k_keeps_the_k_likeliest(k, kept):
    assert possible(odds(2, 4, 1, 8), top_k=k) == kept


def test_top_k_0_is_off():
    assert possible(odds(2, 4, 1, 8), top_k=0) == {0, 1, 2, 3}


def test_top_k_keeps_whatever_equals_the_kth():
    assert left_of([2.0, 1.0, 2.0, 3.0], top_k=2).tolist() == [2, 0, 2, 3]


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.01, {3}), (0.5, {3}), (0.51, {1, 3}), (0.75, {1, 3}), (0.76, {0, 1, 3}), (1, {0, 1, 2, 3})]
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p, kept):
    """Shares 1/8, 1/4, 1/8, 1/2, the first a little more than the third."""
    assert set(np.flatnonzero(left_of([2.25, 4.0, 1.75, 8.0], top_p=top_p)).tolist()) == kept


def test_top_p_keeps_what_equals_the_last_that_it_needs():
    assert left_of([2.0, 4.0, 2.0, 8.0], top_p=0.76).tolist() == [2, 4, 2, 8]


@pytest.mark.parametrize("top_p", [5e-324, 1e-300, 1e-9])
def test_the_smallest_top_p_still_keeps_the_likeliest(top_p):
    assert possible([1.0, 3.0, 2.0], top_p=top_p) == {1}


@pytest.mark.parametrize(("min_p", "kept"), [(0.0, {0, 1, 2}), (0.25, {0, 1, 2}), (0.26, {0, 2}), (0.6, {2}), (1, {2})])
def test_min_p_drops_what_is_less_likely_than_its_share_of_the_likeliest(min_p, kept):
    assert set(np.flatnonzero(left_of([2.0, 1.0, 4.0], min_p=min_p)).tolist()) == kept


def test_typical_keeps_what_is_about_as_surprising_as_is_expected():
    """Shares 1/2, 1/4, 1/8, 1/8 surprise by 1, 2, 3 and 3 bits, and 1.75 are expected: the second is the nearest."""
    weights = [4.0, 2.0, 1.0, 1.0]
    kept = {mass: np.flatnonzero(left_of(weights, typical=mass)).tolist() for mass in (0.2, 0.25, 0.3, 0.75, 0.8)}
    assert kept == {0.2: [1], 0.25: [1], 0.3: [0, 1], 0.75: [0, 1], 0.8: [0, 1, 2, 3]}


def test_typical_keeps_both_of_two_sides_that_are_as_near():
    """Shares 1/2, 1/4, 1/4: 1 and 2 bits, and 1.5 are expected."""
    assert left_of([2.0, 1.0, 1.0], typical=0.1).tolist() == [2, 1, 1]


@given(rows, shares)
def test_typical_reaches_its_share_with_the_nearest(weights, mass):
    kept, weights = left_of(weights, typical=mass), np.array(weights, float)
    assert np.isin(kept, [0, *weights]).all()
    assert kept.sum() >= mass * weights.sum() * (1 - 1e-9)
    shares_ = weights / weights.sum()
    surprise = -np.log(np.where(shares_ > 0, shares_, 1e-300))
    distance = np.abs(surprise - np.sum(shares_ * surprise))
    dropped = (kept == 0) & (weights > 0)
    if dropped.any():
        assert distance[kept > 0].max() < distance[dropped].min()


@given(rows, shares, st.integers(0, 14))
def test_typical_keeps_the_same_by_logarithms_that_are_at_hand(weights, mass, top_k):
    """Those of what another filter dropped are as they were; of what has no weight they are any numbers."""
    logs = np.log(np.maximum(np.array(weights, float), LEAST))
    kept = left_of(weights, typical=mass, top_k=top_k)
    assert left_of(weights, logs, typical=mass, top_k=top_k).tolist() == kept.tolist()
    logs[np.array(weights) == 0] = -math.pi
    assert left_of(weights, logs, typical=mass, top_k=top_k).tolist() == kept.tolist()


def test_typical_asks_only_those_that_may_be_drawn():
    """Of shares 4, 2, 1 and 1 the first is barred: 1, 2 and 2 bits surprise, and 1.5 are expected."""
    for uniform, expected in ((0.0, 1), (0.49, 1), (0.51, 2), (0.99, 3)):
        config = SamplingConfig(temperature=1.0, typical=0.1)
        logits, barred = np.array([odds(4, 2, 1, 1)]), [np.array([0])]
        assert next_ids(logits, np.array([uniform]), config, NOTHING_RECENT, barred).tolist() == [expected]


@pytest.mark.parametrize("setting", [{"typical": 0.5}, {"top_p": 0.7}, {"repeat_penalty": 2.0}, {"temperature": 0.0}])
def test_every_row_of_a_batch_is_drawn_as_it_is_alone(setting):
    random = np.random.default_rng(3)
    logits, uniform = random.normal(0, 2, (6, 50)).astype(np.float32), random.random(6)
    recent, allowed = random.integers(-1, 50, (6, 4)), random.random((6, 50)) < 0.3
    barred = [random.integers(50, size=3) for _ in range(6)]
    allowed[4] = False
    config = SamplingConfig().replace(**setting)
    together = next_ids(logits, uniform, config, recent, barred, allowed).tolist()
    rows = (slice(row, row + 1) for row in range(6))
    alone = [next_ids(logits[r], uniform[r], config, recent[r], barred[r], allowed[r]).item() for r in rows]
    assert together == alone
    assert [id_ == -1 for id_ in together] == [row == 4 for row in range(6)]


@pytest.mark.filterwarnings("ignore:invalid value")  # of two infinities one is subtracted
@pytest.mark.parametrize("setting", [{name: field.metadata["tried"]} for name, field in FILTERS.items()])
def test_scores_that_are_no_numbers_give_some_id(setting):
    """As overflow makes them in a model that was tampered with."""
    for logits in ([math.nan] * 4, [1.0, math.nan, 2.0, 0.0], [math.inf, 0.0, math.inf, 0.0], [-math.inf] * 4):
        assert 0 <= next_id(logits, **setting) < 4


def test_every_filter_has_a_form_for_many_ids():
    assert list(KEEP) == list(KEPT) == list(FILTERS)


@pytest.mark.parametrize("spread", [0.01, 1, 3, 8])  # of the logarithms; 0.01 is nearly even
@pytest.mark.parametrize("share", [1.0, 0.01, 0.0])
def test_of_many_ids_the_filters_keep_what_they_keep_of_few(spread, share, monkeypatch):
    random = np.random.default_rng(7)
    weights = np.exp(spread * random.normal(size=(3, 5000))) * (random.random((3, 5000)) < share)
    weights[:, random.integers(5000, size=(40,))] = [[2.0], [1e-300], [1e300]]  # equal ones, too
    recent = random.integers(-1, 5000, size=(3, 40))
    settings_ = [{"top_k": k} for k in (1, 30, 45, 4999)]
    settings_ += [{name: mass} for name in ("top_p", "typical") for mass in (1e-9, 0.3, 0.97, 0.99999)]
    penalties = SamplingConfig(repeat_penalty=1.5, presence_penalty=0.25, frequency_penalty=0.5)

    def results(many: int) -> list[np.ndarray]:
        monkeypatch.setattr(sampling, "MANY_IDS", many)
        lowered = penalised(weights.copy(), recent, penalties)
        return [lowered, *(left_of(row, **setting) for setting in settings_ for row in weights)]

    for few, many in zip(results(10**9), results(1), strict=True):
        assert np.array_equal(few, many)


# ---- presence and frequency penalty, by hand


def test_presence_is_subtracted_once_and_frequency_each_time():
    recent = np.array([[2, 1, 2, -1, 2]])
    config = SamplingConfig(presence_penalty=0.5, frequency_penalty=-0.25)
    assert penalised(np.zeros((1, 4)), recent, config).tolist() == [[0, -0.25, 0.25, 0]]
    assert penalised(np.zeros((1, 4)), recent, SamplingConfig(frequency_penalty=2.0)).tolist() == [[0, -2, -6, 0]]


def test_the_penalties_are_subtracted_before_the_temperature():
    """Odds of 1 to e; a presence of 1 makes them even at every temperature."""
    for temperature in (0.1, 1.0, 3.0):
        changes = {"recent": (1,), "temperature": temperature, "presence_penalty": 1.0}
        assert [next_id([0.0, 1.0], uniform, **changes) for uniform in (0.49, 0.51)] == [0, 1]


# ---- what is barred


def test_where_no_id_is_left_there_is_no_next_one():
    logits = np.zeros((3, 2), np.float32)
    barred = [np.array([0, 1]), np.array([0]), np.zeros(0, int)]
    for temperature in (0.0, 1.0):
        config = SamplingConfig(temperature=temperature, top_p=0.9, typical=0.9)
        drawn = next_ids(logits, np.full(3, 0.1), config, np.full((3, 1), -1), barred)
        assert drawn.tolist() == [-1, 1, 0]


def test_the_ids_that_write_a_run_again():
    """After a b c a b, c would write "b c" and "a b c" again; all three have been written."""
    for size, again in ((1, {0, 1, 2}), (2, {2}), (3, {2}), (4, set()), (9, set())):
        assert set(Runs(size, np.array([0, 1, 2, 0, 1])).repeating().tolist()) == again


def test_the_recent_ids_are_the_latest_of_the_prompt_and_of_each_text():
    context = dataclasses.replace(Context.empty(1, 1, 9), recent=np.array([1, 2, 3], np.int32))
    past = Past(context, SamplingConfig(presence_penalty=1, repeat_last_n=4), 2)
    assert past.recent.tolist() == [[-1, 1, 2, 3]] * 2
    for ids in ([5, 6], [7, 8]):
        past.advance(np.array(ids))
    assert past.recent.tolist() == [[2, 3, 5, 7], [2, 3, 6, 8]]


def test_runs_are_forgotten_after_the_last_4096_ids():
    runs = Runs(2, np.array([7, 8]))
    for token_id in range(100, 100 + 3 * MAX_RECENT):
        runs.append(token_id)
        if token_id == 100 + MAX_RECENT - 4:
            runs.append(7)
            assert runs.repeating().tolist() == [8]
    runs.append(7)
    assert runs.repeating().tolist() == []


# ---- repeat penalty, by hand


def test_the_repeat_penalty_divides_odds_once_however_often_an_id_is_recent():
    scores = np.log([[1.0, 2.0, 4.0]])
    assert np.allclose(np.exp(repeat_penalty(scores, np.array([[0, 0, 3]]), 4.0)), [[1, 2, 1]])
    assert np.allclose(np.exp(repeat_penalty(scores, np.array([[0, 0, 0]]), 4.0)), [[1, 2, 4]])
    assert np.array_equal(scores, np.log([[1.0, 2.0, 4.0]]))


def test_the_repeat_penalty_does_not_depend_on_where_the_zero_of_the_logits_lies():
    for zero in (-50.0, 0.0, 50.0):
        assert np.allclose(
            repeat_penalty(np.array([[zero, zero]]), np.array([[0, 1]]), 2.0) - zero, [[0, -math.log(2)]]
        )


def test_each_row_has_its_own_recent_ids():
    counts = occurrences(np.array([[0, 1, 1], [-1, 2, -1]]), 3)
    assert counts.tolist() == [[1, 2, 0], [0, 0, 1]]
    less = repeat_penalty(np.zeros((2, 3)), counts, math.e)
    assert np.allclose(less, [[-1, -1, 0], [0, 0, -1]])


def test_a_penalty_below_one_rewards_repeating():
    assert next_id([0.0, 0.5], temperature=0, recent=(0,), repeat_penalty=0.5) == 0
    assert next_id([0.0, 0.5], temperature=0, recent=(-1,), repeat_penalty=0.5) == 1


# ---- the order of the rules


def test_the_repeat_penalty_acts_before_greedy_choice():
    assert next_id(odds(3, 4), temperature=0, recent=(1,), repeat_penalty=2.0) == 0


def test_the_repeat_penalty_acts_before_temperature():
    """Odds 1 to 4 with the second penalised by 4 are even at any temperature; the other order gives 1 to 1/2."""
    for uniform, token_id in ((0.49, 0), (0.51, 1)):
        assert next_id(odds(1, 4), uniform, recent=(1,), temperature=2.0, repeat_penalty=4.0) == token_id


def test_the_repeat_penalty_acts_before_top_k():
    assert possible(odds(3, 4), recent=(1,), repeat_penalty=2.0, top_k=1) == {0}


def test_temperature_acts_before_top_p():
    """Odds 1 to 9: the second alone reaches 0.8, but at temperature 2 its share is 3/4."""
    assert possible(odds(1, 9), top_p=0.8) == {1}
    assert possible(odds(1, 9), top_p=0.8, temperature=2.0) == {0, 1}


def test_top_k_acts_before_top_p():
    """Of 5, 3, 2 the first has half, but five eighths when the third is gone."""
    assert possible(odds(5, 3, 2), top_p=0.55) == {0, 1}
    assert possible(odds(5, 3, 2), top_p=0.55, top_k=2) == {0}


def test_temperature_acts_before_min_p():
    assert possible(odds(1, 4), min_p=0.4) == {1}
    assert possible(odds(1, 4), min_p=0.4, temperature=2.0) == {0, 1}


# ---- against plain Python


def kept_by_reference(weights: list[int], top_k: int, top_p: float, min_p: float) -> list[int]:
    """`weights` after the three filters, with fractions and loops."""
    weights = list(weights)
    if 0 < top_k < len(weights):
        kth = sorted(weights, reverse=True)[top_k - 1]
        weights = [w if w >= kth else 0 for w in weights]
    if top_p < 1:
        mass, least = Fraction(0), None
        for weight in sorted(weights, reverse=True):
            if mass >= Fraction(top_p) * sum(weights):
                break
            mass, least = mass + weight, weight
        weights = [w if w >= least else 0 for w in weights]
    return [w if w >= Fraction(min_p) * max(weights) else 0 for w in weights]


@settings(max_examples=300)
@given(rows, st.integers(0, 14), shares, st.integers(0, 64).map(lambda n: n / 64))
def test_the_filters_agree_with_fractions(weights, top_k, top_p, min_p):
    kept = left_of(weights, top_k=top_k, top_p=top_p, min_p=min_p)
    assert kept.tolist() == kept_by_reference(weights, top_k, top_p, min_p)
    assert kept[np.argmax(weights)] == max(weights)


def test_all_rules_together_agree_with_plain_python():
    """Every id that the reference leaves a share is drawn in the middle of that share."""
    generator = np.random.default_rng(1)
    for _ in range(300):
        logits = (generator.normal(size=9) * 3).astype(np.float32)
        recent = generator.integers(-1, 9, size=4)
        config = SamplingConfig(
            temperature=float(generator.uniform(0.3, 3)),
            repeat_penalty=float(generator.uniform(0.5, 3)),
            top_k=int(generator.integers(0, 10)),
            top_p=float(generator.uniform(0.3, 1)),
            min_p=float(generator.uniform(0, 0.3)),
        )
        scores = [float(x) - math.log(config.repeat_penalty) * (i in recent) for i, x in enumerate(logits)]
        weights = [math.exp(score / config.temperature) for score in scores]
        kept = np.array(kept_by_reference(weights, config.top_k, config.top_p, config.min_p)) / sum(weights)
        upper = np.cumsum(kept) / kept.sum()
        for token_id in np.flatnonzero(kept):
            middle = upper[token_id] - kept[token_id] / kept.sum() / 2
            assert next_ids(logits[None], np.array([middle]), config, recent[None]).tolist() == [token_id]


def test_what_is_barred_is_as_if_it_had_no_probability():
    generator = np.random.default_rng(5)
    for config in (
        SamplingConfig(temperature=0.0),
        SamplingConfig(temperature=0.7, top_k=3),
        SamplingConfig(temperature=1.3, top_p=0.8, repeat_penalty=1.5),
        SamplingConfig(temperature=1.0, min_p=0.2),
    ):
        logits = generator.normal(0, 3, (200, 9)).astype(np.float32)
        uniform, recent = generator.random(200), generator.integers(-1, 9, (200, 4))
        is_barred = generator.random((200, 9)) < 0.4
        is_barred[:, 7] = False
        barred = [np.flatnonzero(row) for row in is_barred]
        without = np.where(is_barred, -np.inf, logits)
        drawn = next_ids(logits, uniform, config, recent, barred)
        assert drawn.tolist() == next_ids(without, uniform, config, recent).tolist()
        rows = np.arange(200)
        assert not is_barred[rows, drawn].any()
        assert is_barred[rows, next_ids(logits, uniform, config, recent)].any()  # where they are not barred


samplings = st.builds(
    SamplingConfig,
    temperature=st.floats(0, 1000),
    repeat_penalty=st.floats(0.01, 100),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    typical=st.floats(0, 1, exclude_min=True),
    top_k=st.integers(0, 8),
    top_p=st.floats(0, 1, exclude_min=True),
    min_p=st.floats(0, 1),
)
scores = st.floats(-(2.0**100), 2.0**100, width=32)


@settings(max_examples=300)
@given(
    st.lists(scores, min_size=5, max_size=5), st.floats(0, 1, exclude_max=True), samplings, st.sets(st.integers(0, 4))
)
def test_any_setting_draws_an_id_and_warns_of_nothing(logits, uniform, config, recent):
    drawn = next_ids(np.float32([logits]), np.array([uniform]), config, np.array([[-1, *recent]]))
    assert drawn.shape == (1,)
    assert drawn.dtype == np.int64
    assert 0 <= drawn[0] < 5


@given(st.lists(st.lists(scores, min_size=4, max_size=4), min_size=1, max_size=5), samplings, st.data())
def test_rows_do_not_see_each_other_and_nothing_given_is_changed(logits, config, data):
    rows = len(logits)
    logits = np.float32(logits)
    uniform = np.array(data.draw(st.lists(st.floats(0, JUST_BELOW_1), min_size=rows, max_size=rows)))
    recent = np.array(data.draw(st.lists(st.tuples(st.integers(-1, 3)), min_size=rows, max_size=rows)))
    before = logits.copy()
    together = next_ids(logits, uniform, config, recent)
    alone = [next_ids(logits[i : i + 1], uniform[i : i + 1], config, recent[i : i + 1]).item() for i in range(rows)]
    assert together.tolist() == alone
    assert np.array_equal(logits, before)


def test_ids_are_drawn_as_often_as_their_shares_say():
    """Four categories, 20,000 draws: chi-square of 3 degrees of freedom is above 30 once in a million seeds."""
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    number = 20_000
    uniform = np.random.default_rng(2).random(number)
    logits = np.tile(np.log(shares).astype(np.float32), (number, 1))
    drawn = next_ids(logits, uniform, SamplingConfig(temperature=1.0), np.full((number, 1), -1))
    expected = shares * number
    assert ((np.bincount(drawn, minlength=4) - expected) ** 2 / expected).sum() < 30


@pytest.mark.parametrize(
    ("changes", "shares"),
    [
        ({"typical": 0.7}, (4, 2, 0, 0)),
        ({"presence_penalty": math.log(2)}, (4, 1, 1, 0.5)),
        ({"frequency_penalty": math.log(2)}, (4, 1, 1, 0.25)),
        ({"no_repeat_ngram": 1}, (4, 0, 1, 0)),
        ({"frequency_penalty": math.log(2), "no_repeat_ngram": 1, "typical": 0.7}, (4, 0, 0, 0)),
    ],
)
def test_ids_are_drawn_as_often_as_a_rule_says(changes, shares):
    """Of shares 4, 2, 1, 1 the second is recent once and the last twice; chi-square as above."""
    number, recent = 20_000, np.array([1, 3, 3])
    config = SamplingConfig(temperature=1.0, **changes)
    logits = np.tile(np.log(np.float32([4, 2, 1, 1])), (number, 1))
    barred = [Runs(config.no_repeat_ngram, recent).repeating()] * number if config.no_repeat_ngram else None
    uniform = np.random.default_rng(3).random(number)
    drawn = np.bincount(next_ids(logits, uniform, config, np.tile(recent, (number, 1)), barred), minlength=4)
    expected = np.array(shares) / sum(shares) * number
    assert not drawn[expected == 0].any()
    likely = expected > 0
    assert ((drawn - expected)[likely] ** 2 / expected[likely]).sum() < 30


def test_recent_ids_are_not_looked_at_without_a_penalty(monkeypatch):
    monkeypatch.setattr(sampling, "repeat_penalty", None)
    assert next_ids(np.zeros((1, 2)), np.array([0.0]), SamplingConfig(), NOTHING_RECENT).tolist() == [0]


def test_an_infinite_score_of_a_damaged_model_leaves_the_typical_ids_as_they_are():
    weights = np.random.default_rng(0).exponential(size=5000)
    weights[7] = 0.0
    logs = np.log(np.maximum(weights, LEAST))
    expected = typical_ids(weights, 0.5, logs)
    logs[7] = -np.inf
    np.testing.assert_array_equal(typical_ids(weights, 0.5, logs), expected)
