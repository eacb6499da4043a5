"""Gates, memory and named units: against float64 formulas, on texts whose answer is known, and as they are drawn."""

import base64
import json
import re

import numpy as np
import pytest
from browser import needs_chromium
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, write_stored_model
from reference_model import ReferenceModel

from textgen.cli import main
from textgen.evaluation import gates, unit_search
from textgen.evaluation.gates import GATES, PARTS, first_tokens, read_gates
from textgen.evaluation.unit_search import PROPERTIES, find_units, untrained_weights
from textgen.generation.numpy_engine import NumpyEngine
from textgen.generation.recording import record
from textgen.pages.gates import gates_page, notes_on
from textgen.pages.template import asset
from textgen.store.model_directory import weight_shapes

CELLS = tuple(PARTS)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def expected_parts(cell: str, x: np.ndarray, h: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray) -> dict:
    """From the formulas of DESIGN and Keras, float64: of one token after the state h."""
    H = len(h)
    if cell == "lstm":
        i, f, g, o = np.split(x @ W + h @ U + b, 4)
        return {"input": sigmoid(i), "forget": sigmoid(f), "candidate": np.tanh(g), "output": sigmoid(o)}
    if cell == "gru":
        with_input, with_state = x @ W + b[0], h @ U + b[1]
        z, r = sigmoid(with_input[:H] + with_state[:H]), sigmoid((with_input + with_state)[H : 2 * H])
        return {"update": z, "reset": r, "candidate": np.tanh(with_input[2 * H :] + r * with_state[2 * H :])}
    return {"candidate": np.tanh(x @ W + h @ U + b)}


@pytest.mark.parametrize("shape", [{}, {"units": 4, "embedding_size": 8}], ids=["folded", "projected"])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_recorded_is_what_the_formulas_say_in_every_layer(cell, shape):
    model = make_stored_model(cell, **shape)
    config = model.record.model
    token_ids = np.random.default_rng(0).integers(0, config.vocabulary_size, 30)
    layers = record(NumpyEngine(config, model.weights), token_ids)
    reference = ReferenceModel(config, model.weights)
    state = reference.zero_state()
    for t, token_id in enumerate(token_ids.tolist()):
        x, before = reference.weights["embedding"][token_id], state
        _, state = reference.step(token_id, state)
        for index, layer in enumerate(layers):
            weights = [reference.weights[f"layers.{index}.{part}"] for part in ("kernel", "recurrent_kernel", "bias")]
            expected = expected_parts(cell, x, before[index].hidden, *weights) | {"hidden": state[index].hidden}
            expected |= {"memory": state[index].memory} if cell == "lstm" else {}
            assert set(layer) == set(expected)
            for name, values in expected.items():
                np.testing.assert_allclose(layer[name][t], values, atol=2e-5, err_msg=f"{name} of layer {index}")
            x = state[index].hidden


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("position in the line", "ab\nc\n", [1, 2, 0, 1, 0]),
        ("inside quotes", 'a"b"c', [0, 1, 1, 0, 0]),
        ("inside quotes", '"a\nb“c”', [1, 1, 0, 0, 1, 1, 0]),
        ("inside brackets", "(a[b])]x", [1, 1, 2, 2, 1, 0, 0, 0]),
        ("indentation", "  a b\n c", [1, 2, 2, 2, 2, 0, 1, 1]),
        ("word length", "ab, c1\n", [1, 2, 0, 0, 1, 2, 0]),
    ],
)
def test_properties_of_a_text_by_hand(name, text, expected):
    assert PROPERTIES[name](text).tolist() == expected


TEXT = "".join(f'the cat {"sat on " * (i % 3)}"a {"dog " * (i % 4)}," on the mat.\n' for i in range(60))


def test_ranks_share_equal_values():
    values = np.random.default_rng(0).integers(0, 9, (50, 7)).astype(np.float32)
    expected = [[np.mean(np.flatnonzero(np.sort(column) == value)) for value in column] for column in values.T]
    expected = np.array(expected).T - 24.5
    np.testing.assert_allclose(unit_search._ranked(values), expected / np.linalg.norm(expected, axis=0))


def searched(change) -> dict:
    """What is found in a model whose states are noise but for what `change` writes into them."""
    model = make_stored_model(symbols="".join(sorted({*ALPHABET, '"'})))
    token_ids = first_tokens([TEXT], model.tokenizer)
    noise = np.random.default_rng(1)
    states = [noise.normal(size=(len(token_ids), model.record.model.units)).astype("f4") for _ in range(2)]
    change(states)
    engine = NumpyEngine(model.record.model, model.weights)
    return {found.name: found for found in find_units(engine, model.tokenizer, token_ids, states)}


