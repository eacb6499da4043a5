"""The page that holds a model and writes: its script is run by Node and in Chromium, where they are installed."""

import functools
import json
import os
import shutil
import stat
import subprocess

import numpy as np
import pytest
from browser import needs_chromium
from click.testing import CliRunner
from conftest import make_stored_model, make_word_tokenizer, slow, write_stored_model
from hard_texts import ALL_SYMBOLS, ENGLISH, HARD_TEXTS, SOME_SYMBOLS

from textgen.api.model import Model
from textgen.config import SamplingConfig, TextConfig
from textgen.errors import ExportError, SettingError
from textgen.export import document, page
from textgen.export.check import Case, explained_by_rounding
from textgen.export.document import model_document
from textgen.export.page import answer, export_page, writing_page
from textgen.export.requests import request_of
from textgen.generation.barred import Barred
from textgen.generation.generator import open_generator
from textgen.pages.template import asset
from textgen.store.tensors import rounded
from textgen.tokenizers import CharacterTokenizer, WordTokenizer, new_fitter

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
PROMPTS = ["", "it was", "the Q\u00fceen\u2019s \ufb01re \u2603", "\ufeffthe cat sat on\r\n the mat. "]
TEXTS = [
    SamplingConfig(length=90),
    SamplingConfig(length=90, temperature=1.2, top_k=5, top_p=0.85, min_p=0.02, seed=2**63 - 1),
    SamplingConfig(length=90, typical=0.6, repeat_penalty=1.3, repeat_last_n=9, no_repeat_ngram=3, min_length=40),
    SamplingConfig(length=90, presence_penalty=0.3, frequency_penalty=-0.2, min_length=40, temperature=1.0),
    SamplingConfig(length=90, temperature=0.0, no_repeat_ngram=1),  # until nothing may follow
]
MODELS = {
    "LSTM": {},
    "LSTM, stacked, tied, skip": {"num_layers": 3, "tied": True, "skip": True},
    "LSTM, tied to its units": {"num_layers": 1, "tied": True, "units": 8},
    "GRU, tied": {"cell": "gru", "num_layers": 3, "tied": True, "units": 9},
    "RNN, skip": {"cell": "rnn", "num_layers": 2, "skip": True},
    "words": {"tokenizer": make_word_tokenizer()},
    "words in documents, casefold": {"tokenizer": make_word_tokenizer("\n\n", "casefold")},
    "characters in documents": {"tokenizer": CharacterTokenizer("\n abcdehimnorstw", "\n")},
}


BY_DEFAULT = [("LSTM, stacked, tied, skip", "float32"), ("GRU, tied", "int8"), ("RNN, skip", "float16")]
BY_DEFAULT += [("words in documents, casefold", "float32"), ("characters in documents", "float32")]
CASES = [*((name, "float32") for name in MODELS), ("LSTM", "float16"), ("words", "int8"), *BY_DEFAULT[1:3]]


