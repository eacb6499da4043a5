"""`textgen score` and `sample --color`: figures, colours, the page, and what is refused."""

import base64
import json
import math
import re

import numpy as np
import pytest
from browser import needs_chromium
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, write_stored_model

from textgen.cli import main
from textgen.cli.colours import RAMP, RAMP_OF_256, behind
from textgen.evaluation.surprisal import ScoredText, score_tokens
from textgen.evaluation.texts import tokenize
from textgen.generation.numpy_engine import NumpyEngine
from textgen.pages.score import score_page
from textgen.pages.template import asset
from textgen.tokenizers import CharacterTokenizer

TEXT = "the cat sat on the mat,\nand the zebra sat on the cat.\n" * 6
MARKUP = "<img src=x onerror=alert(1)>'\""
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("score")
    models = {
        "char": make_stored_model(),
        "word": make_stored_model(tokenizer=make_word_tokenizer()),
        "docs": make_stored_model(tokenizer=CharacterTokenizer(ALPHABET.replace("\n", ""), "\n")),
        MARKUP: make_stored_model(),
    }
    for name, model in models.items():
        write_stored_model(path, model, name)
    for name, text in {"text.txt": TEXT, "empty.txt": "", "odd.txt": "the ☃ sat, É.\n", f"{MARKUP}.txt": TEXT}.items():
        (path / name).write_text(text)
    return path


@pytest.fixture
def run(directory, capsys, monkeypatch):
    """Runs a command and returns its status, standard output and standard error."""
    monkeypatch.chdir(directory)
    monkeypatch.setenv("TEXTGEN_MODELS_DIR", str(directory))
    monkeypatch.delenv("COLORTERM", raising=False)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([*arguments])
        return (exited.value.code or 0, *capsys.readouterr())

    return command


@pytest.mark.parametrize("model", ["char", "word", "docs"])
def test_the_json_has_the_figures_of_evaluate_and_every_unit(run, model):
    document = json.loads(run("score", model, "text.txt", "--json")[1])
    expected = json.loads(run("evaluate", model, "text.txt", "--json")[1])
    bits = expected["bits_per_character"] * expected["characters"]
    assert document["bits"] == pytest.approx(bits, rel=1e-9)
    assert sum(unit["bits"] for unit in document["units"]) == pytest.approx(bits, rel=1e-9)
    assert sum(document["line_bits"]) == pytest.approx(bits, rel=1e-9)
    for name in ("characters", "tokens", "nats_per_character", "word_perplexity", "model_sha256", "read_before"):
        assert document[name] == expected[name], name
    read = TEXT if model != "docs" else TEXT.replace("\n", "")
    assert "".join(unit["text"] for unit in document["units"]) == read
    for unit in document["units"]:
        assert len(unit["likeliest"]) == 5
        assert unit["rank"] > 1 or unit["likeliest"][0][0] == unit["text"] or "nats_of_pieces" in unit
        assert sum(unit.get("nats_of_pieces", [unit["bits"] * math.log(2)])) == pytest.approx(
            unit["bits"] * math.log(2)
        )


@pytest.mark.parametrize(
    ("flags", "environment", "colours"),
    [
        ([], {}, False),  # standard output is no terminal here
        (["--color", "never"], {}, False),
        (["--color", "auto"], {"NO_COLOR": "1"}, False),
        (["--color", "always"], {}, "48;5;"),
        (["--color", "always"], {"NO_COLOR": "1"}, "48;5;"),
        (["--color", "always"], {"COLORTERM": "truecolor"}, "48;2;"),
    ],
)
def test_the_terminal_has_each_line_behind_its_bits(run, monkeypatch, flags, environment, colours):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    status, out, said = run("score", "char", "text.txt", *flags)
    assert (status, said) == (0, "")
    codes = set(ESCAPE.findall(out)) - {"0"}
    assert bool(codes) == bool(colours)
    assert all(str(colours) in code for code in codes)
    plain = ESCAPE.sub("", out).splitlines()
    assert [line[10:] for line in plain[:12]] == TEXT.splitlines()
    total = float(next(line for line in plain if line.startswith("bits ")).split()[1].replace(",", ""))
    assert sum(float(line[:8]) for line in plain[:12]) == pytest.approx(total, abs=0.7)
    assert len([line for line in plain if "was expected" in line]) == 10
    assert ("colours" in out) == bool(colours)