def test_a_unit_that_follows_a_property_is_found_with_its_score():
    quotes = unit_search.inside_quotes(TEXT)

    def plant(states):
        states[1][1:, 7] = -quotes * 3.0 + np.random.default_rng(2).normal(size=len(quotes)) / 9
        states[0][1:, 3] = unit_search.length_of_word(TEXT)

    found = searched(plant)
    assert [(unit.layer, unit.unit) for unit in found["inside quotes"].units] == [(1, 7)]
    assert found["inside quotes"].units[0].score > 0.7
    assert [(unit.layer, unit.unit, round(unit.score, 6)) for unit in found["word length"].units] == [(0, 3, 1.0)]
    assert found["position in the line"].units == ()
    assert found["inside brackets"][1:] == ((), "the text has too little of it to tell")


def test_a_unit_that_fits_one_half_alone_or_turns_its_sign_is_not_found():
    quotes = unit_search.inside_quotes(TEXT).astype(np.float32)
    half = len(quotes) // 2

    def plant(states):
        states[0][1 : half + 1, 0] = quotes[:half]
        states[1][1:, 1] = np.where(np.arange(len(quotes)) < half, quotes, -quotes)

    assert searched(plant)["inside quotes"].units == ()


@pytest.mark.parametrize("cell", CELLS)
def test_an_untrained_model_has_no_unit_with_a_name(cell):
    """Of the same kind as those that it is compared with, from another seed."""
    model = make_stored_model(cell, symbols="".join(sorted({*ALPHABET, '"'})))
    engine = NumpyEngine(model.record.model, untrained_weights(model.record.model, 99))
    reading = read_gates(engine, model.tokenizer, first_tokens([TEXT], model.tokenizer))
    assert [found.units for found in reading.found] == [()] * len(PROPERTIES)
    weights = untrained_weights(model.record.model, 0)
    assert {name: weight.shape for name, weight in weights.items()} == weight_shapes(model.record.model)
    recurrent = weights["layers.1.recurrent_kernel"][:, :12]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(12), atol=1e-5)


def test_a_short_text_is_said_to_be_too_short():
    model = make_stored_model()
    token_ids = first_tokens(["the cat"], model.tokenizer)
    reading = read_gates(NumpyEngine(model.record.model, model.weights), model.tokenizer, token_ids)
    assert reading.found == ()
    expected = "none was looked for: the text has 7 tokens, and at least 1,000 are needed"
    assert gates.too_short(reading) == expected
    assert expected in gates_page(reading, "m")
    assert len(first_tokens(["the cat " * 9999] * 9, model.tokenizer)) == unit_search.MOST_TOKENS + 1


def read(cell: str = "lstm", text: str = TEXT, **shape):
    model = make_stored_model(cell, symbols="".join(sorted({*ALPHABET, '"'})), **shape)
    engine = NumpyEngine(model.record.model, model.weights)
    return read_gates(engine, model.tokenizer, first_tokens([text], model.tokenizer))


@pytest.mark.parametrize("cell", CELLS)
def test_the_page_holds_every_part_to_the_nearest_byte(cell):
    reading = read(cell, TEXT[:500])
    page = gates_page(reading, "<i>m</i>")
    assert "<i>m" not in page
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert "".join(data["pieces"]) == TEXT[:500]
    assert [part["name"] for part in data["parts"]] == list(PARTS[cell])
    for layer, held in zip(reading.layers, data["layers"], strict=True):
        for part, values in zip(data["parts"], held["values"], strict=True):
            shares = np.frombuffer(base64.b64decode(values), np.uint8).reshape(12, -1).T / 255
            found = shares if part["isGate"] else 2 * shares - 1
            assert part["isGate"] == (part["name"] in GATES)
            np.testing.assert_allclose(found, layer.parts[part["name"]], atol=1.01 / 255)
        assert all(sorted(order) == list(range(12)) for order in held["orders"].values())
        if cell == "lstm":
            means = layer.parts["forget"].mean(axis=0)[held["orders"]["memory"]]
            assert (np.diff(means) <= 0).all()


def test_the_page_of_two_thousand_characters_is_small_and_says_what_it_leaves_out(monkeypatch):
    monkeypatch.setattr(gates, "find_units", lambda *_arguments: [])
    reading = read(units=128, num_layers=2, text=TEXT[:2100])
    page = gates_page(reading, "m")
    assert len(page.encode()) < 3_000_000
    assert len(reading.layers[0].units) == 95
    assert notes_on(reading) == [
        f"The first 2,000 of {reading.num_tokens:,} tokens are shown; named units were looked for in all of them.",
        "Of the 128 units of each layer, 95 are shown: those that have a name, and those whose state changes most.",
    ]
    assert notes_on(read(text="the cat")) == []


