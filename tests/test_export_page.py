"""The page that holds a model and writes: its script is run by Node and in Chromium, where they are installed."""

import json
import shutil
import subprocess

import pytest
from conftest import make_stored_model, make_word_tokenizer, slow
from hard_texts import ALL_SYMBOLS, ENGLISH, HARD_TEXTS, SOME_SYMBOLS

from textgen.config import SamplingConfig, TextConfig
from textgen.export.check import Case, explained_by_rounding
from textgen.export.document import model_document
from textgen.export.page import answer, writing_page
from textgen.export.requests import request_of
from textgen.generation.generator import open_generator
from textgen.pages.template import asset
from textgen.store.tensors import rounded
from textgen.tokenizers import CharacterTokenizer, WordTokenizer, new_fitter

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
PROMPTS = ["", "it was", "the Q\u00fceen\u2019s \ufb01re \u2603", "\ufeffthe cat sat on\r\n the mat. "]
TEXTS = [
    SamplingConfig(length=90),
    SamplingConfig(length=90, temperature=1.2, top_k=5, top_p=0.85, min_p=0.02, seed=2**63 - 1),
    SamplingConfig(length=90, temperature=0.0),
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


@needs_node
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, "float32") for name in MODELS), ("LSTM", "float16"), ("words", "int8"), ("GRU, tied", "int8")],
)
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
    "characters": lambda: CharacterTokenizer("\n 'abcdefghijklmnopqrstuvwxyzeé\u0301\uac00"[:-1].replace("eé", "é")),
    "characters, nfkc": lambda: CharacterTokenizer("".join(sorted({*ENGLISH})), normalize="nfkc"),
    "characters, casefold": lambda: CharacterTokenizer(
        "\n abcdefghijklmnopqrstuvwxyz\u00fc\uac01", normalize="casefold"
    ),
    "all symbols": lambda: WordTokenizer(ALL_SYMBOLS, fit(*HARD_TEXTS.values()).words),
}


@needs_node
@pytest.mark.parametrize("name", [slow(name) if name == "all symbols" else name for name in TOKENIZERS])
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