@pytest.mark.parametrize(("tty", "no_color", "term", "wanted"), [
    (True, "", "xterm", True), (True, "1", "xterm", False), (True, "", "dumb", False), (False, "", "xterm", False),
])  # fmt: skip
def test_auto_is_a_terminal_that_wants_colours(monkeypatch, tty, no_color, term, wanted):
    from textgen.cli import colours

    monkeypatch.setattr("sys.stdout.isatty", lambda: tty)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    assert colours.is_wanted("auto") == wanted


@pytest.mark.parametrize(("name", "ramp"), [("", RAMP_OF_256), ("truecolor", RAMP)])
def test_colours_go_from_none_to_the_strongest(monkeypatch, name, ramp):
    monkeypatch.setenv("COLORTERM", name)
    shown = [f"48;5;{c}m" if isinstance(c, int) else "48;2;{};{};{}m".format(*c) for c in ramp]
    assert behind(0) == behind(0.09) == ""
    assert [behind(share)[-len(s) :] for share, s in zip((0.2, 0.4, 0.6, 0.8, 1), shown, strict=True)] == shown
    assert behind(40) == behind(1)


def test_a_model_colours_what_it_writes_by_its_own_surprise(run):
    plain = run("sample", "char", "-n", "80", "-p", "the cat", "--seed", "3")[1]
    status, out, said = run("sample", "char", "-n", "80", "-p", "the cat", "--seed", "3", "--color")
    assert (status, said) == (0, "")
    assert ESCAPE.sub("", out) == plain
    assert out.startswith("the cat\x1b")  # the prompt has none
    assert not re.search(r"m[^\x1b]*\n[^\x1b]*\x1b\[0m", out)  # no colour goes over a line end
    document = run("sample", "docs", "-n", "60", "--color", "--ignore-eod", "--num-samples", "2", "--seed", "5")[1]
    assert (
        ESCAPE.sub("", document)
        == run("sample", "docs", "-n", "60", "--ignore-eod", "--num-samples", "2", "--seed", "5")[1]
    )


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["score", "none", "text.txt"], 1, "no model 'none'"),
        (["score", "char", "gone.txt"], 1, "gone.txt"),
        (["score", "char", "empty.txt"], 1, "empty.txt"),
        (["score", "char", "odd.txt", "--on-unknown", "error"], 1, "has never seen"),
        (["score", "char", "text.txt", "--html", "none/x.html"], 1, "cannot write none/x.html: No such file"),
        (["score", "char", "text.txt", "--html", "char"], 1, "cannot write char: Is a directory"),
        (["score", "char", "text.txt", "--html", "a\0b"], 1, "cannot write"),
        (["score", "char"], 2, "Missing argument 'FILE'"),
        (["sample", "char", "--color", "--json"], 2, "--color is for text on standard output"),
        (["sample", "char", "--color", "-o", "x"], 2, "--color is for text on standard output"),
        (["gates", "none", "--text", "the"], 1, "no model 'none'"),
        (["gates", "char"], 2, "give either --text or --file"),
        (["gates", "char", "--text", "a", "--file", "text.txt"], 2, "give either --text or --file"),
        (["gates", "char", "--text", ""], 1, "there is no text to look at"),
        (["gates", "char", "--text", "☃"], 1, "there is no text to look at"),
        (["gates", "char", "--text", "☃", "--on-unknown", "error"], 1, "has never seen"),
        (["gates", "char", "--file", "gone.txt"], 1, "gone.txt"),
        (["gates", "char", "--text", "the", "--html", "none/x.html"], 1, "cannot write none/x.html: No such file"),
    ],
)
def test_what_cannot_be_shown_is_one_line(run, arguments, status, line):
    found, out, said = run(*arguments)
    assert (found, out) == (status, "")
    assert line in said.splitlines()[-1]
    assert len(said.splitlines()) <= (2 if "☃" in arguments else 4 if "Missing" in line else 1)


def test_symbols_that_the_model_lacks_are_named_and_read_as_evaluate_reads_them(run):
    status, out, said = run("score", "char", "odd.txt", "--json")
    assert (status, said) == (0, "textgen: the model has never seen 'É' (read as 'e'), '☃' (skipped)\n")
    assert "".join(unit["text"] for unit in json.loads(out)["units"]) == "the  sat, e.\n"


def held(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def column(data: dict, name: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data[name]), kind)


def scored(model) -> ScoredText:
    tokens = tokenize(TEXT, model.tokenizer)
    engine = NumpyEngine(model.record.model, model.weights)
    return ScoredText(tokens, model.tokenizer, score_tokens(tokens.token_ids, engine))


