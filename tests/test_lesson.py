"""The lesson: its networks are what they say, and what its page draws is what was measured."""

import functools
import json
import math
import os
import signal

import keras
import numpy as np
import pytest
import tensorflow as tf
from browser import needs_chromium
from commands import Command

from textgen.cli import main
from textgen.lesson import adding, adding_model
from textgen.lesson.contestants import (
    Size,
    begin,
    build,
    kept_bytes,
    logits_of,
    parameters_of,
    recurrent_shape,
    transformer_shape,
    writer,
)
from textgen.lesson.delays import Copying
from textgen.lesson.giving import Sizes, give_lesson, summary
from textgen.lesson.learning import RATES, Learner, learn
from textgen.lesson.page import COLOURS, lesson_page
from textgen.lesson.results import KINDS, Adding, Cost, Learned, Lesson
from textgen.lesson.tasks import by_characters_read, delay_task, text_task
from textgen.lesson.text import MOST_SYMBOLS, OTHERS, Text
from textgen.lesson.transformer import Shape, Transformer
from textgen.model.lstm import LSTM
from textgen.store.model_directory import num_parameters

SIZE = Size(units=8, num_layers=1, embedding_size=4, num_blocks=2, num_heads=2)
COUNTS = np.arange(1, 12)
SENTENCE = "the cat sat on the mat, and the dog sat on the cat.\n"


@functools.cache
def small(kind: str):
    return build(kind, len(COUNTS), SIZE, COUNTS)


@pytest.mark.parametrize("vocabulary_size", [10, 65, 257])
@pytest.mark.parametrize("size", [Sizes().delay, Sizes().text], ids=["delay", "text"])
def test_all_four_have_the_same_number_of_parameters_within_one_in_a_hundred(size, vocabulary_size):
    shapes = {cell: recurrent_shape(cell, vocabulary_size, size) for cell in KINDS if cell != "transformer"}
    numbers = {cell: num_parameters(shape) for cell, shape in shapes.items()}
    numbers["transformer"] = transformer_shape(vocabulary_size, size, numbers["lstm"]).num_parameters()
    assert max(numbers.values()) < 1.01 * min(numbers.values()), numbers
    assert parameters_of(small("lstm")) == num_parameters(small("lstm").config)


@pytest.mark.parametrize("kind", KINDS)
def test_all_begin_by_predicting_the_frequencies(kind):
    model = build(kind, len(COUNTS), SIZE, COUNTS * 100)
    token_ids = np.arange(11, dtype=np.int32)[None]
    shares = tf.nn.softmax(logits_of(model, tf.gather(model.embedding.embeddings, token_ids))).numpy()
    np.testing.assert_allclose(shares[0, 5], COUNTS / COUNTS.sum(), atol=0.1)