@pytest.mark.parametrize("cell", CELLS)
def test_the_terminal_has_a_strip_for_each_part(cell, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    tokenizer = make_word_tokenizer() if cell == "gru" else None
    write_stored_model(tmp_path, make_stored_model(cell, tokenizer=tokenizer))
    with pytest.raises(SystemExit) as ended:
        main(
            ["gates", "tiny", "--text", "the cat\nsat on the mat" + " and the cat" * 40, "--models-dir", str(tmp_path)]
        )
    out = capsys.readouterr().out.splitlines()
    assert not ended.value.code
    begins = out.index("")
    assert " ".join(out[:begins]) == gates.LEGEND[cell]
    assert out[begins + 1 : begins + 3] == [" " * 10 + "the cat↵", "layer 1"]
    for place, name in enumerate(PARTS[cell], start=begins + 3):
        assert re.fullmatch(f"{name:<10}[▁▂▃▄▅▆▇█]{{8}}", out[place])
    assert max(map(len, out[:-1])) < 60
    assert any(line.startswith("and ") and "tokens more" in line for line in out)
    assert out[-1].startswith("units with a name: none was looked for: the text has ")


def colour_of(share: float, *names: str) -> list[float]:
    stops = [re.search(rf"{name}: #(\w+);", asset("page.css"))[1] for name in names]
    stops = [[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in stops]
    index = min(len(stops) - 2, int(share * (len(stops) - 1)))
    place = share * (len(stops) - 1) - index
    return [a + place * (b - a) for a, b in zip(stops[index], stops[index + 1], strict=True)]


@needs_chromium
@pytest.mark.parametrize("cell", CELLS)
def test_what_the_page_draws_agrees_with_the_numbers(cell, chromium, tmp_path):
    """The map at ten places for each part, the text at ten places, the keyboard, the mouse."""
    reading = read(cell, TEXT[:400])
    path = tmp_path / "page.html"
    path.write_text(gates_page(reading, "m"), encoding="utf-8")
    chromium.open(path, width=1280 if cell == "lstm" else 390)
    assert chromium.evaluate("document.documentElement.scrollWidth") == (1280 if cell == "lstm" else 390)
    pixel = "[...at('cells').getContext('2d').getImageData(%d, %d, 1, 1).data].slice(0, 3)"
    draw = np.random.default_rng(0)
    for part, name in enumerate(PARTS[cell]):
        layer = int(draw.integers(2))
        order = ["memory", "likeness"][part % 2]
        chromium.evaluate(f"choose({{ layer: {layer}, part: {part}, order: '{order}' }})")
        for row, token in zip(draw.integers(0, 12, 10).tolist(), draw.integers(0, 400, 10).tolist(), strict=True):
            value = reading.layers[layer].parts[name][token, reading.layers[layer].orders[order][row]]
            names = ("--middle", "--high") if name in GATES else ("--low", "--middle", "--high")
            expected = colour_of(float(value if name in GATES else (value + 1) / 2), *names)
            np.testing.assert_allclose(chromium.evaluate(pixel % (token, row)), expected, atol=2.5, err_msg=name)
    chromium.evaluate("choose({ layer: 1, place: 5, order: 'memory', token: 9 })")
    values = reading.layers[1].parts[PARTS[cell][-1]]
    for token in range(0, 400, 40):
        shown = chromium.evaluate(f"getComputedStyle(spans[{token}]).backgroundColor")
        expected = colour_of(float(values[token, 5] + 1) / 2, "--low-text", "--paper", "--high-text")
        np.testing.assert_allclose([int(part) for part in re.findall(r"\d+", shown)][:3], expected, atol=2.5)
    at_token = chromium.evaluate("at('reading').textContent")
    assert f"layer 2, unit 5, after token 10 of 400{PARTS[cell][0]}" in at_token
    assert f"{values[9, 5]:.2f}".lstrip("-") in at_token
    chromium.evaluate("at('map').focus()")
    chromium.press("ArrowDown")
    chromium.press("ArrowRight")
    order = reading.layers[1].orders["memory"].tolist()
    assert chromium.evaluate("[chosen.place, chosen.token]") == [order[min(11, order.index(5) + 1)], 10]
    box = chromium.evaluate(
        "at('cells').scrollIntoView(), JSON.parse(JSON.stringify(at('cells').getBoundingClientRect()))"
    )
    chromium.point(box["x"] + 2.5 * box["width"] / 400, box["y"] + 3.5 * box["height"] / 12, click=True)
    assert chromium.evaluate("[chosen.place, chosen.token]") == [order[3], 2]
    assert [problem for problem in chromium.problems if "getImageData" not in problem] == []  # which the test calls