def test_the_page_holds_what_was_scored():
    found = scored(make_stored_model(tokenizer=make_word_tokenizer()))
    data = held(score_page(found, "m", "f"))
    tokens, starts = column(data, "tokens", "<u2"), column(data, "starts", "<u4")
    assert "".join(data["pieces"][i] for i in tokens) == TEXT
    np.testing.assert_array_equal(starts, found.starts)
    np.testing.assert_allclose(column(data, "bits", "<f4"), found.scores.nats / np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(column(data, "ranks", "<u2"), found.scores.ranks)
    shares = column(data, "shares", "<u2").reshape(-1, 5) / 65535
    np.testing.assert_allclose(shares, found.scores.probabilities, atol=1e-5)
    assert [data["pieces"][i] for i in column(data, "likeliest", "<u2")[:5]] == [t for t, _ in found.alternatives(0)]
    np.testing.assert_allclose(column(data, "lineBits", "<f4"), found.line_bits(), rtol=1e-6)


def test_markup_in_names_is_text_in_the_page(run, directory):
    status, _, said = run("score", MARKUP, f"{MARKUP}.txt", "--html", "page.html")
    assert status == 0
    assert said.endswith("open it in a browser\n")
    page = (directory / "page.html").read_text()
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;&#x27;&quot;") >= 3


def expected_colour(share: float) -> list[int]:
    """Of `share` of the strongest colour, from the page's own sheet."""
    stops = [re.search(rf"--scale-{i}: #(\w+);", asset("page.css"))[1] for i in range(5)]
    stops = [[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in stops]
    place = round(64 * min(1, share)) / 64 * 4
    index = min(3, int(place))
    return [a + (place - index) * (b - a) for a, b in zip(stops[index], stops[index + 1], strict=True)]


@needs_chromium
def test_what_the_page_draws_agrees_with_the_figures(chromium, tmp_path):
    """Words that are spelled too, at ten places; then the slider, the keyboard and the list."""
    found = scored(make_stored_model(tokenizer=make_word_tokenizer(), seed=4))
    path = tmp_path / "page.html"
    path.write_text(score_page(found, MARKUP, "text.txt"), encoding="utf-8")
    chromium.open(path, width=390)
    assert chromium.evaluate("document.querySelector('h1').textContent") == f"What surprises {MARKUP}"
    assert chromium.evaluate("document.documentElement.scrollWidth") == 390
    for strongest in (4, 20):
        chromium.evaluate(f"at('strongest').value = {strongest}; at('strongest').dispatchEvent(new Event('input'))")
        for unit in np.linspace(0, len(found.bits) - 1, 10).astype(int).tolist():
            shown = chromium.evaluate(f"getComputedStyle(spans.get({unit})).backgroundColor")
            parts = [int(part) for part in re.findall(r"\d+", shown)][:3]
            if found.bits[unit] < strongest / 128:
                assert shown == "rgba(0, 0, 0, 0)"
            else:
                np.testing.assert_allclose(parts, expected_colour(found.bits[unit] / strongest), atol=1)
    link = chromium.evaluate("[...document.querySelectorAll('#top a')].map((a) => a.getAttribute('href'))")
    assert link == [f"#unit-{unit}" for unit in np.argsort(-found.bits, kind="stable")[:10]]
    chromium.evaluate("document.querySelectorAll('#top a')[3].click()")
    fourth = int(np.argsort(-found.bits, kind="stable")[3])
    assert chromium.evaluate("current") == fourth
    chromium.press("ArrowLeft")
    chromium.evaluate("document.querySelectorAll('#top a')[3].click()")  # the same link again
    assert chromium.evaluate("current") == fourth
    chromium.press("ArrowLeft")
    assert chromium.evaluate("current") == fourth - 1
    details = chromium.evaluate("at('details').textContent")
    assert f"{found.bits[fourth - 1]:.2f} bits" in details
    assert f"rank {found.scores.ranks[found.starts[fourth - 1]]} of" in details
    shown = chromium.evaluate(
        "[...document.querySelectorAll('#details .bar')].map((bar) => parseFloat(bar.style.width))"
    )
    np.testing.assert_allclose(shown, 100 * found.scores.probabilities[found.starts[fourth - 1]], atol=0.01)
    sums = chromium.evaluate("[...document.querySelectorAll('.sum')].map((sum) => sum.textContent)")
    assert sums == [f"{bits:.1f}" for bits in found.line_bits() if bits]
    assert chromium.problems == []