def expected_logits(model: Transformer, token_ids: np.ndarray) -> np.ndarray:
    """The Transformer in plain NumPy, a token at a time and without a cache: [T, V]."""
    E, heads = model.shape.embedding_size, model.shape.num_heads
    D = E // heads

    def normed(layer, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * layer.gamma.numpy() + layer.beta.numpy()

    def dense(layer, x):
        return x @ layer.kernel.numpy() + layer.bias.numpy()

    def turn(x, place):  # of complex numbers
        turns = np.exp(1j * place * 10_000.0 ** -(np.arange(D // 2) / (D // 2)))
        found = (x[..., : D // 2] + 1j * x[..., D // 2 :]) * turns
        return np.concatenate([found.real, found.imag], axis=-1)

    x = model.embedding.embeddings.numpy()[token_ids].astype(np.float64)
    for block in model.blocks:
        q, k, v = np.split(dense(block.project, normed(block.before_attention, x)), 3, axis=-1)
        out = np.zeros_like(x)
        for t in range(len(x)):
            for head in range(heads):
                part = slice(head * D, head * D + D)
                scores = np.array([turn(q[t, part], t) @ turn(k[s, part], s) for s in range(t + 1)]) / np.sqrt(D)
                weights = np.exp(scores - scores.max())
                out[t, part] = weights @ v[: t + 1, part] / weights.sum()
        x = x + dense(block.join, out)
        wide = dense(block.widen, normed(block.before_inner, x))
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / np.sqrt(2)))
        x = x + dense(block.narrow, wide)
    return dense(model.output_layer, normed(model.norm, x))


def test_the_transformer_is_the_formulas_and_its_cache_changes_nothing():
    model = small("transformer")
    assert model.count_params() == model.shape.num_parameters()
    token_ids = np.random.default_rng(0).integers(0, 11, 9).astype(np.int32)
    expected = expected_logits(model, token_ids)
    whole = model.logits_of(tf.gather(model.embedding.embeddings, token_ids[None]))[0]
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    losses, state = model.losses(token_ids[:-1, None], token_ids[1:, None], [])
    shares = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    np.testing.assert_allclose(losses[:, 0], -np.log(shares[np.arange(8), token_ids[1:]]), atol=1e-5)
    assert state == model.zero_state(1) == []
    cache, found = model.cache(1, 9), []
    for token_id in token_ids:
        logits, cache = model.step(tf.constant([token_id]), cache)
        found.append(logits[0].numpy())
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_cache_that_is_full_forgets_what_is_oldest():
    """With one block, a ring of four tokens is a window of four: where it begins makes no difference to rotations."""
    model = Transformer(Shape(11, 8, 1, 2, 16), 0, COUNTS)
    cache = model.cache(1, 4)
    for token_id in (1, 2, 3, 4, 5, 6):
        logits, cache = model.step(tf.constant([token_id]), cache)
    window = model.logits_of(tf.gather(model.embedding.embeddings, [[3, 4, 5, 6]]))[0, -1]
    np.testing.assert_allclose(logits[0], window, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_of_a_text_grows_with_it_in_a_transformer_alone(kind):
    sizes = [kept_bytes(begin(small(kind), places)) for places in (64, 512)]
    blocks_of_keys_and_values = 4 * 2 * 2 * small("transformer").shape.embedding_size
    expected = {"transformer": [64 * blocks_of_keys_and_values, 512 * blocks_of_keys_and_values]}
    states = 2 if kind == "lstm" else 1
    units = None if kind == "transformer" else small(kind).config.units
    assert sizes == expected.get(kind, [4 * states * (units or 0)] * 2)


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_what_is_written_is_what_the_likeliest_next_tokens_are(kind):
    model = small(kind)
    written, _ = writer(model, 6, 1e-6, compiled=False)(tf.constant([3]), begin(model, 8), tf.constant(0))
    read = [3]
    for _ in range(6):
        logits = logits_of(model, tf.gather(model.embedding.embeddings, np.array([read], np.int32)))
        read.append(int(logits[0, -1].numpy().argmax()))
    assert written.numpy().tolist() == read[1:]


def test_the_gradient_is_that_of_the_loss_in_what_was_read_so_many_tokens_before():
    """By hand: the loss at the last place, when one number of one embedding is moved a little."""
    text = Text([SENTENCE * 40], "text", 2000)
    task = text_task(text, SIZE, 4, 8, 1)
    learner = Learner("lstm", task, compiled=False)
    token_ids, targets, _ = task.asked
    expected = np.zeros(8)
    embedded = tf.gather(learner.model.embedding.embeddings, token_ids).numpy()

    def losses(values: np.ndarray) -> np.ndarray:
        logits = logits_of(learner.model, tf.constant(values))[:, -1]
        return tf.nn.sparse_softmax_cross_entropy_with_logits(targets[:, -1], logits).numpy()

    for place in range(8):
        slopes = []
        for number in range(4):
            moved = np.zeros_like(embedded)
            moved[:, place, number] = 0.01
            slopes.append((losses(embedded + moved) - losses(embedded - moved)) / 0.02)
        expected[7 - place] = np.linalg.norm(slopes, axis=0).mean()
    np.testing.assert_allclose(learner.gradient(), expected, rtol=0.02, atol=2e-5)


def test_the_rate_with_the_least_held_out_loss_is_taken_from_the_same_weights(monkeypatch):
    text = Text([SENTENCE * 40], "text", 2000)
    trained = []

    def train(self, peak, seconds, points):
        trained.append((peak, round(seconds, 6), points))
        return [(0.0, 3.0), (seconds, {0.001: 2.0, 0.003: 1.0, 0.01: math.inf}[peak])]

    monkeypatch.setattr(Learner, "train", train)
    said = []
    learned, _ = learn("lstm", text_task(text, SIZE, 4, 8, 1), 10.0, said.append, compiled=False)
    assert [peak for peak, *_ in trained] == [*RATES, 0.003]
    assert [seconds for _, seconds, _ in trained] == [1, 1, 1, 7]
    assert (learned.rate, learned.tried) == (0.003, {0.001: 2.0, 0.003: 1.0, 0.01: math.inf})
    assert said == ["text: LSTM, 1.000 nats per character, learning rate 0.003"]


def test_training_begins_anew_each_time_and_learns():
    learner = Learner("lstm", delay_task(Copying(4), SIZE, batch_size=8, tested=64), compiled=False)
    first = learner.loss()
    curve = learner.train(0.03, 0.3, 3)
    assert curve[0] == (0.0, first)
    assert curve[-1][0] >= 0.3
    assert curve[-1][1] < first
    assert learner.train(0.03, 1e-9, 1)[0] == (0.0, first)


def test_guesses_are_counted_by_how_much_was_read():
    right = np.array([[1, 0, 0, 1, 1, 0, 1, 1]], bool)
    assert by_characters_read(right) == {1: 1.0, 2: 0.0, 4: 0.75, 8: 1.0}


def test_rare_symbols_are_one_symbol_and_a_short_text_is_refused():
    many = "".join(chr(0x4E00 + place) * (400 - place) for place in range(300))
    text = Text([many], "text", 100)
    assert (len(text.symbols), text.symbols[-1]) == (MOST_SYMBOLS + 1, OTHERS)
    assert text.decode(text.ids).count(OTHERS) == sum(400 - place for place in range(MOST_SYMBOLS, 300))
    assert text.decode(np.concatenate([text.training, text.tests]))[:1000] == many[:1000]


def test_the_adding_problem_is_what_it_says():
    inputs, targets = adding.sequences(np.random.default_rng(0), 500, 10)
    assert inputs.shape == (500, 10, 2)
    assert (inputs[:, :, 1].sum(axis=1) == 2).all()
    assert (inputs[:, :5, 1].sum(axis=1) == 1).all()
    sums = (inputs[:, :, 0] * inputs[:, :, 1]).sum(axis=1)
    np.testing.assert_allclose(targets[:, 0], 0.5 + sums / 4, atol=1e-6)


def test_the_lines_that_are_shown_are_those_that_run_and_use_the_layer_of_the_language_model():
    shown: dict = {}
    exec(adding.code(), shown)
    assert "from textgen.model.lstm import LSTM" in adding.code()
    for build_it in (shown["adding_model"], adding_model.adding_model):
        model = build_it(5)
        kinds = [type(layer) for layer in model.layers]
        assert kinds == [keras.layers.InputLayer, LSTM, keras.layers.Dense]
        assert model.output_shape == (None, 1)


# ---- the page


def made_up(name: str = "a <b>text</b>") -> Lesson:
    def learned(kind: str, place: int, distances: tuple[int, ...], length: int) -> Learned:
        draw = np.random.default_rng(place)
        return Learned(
            kind=kind,
            parameters=13_000 + place,
            rate=0.003,
            tried={0.001: 2.0, 0.003: 1.5, 0.01: math.inf},
            tokens=123_456,
            losses=[(float(second), 3.0 / (1 + second) + place / 10) for second in range(9)],
            accuracy={distance: float(draw.uniform(0, 1)) for distance in distances},
            gradient=[10 ** -(k * (place + 1) / 12) for k in range(length)],
            untrained_gradient=[10 ** -(k * (place + 1) / 9) for k in range(length)],
            sample="<script>alert(1)</script>\x1b and\nso on",
        )

    curve = [(float(second), 1 - 1 / (1 + second)) for second in range(9)]
    return Lesson(
        text_name=name,
        characters=123_456,
        symbols=65,
        minutes=2,
        longest=60,
        window=128,
        seconds_each=(12.0, 15.0),
        delay=[learned(kind, place, (2, 5, 10, 20, 60), 60) for place, kind in enumerate(KINDS)],
        text=[learned(kind, place, (1, 2, 4, 8, 16), 128) for place, kind in enumerate(KINDS)],
        costs=[
            Cost(kind, context, 1e-5 * (place + context / 64), 1000 * (place + context // 64))
            for place, kind in enumerate(KINDS)
            for context in (64, 512, 4096)
        ],
        adding=Adding(50, 4_513, adding.code(), [(x, 1.1 - y) for x, y in curve], curve, 1 / 24),
    )


def test_names_and_texts_are_escaped_and_the_page_has_no_script():
    page = lesson_page(made_up("<script>alert(2)</script>\u202e"))
    assert "<script" not in page
    assert "\u202e" not in page
    assert "style=" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;␛ and\nso on" in page
    assert page.count('<svg viewBox="0 0 460 280"') == 10


def test_the_page_and_the_table_hold_the_figures():
    lesson = made_up()
    page, table = lesson_page(lesson), "\n".join(summary(lesson))
    for one, other in zip(lesson.delay, lesson.text, strict=True):
        line = next(line for line in table.splitlines() if line.startswith(KINDS[one.kind]))
        assert f"{one.accuracy[60]:.0%}" in line
        assert f"{other.loss / math.log(2):.2f}" in line
        assert f"{one.gradient[-1]:.1e}" in line
        assert f"the {KINDS[one.kind]} {100 * one.accuracy[60]:.3g} %" in page
        assert f"{other.loss / math.log(2):.2f} bits per character" in page
    assert "0.001: 2.000, 0.003: 1.500, 0.01: inf" in page


POINTS = """
(() => {
  const titled = (one) => one.querySelector("h3").textContent === %s;
  const figure = [...document.querySelectorAll("figure.chart")].find(titled);
  const middle = (one, isDown) => {
    const box = one.getBoundingClientRect();
    return isDown ? box.top + box.height / 2 : box.left + box.width / 2;
  };
  const ticks = (kind) => [...figure.querySelectorAll(`.tick.${kind}`)].map((one) =>
    [one.textContent, middle(one, kind === "y")]);
  const points = [...figure.querySelectorAll("circle.series-%d")].map((one) => [middle(one, false), middle(one, true)]);
  return [ticks("x"), ticks("y"), points];
})()
"""


def read_off(chromium, title: str, kind: str, to_x, to_y) -> list[tuple[float, float]]:
    """The points of a line as they lie on the screen, by the ticks beside them."""
    x_ticks, y_ticks, points = chromium.evaluate(POINTS % (json.dumps(title), COLOURS[kind]))

    def scale(ticks: list, value):
        places = [(place, value(text.replace(",", "").replace(" %", ""))) for text, place in ticks]
        (first, low), (last, high) = places[0], places[-1]
        return lambda place: low + (place - first) / (last - first) * (high - low)

    x, y = scale(x_ticks, to_x), scale(y_ticks, to_y)
    return [(x(a), y(b)) for a, b in points]


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_what_the_page_draws_agrees_with_the_numbers(width, chromium, tmp_path):
    lesson = made_up()
    path = tmp_path / "page.html"
    path.write_text(lesson_page(lesson), encoding="utf-8")
    chromium.open(path, width=width, dark=width < 600)
    assert chromium.problems == []
    assert chromium.evaluate("document.documentElement.scrollWidth") == width
    log = lambda text: math.log10(float(text))  # noqa: E731
    exponent = lambda text: math.log2(float(text))  # noqa: E731
    checked = 0
    for place, kind in enumerate(KINDS):
        delay, text = lesson.delay[place], lesson.text[place]
        costs = [cost for cost in lesson.costs if cost.kind == kind]
        expected = {
            ("Symbols remembered", float, float): [(d, 100 * share) for d, share in delay.accuracy.items()],
            ("Gradient after training", float, log): [(k + 1, -k * (place + 1) / 12) for k in range(60)],
            ("Bits per character, while they train", float, float): [(x, y / math.log(2)) for x, y in text.losses],
            ("Next characters guessed", exponent, float): [(i, 100 * text.accuracy[2**i]) for i in range(5)],
            ("Microseconds for a character", exponent, log): [
                (math.log2(cost.context), math.log10(1e6 * cost.seconds)) for cost in costs
            ],
        }
        for (title, to_x, to_y), points in expected.items():
            found = read_off(chromium, title, kind, to_x, to_y)
            assert len(found) == len(points), title
            spans = [max(p[axis] for p in points) - min(p[axis] for p in points) for axis in (0, 1)]
            off = [0.02 * max(span, 1) for span in spans]
            for (x, y), (drawn_x, drawn_y) in list(zip(points, found, strict=True))[:10]:
                assert drawn_x == pytest.approx(x, abs=off[0] + 0.3), (title, kind)
                assert drawn_y == pytest.approx(max(y, -12), abs=off[1] + (0.02 if to_y is log else 1)), (title, kind)
                checked += 1
    assert checked >= 100
    chromium.press("Tab")
    assert chromium.evaluate("document.activeElement.tabIndex") == 0


# ---- the command


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["gone.txt"], 1, "gone.txt does not exist"),
        (["short.txt"], 1, "the text has 52 characters, and the lesson needs 10,000. Name a longer one"),
        (["empty.txt"], 1, "empty.txt is empty"),
        (["--minutes", "0"], 2, "--minutes must be above 0 and at most 1,440. Received: 0.0"),
        (["--minutes", "nan"], 2, "--minutes must be above 0 and at most 1,440. Received: nan"),
        (["--html", "none/x.html"], 1, "cannot write none/x.html: No such file or directory"),
        (["--html", "folder"], 1, "cannot write folder: Is a directory"),
        (["--html", "a\0b"], 1, "cannot write"),
        (["--html", "socket"], 1, "cannot write socket"),
    ],
)
def test_what_cannot_be_taught_or_written_is_one_line_before_anything_is_trained(
    arguments, status, line, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text(SENTENCE)
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "folder").mkdir()
    os.symlink("none/behind", "socket")
    with pytest.raises(SystemExit) as ended:
        main(["lesson", *arguments])
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (status, "", 1)
    assert said.err.startswith(f"textgen: {line}")


def test_a_page_that_stands_there_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.html"
    page.write_text("before")

    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("textgen.lesson.giving.give_lesson", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["lesson", "--html", str(page)])
    assert (ended.value.code, page.read_text(), os.listdir(tmp_path)) == (130, "before", ["page.html"])
    monkeypatch.setattr("textgen.lesson.giving.give_lesson", lambda *_arguments: made_up())
    with pytest.raises(SystemExit) as ended:
        main(["lesson", "--html", str(page)])
    assert not ended.value.code
    assert page.read_text() == lesson_page(made_up())
    assert capsys.readouterr().out.splitlines() == summary(made_up())


TINY = Sizes(delay=SIZE, text=SIZE, longest_delay=10, added=6, batch_size=4, window=16, tested=1, contexts=(4, 16))


@pytest.mark.slow
def test_a_whole_lesson_of_small_networks_has_every_figure():
    said: list[str] = []
    lesson = give_lesson(Text([SENTENCE * 300], "text"), 0.05, said.append, TINY)
    assert [one.kind for one in lesson.delay] == [one.kind for one in lesson.text] == list(KINDS)
    assert len(said) == 9
    assert [len(one.gradient) for one in (*lesson.delay, *lesson.text)] == [10] * 4 + [16] * 4
    assert all(len(one.sample) == 160 for one in lesson.text)
    assert {cost.context for cost in lesson.costs} == {4, 16}
    assert min(cost.seconds for cost in lesson.costs) > 0
    assert "Where each is the right tool" in lesson_page(lesson)


@pytest.mark.slow
def test_an_lstm_learns_to_add_what_guessing_the_mean_does_not():
    found = adding.learn_to_add(10, 20.0, lambda _: None)
    assert found.errors[-1][1] < found.blind_error / 10
    assert found.right[-1][1] > 0.5
    assert (found.code, found.right[0][0]) == (adding.code(), 0.0)
    assert found.parameters == adding_model.adding_model(10).count_params()
    assert found.blind_error == pytest.approx(1 / 24, rel=0.2)


@pytest.mark.slow
def test_a_short_lesson_from_the_command_line_writes_its_page_and_one_that_is_stopped_none(tmp_path):
    (tmp_path / "text.txt").write_text(SENTENCE * 300)
    arguments = ("lesson", "text.txt", "--minutes", "0.02", "--html", "page.html")
    command = Command(*arguments, cwd=tmp_path)
    assert command.wait() == 0, command.errors.read_text()
    assert "Where each is the right tool" in (tmp_path / "page.html").read_text()
    (tmp_path / "page.html").unlink()
    command = Command(*arguments, cwd=tmp_path, events=[["start", 1, 5.0, "SIGINT"]])
    assert command.wait() in (130, -signal.SIGINT), command.errors.read_text()
    assert not (tmp_path / "page.html").exists()