@pytest.fixture(scope="module", autouse=True)
def tables_are_made_once():
    """For one alphabet; they take longer than all else that these tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "known_forms", functools.cache(document.known_forms))
        yield


@needs_node
@pytest.mark.parametrize(("name", "dtype"), [case if case in BY_DEFAULT else slow(*case) for case in CASES])
def test_its_texts_are_those_of_sample(name, dtype):
    model = make_stored_model(**MODELS[name])
    answers = answer(writing_page(model, dtype), [request_of(PROMPTS, config) for config in TEXTS])
    model = model._replace(weights=rounded(model.weights, dtype))
    generator = open_generator(model)
    for config, texts in zip(TEXTS, answers, strict=True):
        for prompt, text, completion in zip(PROMPTS, texts["text"], texts["completion"], strict=True):
            expected = generator.generate(prompt, config)[0]
            assert text == expected.prompt + completion
            same = completion == expected.completion
            assert same or explained_by_rounding(model, Case(config, expected, text, completion))


def fit(*blocks: str, **settings) -> WordTokenizer:
    fitter = new_fitter("word")
    for block in blocks:
        fitter.add(block)
    return fitter.finish(TextConfig(level="word", **settings))


IDS = """
const { document, prompts } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const tokenizer = new Tokenizer(document);
process.stdout.write(JSON.stringify(prompts.map((prompt) => tokenizer.read(prompt))));
"""
TOKENIZERS = {
    "English words": lambda: fit(ENGLISH, documents="line"),
    "words of many languages": lambda: WordTokenizer(SOME_SYMBOLS, fit(*HARD_TEXTS.values()).words),
    "characters": lambda: CharacterTokenizer("\n 'abcdefghijklmnopqrstuvwxyz\u00e9\u0301"),
    "characters, nfkc": lambda: CharacterTokenizer("".join(sorted({*ENGLISH})), normalize="nfkc"),
    "characters, casefold": lambda: CharacterTokenizer(
        "\n abcdefghijklmnopqrstuvwxyz\u00fc\uac01", normalize="casefold"
    ),
    "all symbols": lambda: WordTokenizer(ALL_SYMBOLS, fit(*HARD_TEXTS.values()).words),
}
TOKENIZERS_BY_DEFAULT = ("words of many languages", "characters, casefold")


@needs_node
@pytest.mark.parametrize("name", [name if name in TOKENIZERS_BY_DEFAULT else slow(name) for name in TOKENIZERS])
def test_prompts_have_the_ids_that_they_have_in_python(name):
    tokenizer = TOKENIZERS[name]()
    prompts = [
        *HARD_TEXTS.values(),
        *(" ".join(HARD_TEXTS.values())[i::7] for i in range(7)),
        "",
        " ",
        "  ",
        "각\u1100\u1161\u11a8",
    ]
    prompts += ["ẞIXTY \ufb01\u00ad\u0130", "".join(chr(code) for code in range(0xA0, 0x2FFF, 3))]
    given = {"document": model_document(make_stored_model(tokenizer=tokenizer)), "prompts": prompts}
    script = asset("tokenizer.js") + IDS
    done = subprocess.run(["node", "-e", script], input=json.dumps(given), capture_output=True, text=True, check=True)
    generator = open_generator(make_stored_model(tokenizer=tokenizer))
    start = [tokenizer.start_id]
    for prompt, found in zip(prompts, json.loads(done.stdout), strict=True):
        text = generator.readable_prompt(prompt)
        ids = tokenizer.encode(text).tolist()
        assert found["text"] == text
        assert found["ids"] == (ids if ids and tokenizer.eod_id is None else start + ids)


# ---- what is written, and where


def unchecked(monkeypatch) -> None:
    """Node is not installed."""
    monkeypatch.setattr(page.shutil, "which", lambda name: None)


MODEL = make_stored_model()


def test_a_page_is_written_whole_and_replaces_its_like_alone(tmp_path, monkeypatch):
    unchecked(monkeypatch)
    output = tmp_path / "tiny.html"
    result = export_page(MODEL, output)
    assert (result.path, result.bytes, result.checked) == (output, output.stat().st_size, None)
    assert "Node is not installed" in result.not_checked
    assert stat.S_IMODE(output.stat().st_mode) == 0o600  # that of a model that others cannot read
    with pytest.raises(ExportError, match=r"exists.*--overwrite"):
        export_page(MODEL, output)
    before = output.read_bytes()
    export_page(MODEL, output, overwrite=True, dtype="int8")
    assert output.stat().st_size < len(before)
    (tmp_path / "link.html").symlink_to(output)
    export_page(MODEL, tmp_path / "link.html", overwrite=True)
    assert output.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "tiny.html"]


def foreign(tmp_path, kind: str):
    path = tmp_path / kind
    if kind == "a file":
        path.write_text("<!doctype html>irreplaceable")
    elif kind == "a directory":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "in no directory":
        path = path / "tiny.html"
    elif kind == "a device":
        path.symlink_to("/dev/full")
    elif kind == "NUL":
        path = tmp_path / "a\0b"
    return path


@pytest.mark.parametrize("kind", ["a file", "a directory", "a pipe", "in no directory", "a device", "NUL"])
def test_nothing_else_is_replaced_or_written_to(tmp_path, kind):
    path = foreign(tmp_path, kind)
    with pytest.raises(ExportError, match=r"is not the page|no directory|cannot write") as problem:
        export_page(MODEL, path, overwrite=True)
    assert "\n" not in str(problem.value)
    left = {found.name for found in tmp_path.iterdir()}
    assert left <= {kind}
    assert kind != "a file" or path.read_text().endswith("irreplaceable")


@needs_node
def test_a_page_that_writes_another_text_is_refused_and_leaves_what_stood_there(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "CHECKED", [SamplingConfig(length=40)])
    export_page(MODEL, tmp_path / "tiny.html", dtype="float32")
    before = (tmp_path / "tiny.html").read_bytes()
    other = writing_page(make_stored_model(seed=1), "float32")
    for text, message in (
        (other, "another text than the model"),
        (other.replace("openWriter", "open_"), "does not run"),
    ):
        monkeypatch.setattr(page, "writing_page", lambda model, dtype, text=text: text)
        with pytest.raises(ExportError, match=message):
            export_page(MODEL, tmp_path / "tiny.html", overwrite=True, dtype="float32")
    assert (tmp_path / "tiny.html").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_the_command_writes_a_page_and_says_how_it_was_checked(tmp_path, monkeypatch):
    from textgen.cli.export import export

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(page, "CHECKED", [SamplingConfig(length=40)])
    write_stored_model(tmp_path, make_stored_model(storage="int8"), "<b>y")
    run = functools.partial(CliRunner().invoke, export, catch_exceptions=False)
    done = run(["./<b>y", "--format", "html", "--json"])
    found = json.loads(done.stdout)
    assert found["path"] == str(tmp_path / "<b>y.html")
    assert ("as int8 rounds them" in done.stderr) == (shutil.which("node") is not None)
    written = (tmp_path / "<b>y.html").read_text()
    assert "<b>y" not in written
    assert "&lt;b&gt;y" in written
    unchecked(monkeypatch)
    done = run(["./<b>y", "--format", "html", "--overwrite", "--dtype", "float32"])
    assert "not checked: Node is not installed" in done.stderr
    with pytest.raises(SettingError, match="`format=html`"):
        run(["./<b>y", "--dtype", "int8"])


def test_python_writes_a_page_by_its_format(tmp_path, monkeypatch):
    unchecked(monkeypatch)
    result = Model(MODEL).export(tmp_path / "tiny.html", format="html", dtype="int8")
    assert (result.dtype, result.path, result.checked) == ("int8", tmp_path / "tiny.html", None)
    assert "may write another" in result.path.read_text()
    assert "<code>textgen sample</code> writes it, too" in writing_page(MODEL, "float32")


def test_two_layers_of_128_units_take_less_than_a_megabyte():
    model = make_stored_model(symbols="".join(map(chr, range(32, 127))), units=128, embedding_size=128, skip=True)
    assert len(writing_page(model, "float16").encode()) < 1_000_000


# ---- in a browser

SHOWN = "at('text').textContent"


@needs_chromium
def test_a_person_writes_stops_tries_again_undoes_and_chooses(chromium, tmp_path):
    model = make_stored_model(tokenizer=make_word_tokenizer("\n\n"), units=24)
    generator = open_generator(model)
    (tmp_path / "page.html").write_text(writing_page(model, "float32"))
    chromium.open(tmp_path / "page.html", width=390)
    assert chromium.evaluate("document.documentElement.scrollWidth") == 390

    def sample(prompt: str, **settings) -> str:
        completion = generator.generate(prompt, SamplingConfig(**settings))[0]
        return completion.prompt + completion.completion

    def click(button: str) -> str:
        chromium.evaluate(f"at('{button}').click()")
        chromium.wait("!isBusy")
        return chromium.evaluate(SHOWN)

    chromium.wait("!isBusy")
    chromium.evaluate("at('prompt').value = 'the caf\u00e9 \u2603 '; at('seed').value = '7'")
    chromium.evaluate("at('length').value = at('min_length').value = '30'")
    first = sample("the caf\u00e9 \u2603 ", length=30, min_length=30, seed=7)
    assert click("write") == first
    assert chromium.evaluate("at('replaced').textContent").endswith("\u00e9 (read as e), \u2603 (left out).")
    second = click("again")
    assert second == sample("the caf\u00e9 \u2603 ", length=30, min_length=30, seed=8)
    assert click("undo") == first
    assert click("go-on").startswith(first)
    assert click("undo") == first
    # Another word, by the keys alone.
    chromium.evaluate("at('text').focus()")
    for _ in range(3):
        chromium.press("ArrowRight")
    place = chromium.evaluate("chosen")
    ids = chromium.evaluate(f"[...now.start, ...now.tokens.slice(0, {place}).map((token) => token.id)]")
    chromium.press("Enter")
    chromium.wait("at('other').querySelector('li')")
    shares = chromium.evaluate("[...document.querySelectorAll('#other li')].map((item) => item.textContent)")
    logits = generator.engine.read(np.array(ids)).logits.astype(float)
    barred = Barred.of(model.tokenizer, SamplingConfig())
    logits[barred.ids[barred.groups[ids[-1]]]] = -np.inf
    odds = np.exp(logits - logits.max())
    best = [i for i in np.argsort(-odds) if i != model.tokenizer.eod_id][:3]
    for number, text in zip(best, shares[:3], strict=True):
        share = 100 * odds[number] / odds.sum()
        assert text.endswith(f"{share:.{1 if share >= 10 else 2}f}%"), (text, share)
    chromium.press("Tab")
    word = chromium.evaluate("document.activeElement.querySelector('.word').textContent")
    chromium.press("Enter")
    chromium.wait("!isBusy")
    chosen = chromium.evaluate(f"textOf(now.tokens.slice({place}, behind({place})))")
    assert chosen.strip(" ").replace("\n", "\u23ce") == word.strip("\u2423")
    assert chromium.evaluate(SHOWN) != first
    assert click("undo") == first
    # A long text is stopped, and what was written stays.
    chromium.evaluate("at('length').value = at('min_length').value = '100000'; at('write').click()")
    chromium.evaluate("new Promise((done) => setTimeout(done, 300))")
    stopped = click("stop")
    assert chromium.evaluate("at('status').textContent").startswith("Stopped after ")
    assert chromium.evaluate(SHOWN) == stopped
    chromium.evaluate("at('top_p').value = '0'")
    assert click("write") == stopped
    assert chromium.evaluate("at('status').textContent") == "Top-p must be a number above 0, up to 1."
    assert chromium.problems == []
