"""Models behind HTTP, asked as ASGI: no socket, no library."""

import asyncio
import itertools
import json
import math
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import ALPHABET, make_stored_model, make_word_tokenizer, write_stored_model
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.cli.serve import serve
from textgen.config import SamplingConfig
from textgen.errors import SettingError, TextgenError
from textgen.evaluation.surprisal import score_tokens
from textgen.evaluation.texts import tokenize
from textgen.generation import alternatives as finding
from textgen.generation.generator import Generator, open_generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.serving.alone import Alone
from textgen.serving.app import App
from textgen.serving.batch import Batch, Text
from textgen.serving.connection import PART, Connection, Room
from textgen.serving.json_parts import as_json, json_parts
from textgen.serving.log import Log
from textgen.serving.questions import as_given
from textgen.serving.server import listen
from textgen.serving.shelf import Limits, Shelf, paths_of
from textgen.serving.writer import SLICE, Writer
from textgen.tokenizers.word import WordTokenizer

STORED = make_stored_model()
WRITTEN = {"model": "tiny", "prompt": "the cat", "max_tokens": 40, "seed": 3}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_stored_model(tmp_path_factory.mktemp("models"), STORED)


class Client:
    """Asks an application, and hangs up where it is told to."""

    def __init__(self, path, limits=Limits(), *, json_logs=False, **options):  # noqa: B008
        self.logged = []
        self.shelf = Shelf({"tiny": path}, limits)
        self.app = App(self.shelf, log=Log(self.logged.append, is_json=json_logs), **options)

    async def ask(
        self,
        target,
        document=None,
        *,
        method=None,
        headers=None,
        body=None,
        parts=None,
        hang_up=None,
        is_whole=True,
        reads=None,
    ):
        if parts is None:
            parts = [json.dumps(document).encode() if body is None else body]
        heads = {"host": "localhost:8000"} | (headers or {})
        method = method or ("GET" if document is None and body is None else "POST")
        encoded = [(name.encode(), value.encode()) for name, value in heads.items() if value is not None]
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        messages[-1]["more_body"] = not is_whole
        found = SimpleNamespace(status=0, headers={}, parts=[], taken=0)

        async def receive():
            if messages:
                found.taken += 1
                return messages.pop(0)
            await (asyncio.Event() if hang_up is None else hang_up).wait()
            return {"type": "http.disconnect"}

        async def send(message):
            await asyncio.sleep(0)
            if reads is not None:  # a client that does not, until this is set
                await reads.wait()
            if message["type"] == "http.response.start":
                found.status = message["status"]
                found.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                found.parts.append(message["body"])

        scope = {"type": "http", "method": method, "path": target, "headers": encoded}
        await asyncio.wait_for(self.app(scope, receive, send), 60)
        found.body = b"".join(found.parts)
        if found.headers.get("content-type") == "application/json" and found.body:
            found.json = json.loads(found.body)
        return found


@pytest.fixture
def run(path):
    """Runs a coroutine function that is given a client."""

    def go(work, *arguments, options=None, **named):
        async def main():
            client = Client(path, **(options or {}))
            try:
                return await work(client, *arguments, **named)
            finally:
                client.shelf.close()

        return asyncio.run(main())

    return go


def events_of(body):
    return [part.removeprefix("data: ") for part in body.decode().split("\n\n") if part]


async def ask(client, *arguments, **named):
    return await client.ask(*arguments, **named)


SETTINGS = {
    "plain": {},
    "cold": {"temperature": 0},
    "cycle": {"temperature": [1.0, 0.5]},
    "filters": {"top_k": 5, "top_p": 0.9, "min_p": 0.01, "typical": 0.9},
    "penalties": {"repeat_penalty": 1.3, "presence_penalty": 0.5, "frequency_penalty": 0.2, "repeat_last_n": 9},
    "bans": {"ban": ["e", "th"], "no_repeat_ngram": 3},
    "ban": {"ban": ["e"]},
    "no repeat": {"no_repeat_ngram": 2},
    "stop": {"stop": ["e", "xyz"], "min_length": 5},
    "regex": {"regex": "[a-z]{3,9}\\."},
    "words": {"must_include": ["dog"]},
    "long": {"max_tokens": 300},
}
CASES = [(rules, n) for rules in SETTINGS.values() for n in (1, 3)]


def written_by_sample(rules, prompt="the cat", seed=3, num_samples=1, stored=STORED):
    rules = {name: tuple(value) if isinstance(value, list) else value for name, value in rules.items()}
    rules |= {"length": rules.pop("max_tokens", 40)}
    config = SamplingConfig(**{"temperature": 1.0, "seed": seed} | rules)
    return open_generator(stored).generate(prompt, config, num_samples)


@pytest.mark.parametrize("has_rows", [True, False])
def test_texts_of_all_settings_at_once_are_those_of_sample(run, monkeypatch, has_rows):
    if not has_rows:  # as of TensorFlow's engine
        monkeypatch.setattr(Writer, "_new_batch", lambda writer, most: Alone(writer.generator, most))

    async def all_at_once(client):
        orders = [WRITTEN | rules | {"n": n, "seed": seed} for seed, (rules, n) in enumerate(CASES)]
        return await asyncio.gather(*(client.ask("/v1/completions", order) for order in orders))

    for seed, ((rules, n), answer) in enumerate(zip(CASES, run(all_at_once), strict=True)):
        expected = written_by_sample(rules, num_samples=n, seed=seed)
        choices = answer.json["choices"]
        assert [choice["text"] for choice in choices] == [each.completion for each in expected], rules
        reasons = ["length" if each.finish_reason == "length" else "stop" for each in expected]
        assert [choice["finish_reason"] for choice in choices] == reasons


def test_texts_of_words_are_those_of_sample_whatever_their_prompts_end_with(tmp_path):
    stored = make_stored_model(tokenizer=make_word_tokenizer())
    path = write_stored_model(tmp_path, stored)
    prompts = ["the ", "the", "the cat ", "", "a do"]

    async def all_at_once():
        client = Client(path)
        orders = [
            WRITTEN | {"prompt": prompt, "n": 2, "regex": rule} for prompt in prompts for rule in (None, "[a-z ]+")
        ]
        found = await asyncio.gather(*(client.ask("/v1/completions", order) for order in orders))
        client.shelf.close()
        return [
            (order, [choice["text"] for choice in each.json["choices"]])
            for order, each in zip(orders, found, strict=True)
        ]

    for order, texts in asyncio.run(all_at_once()):
        rules = {"regex": order["regex"]} if order["regex"] else {}
        expected = written_by_sample(rules, order["prompt"], num_samples=2, stored=stored)
        assert texts == [each.completion for each in expected], order


@pytest.mark.parametrize("echo", [True, False])
def test_a_streamed_text_is_that_of_one_answer_and_usage_comes_last(run, echo):
    order = WRITTEN | {"prompt": ["the cat", "a dog"], "n": 2, "echo": echo, "logprobs": 2}
    stream = {"stream": True, "stream_options": {"include_usage": True}}

    async def both(client):
        return await client.ask("/v1/completions", order), await client.ask("/v1/completions", order | stream)

    whole, streamed = run(both)
    *events, done = events_of(streamed.body)
    assert done == "[DONE]"
    *parts, last = map(json.loads, events)
    assert last["choices"] == []
    assert last["usage"] == whole.json["usage"]
    assert last["usage"] == {"prompt_tokens": 12, "completion_tokens": 160, "total_tokens": 172}
    assert all(part["usage"] is None for part in parts)
    for choice in whole.json["choices"]:
        own = [part["choices"][0] for part in parts if part["choices"][0]["index"] == choice["index"]]
        assert "".join(part["text"] for part in own) == choice["text"]
        for name in ("tokens", "token_logprobs", "text_offset"):
            joined = [value for part in own for value in part["logprobs"][name]]
            assert joined == pytest.approx(choice["logprobs"][name], nan_ok=True) or joined == choice["logprobs"][name]
        assert [part["finish_reason"] for part in own] == [None] * (len(own) - 1) + [choice["finish_reason"]]
        for token, offset in zip(choice["logprobs"]["tokens"], choice["logprobs"]["text_offset"], strict=True):
            assert choice["text"][offset : offset + len(token)] == token


def test_streamed_texts_of_different_lengths_each_end_once(run):
    order = WRITTEN | {"n": 8, "stop": ["e"], "max_tokens": 300}

    async def both(client):
        return [await client.ask("/v1/completions", order | {"stream": stream}) for stream in (False, True)]

    whole, streamed = run(both)
    parts = [json.loads(event)["choices"][0] for event in events_of(streamed.body)[:-1]]
    assert len({len(choice["text"]) for choice in whole.json["choices"]}) > 2
    for choice in whole.json["choices"]:
        own = [part for part in parts if part["index"] == choice["index"]]
        assert "".join(part["text"] for part in own) == choice["text"]
        assert [part["finish_reason"] for part in own] == [None] * (len(own) - 1) + ["stop"]


@pytest.mark.parametrize("seconds", [0.0, 1e12])
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_streamed_text_is_told_at_once_then_after_every_pause_and_any_text_at_its_end(
    monkeypatch, seconds, is_streamed
):
    monkeypatch.setattr("textgen.serving.batch.LEAST_PAUSE", seconds)
    monkeypatch.setattr("textgen.serving.batch.PAUSE_PER_ROW", 0.0)
    generator = open_generator(STORED)
    config = SamplingConfig(length=20, temperature=1.0, seed=3)
    text = Text(config, 0, 20, lambda _: None, is_streamed=is_streamed)
    text.begin(generator.following(generator.read("the cat"), config), STORED.tokenizer)
    batch = Batch(generator.engine, STORED.tokenizer, 4)
    batch.join(text)
    news = [batch.step() for _ in range(20)]
    told = [sum(len(piece) for _, piece, _, _ in new) for new in news]
    if not seconds and is_streamed:
        assert told == [1] * 20
    elif seconds:
        assert told == [1] + [0] * 18 + [19]
    else:
        assert told == [0] * 19 + [20]
    assert [is_over for new in news for *_, is_over in new][-1]


def test_echo_gives_the_prompt_the_probabilities_that_evaluate_gives_it(run):
    text = "the dog sat on a mat."
    order = {"model": "tiny", "prompt": text, "max_tokens": 0, "echo": True, "logprobs": 1}
    choice = run(ask, "/v1/completions", order).json["choices"][0]
    generator = open_generator(STORED)
    tokens = tokenize(text, STORED.tokenizer)
    start = STORED.tokenizer.pieces[STORED.tokenizer.start_id]
    started = run(ask, "/v1/completions", order | {"prompt": start + text}).json["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == (text, "length")
    assert choice["logprobs"]["token_logprobs"][0] is None
    assert run(ask, "/v1/completions", order | {"min_length": 9}).json["choices"] == [choice]
    nats = float(score_tokens(tokens.token_ids, generator.engine).nats.sum())
    assert -sum(started["logprobs"]["token_logprobs"][1:]) == pytest.approx(nats, abs=1e-4)
    for number, top in zip(
        started["logprobs"]["token_logprobs"][1:], started["logprobs"]["top_logprobs"][1:], strict=True
    ):
        assert number in top.values()
        assert len(top) in (1, 2)


def test_a_prompt_is_a_text_or_ids_or_a_list_of_either(run):
    texts = ["the cat", "a dog"]
    ids = [STORED.tokenizer.encode(text).tolist() for text in texts]

    async def ask_all(client):
        forms = [texts[0], ids[0], texts, ids]
        return [(await client.ask("/v1/completions", WRITTEN | {"prompt": form})).json["choices"] for form in forms]

    one, one_by_ids, two, two_by_ids = [[choice["text"] for choice in choices] for choices in run(ask_all)]
    assert one == one_by_ids == [written_by_sample({})[0].completion]
    assert two == two_by_ids
    assert len(set(two)) == 2
    assert two[0] == one[0]


def test_the_end_of_a_document_has_a_probability_and_shows_nothing(tmp_path):
    """Clients that sum up log-probabilities leave out the one token that was written after an echoed prompt."""
    stored = make_stored_model(tokenizer=make_word_tokenizer("\n\n"))
    path, engine, eod = write_stored_model(tmp_path, stored), open_generator(stored).engine, stored.tokenizer.eod_id
    ids = stored.tokenizer.encode("the cat sat").tolist()
    order = {"model": "tiny", "n": 30, "seed": 1, "logprobs": 2, "max_tokens": 9}
    rolling = {"model": "tiny", "prompt": [eod, *ids], "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}

    async def both():
        client = Client(path)
        answers = [await client.ask("/v1/completions", each) for each in (order, rolling)]
        about = await client.ask("/tokenizer_info")
        tokens = [await client.ask("/tokenize", {"prompt": prompt}) for prompt in ("<eod>", "the cat sat")]
        text = await client.ask("/detokenize", {"tokens": [eod, *ids]})
        client.shelf.close()
        return answers, about.json, [each.json["tokens"] for each in tokens], text.json["prompt"]

    (drawn, rolled), about, tokens, text = asyncio.run(both())
    ended = [choice for choice in drawn.json["choices"] if choice["finish_reason"] == "stop"]
    assert 0 < len(ended) < 30
    assert [each.json["usage"]["prompt_tokens"] for each in (drawn, rolled)] == [0, len(ids) + 1]
    for choice in drawn.json["choices"]:
        logprobs = choice["logprobs"]
        assert (logprobs["tokens"][-1] == "") == (choice["finish_reason"] == "stop")
        assert "".join(logprobs["tokens"]) == choice["text"]
        assert logprobs["text_offset"][-1] + len(logprobs["tokens"][-1]) == len(choice["text"])
    numbers = rolled.json["choices"][0]["logprobs"]["token_logprobs"]
    assert len(numbers) == len(ids) + 2
    assert numbers[0] is None
    assert -sum(numbers[1:-1]) == pytest.approx(score_tokens(np.array([eod, *ids]), engine).nats.sum(), abs=1e-4)
    assert (about["bos_token"], tokens, text) == ("<eod>", [[eod], ids], "<eod>the cat sat")


def test_the_start_of_a_text_that_has_no_end_is_asked_for_by_its_mark(run):
    """The harness takes a start of id 0 for none, and then the end in its place."""

    async def both(client):
        about = (await client.ask("/tokenizer_info")).json
        marks = [about["bos_token"], about["eos_token"]]
        return [(await client.ask("/tokenize", {"prompt": mark})).json["tokens"] for mark in marks]

    assert run(both) == [[STORED.tokenizer.start_id]] * 2


REFUSED = {
    "no JSON": ("/v1/completions", b"{", 400),
    "no UTF-8": ("/v1/completions", b'{"model": "\xff"}', 400),
    "deep": ("/v1/completions", b"[" * 200_000, 400),
    "NaN": ("/v1/completions", b'{"model": "tiny", "temperature": NaN}', 400),
    "infinite": ("/v1/completions", b'{"model": "tiny", "temperature": 1e999}', 400),
    "long number": ("/v1/completions", b'{"model": "tiny", "seed": ' + b"1" * 9999 + b"}", 400),
    "a list": ("/v1/completions", b"[]", 400),
    "n": ("/v1/completions", {"model": "tiny", "n": 10**9}, 400),
    "many texts": ("/v1/completions", {"model": "tiny", "n": 129}, 400),
    "many prompts": ("/v1/completions", {"model": "tiny", "prompt": ["a"] * 9, "n": 128}, 400),
    "many stops": ("/v1/completions", {"model": "tiny", "stop": ["a"] * 17}, 400),
    "many numbers": ("/v1/completions", {"model": "tiny", "n": 16, "logprobs": 20, "max_tokens": 4096}, 400),
    "many echoed numbers": (
        "/v1/completions",
        {"model": "tiny", "prompt": "a" * 99_000, "echo": True, "logprobs": 2, "max_tokens": 0},
        400,
    ),
    "many echoes": ("/v1/completions", {"model": "tiny", "prompt": "a" * 99_000, "n": 99, "echo": True}, 400),
    "many logprobs": ("/v1/completions", {"model": "tiny", "logprobs": 21}, 400),
    "best_of": ("/v1/completions", {"model": "tiny", "best_of": 2}, 400),
    "min_length": ("/v1/completions", {"model": "tiny", "min_length": 17}, 400),
    "max_tokens": ("/v1/completions", {"model": "tiny", "max_tokens": 10**9}, 400),
    "max_tokens 0": ("/v1/completions", {"model": "tiny", "max_tokens": 0}, 400),
    "misspelled": ("/v1/completions", {"model": "tiny", "temprature": 1}, 400),
    "foo": ("/v1/completions", {"model": "tiny", "foo": 1}, 400),
    "type": ("/v1/completions", {"model": "tiny", "top_p": "much"}, 400),
    "endless": ("/v1/completions", {"model": "tiny", "endless": True}, 400),
    "suffix": ("/v1/completions", {"model": "tiny", "suffix": "x"}, 400),
    "token ids": ("/v1/completions", {"model": "tiny", "prompt": [10**6]}, 400),
    "ids beside texts": ("/v1/completions", {"model": "tiny", "prompt": ["a", 1]}, 400),
    "ids beside lists": ("/v1/completions", {"model": "tiny", "prompt": [[1], 1]}, 400),
    "texts in lists": ("/v1/completions", {"model": "tiny", "prompt": [["a"]]}, 400),
    "no prompts": ("/v1/completions", {"model": "tiny", "prompt": []}, 400),
    "true for an id": ("/v1/completions", {"model": "tiny", "prompt": [True]}, 400),
    "negative token ids": ("/v1/completions", {"model": "tiny", "prompt": [-1]}, 400),
    "huge token ids": ("/v1/completions", {"model": "tiny", "prompt": [10**60]}, 400),
    "regex": ("/v1/completions", {"model": "tiny", "regex": "("}, 400),
    "large regex": ("/v1/completions", {"model": "tiny", "regex": "(a{999}){999}", "stream": True}, 400),
    "no index": ("/v1/completions", {"model": "tiny", "max_copy": 9, "stream": True}, 400),
    "long echo": (
        "/v1/completions",
        {"model": "tiny", "prompt": "a" * 100_001, "echo": True, "logprobs": 0, "max_tokens": 0},
        413,
    ),
    "no model": ("/v1/completions", {"prompt": "a"}, 400),
    "another model": ("/v1/completions", {"model": "tinny"}, 404),
    "a path": ("/v1/completions", {"model": "../models/tiny"}, 404),
    "a path of a model": ("/v1/models/../tiny", None, 404),
    "another path": ("/v1/chat", {}, 404),
    "a chat": ("/v1/chat/completions", {"messages": []}, 404),
    "method": ("/v1/models", {}, 405),
    "k": ("/v1/alternatives", {"model": "tiny", "text": "a", "k": 0}, 400),
    "text": ("/v1/score", {"model": "tiny"}, 400),
    "long text": ("/v1/score", {"model": "tiny", "text": "a" * 100_001}, 413),
    "token ids of no text": ("/detokenize", {"tokens": [True, "a"]}, 400),
    "short text": ("/v1/score", {"model": "tiny", "text": "a"}, 400),
}


PARAMS = {
    "n": ("n", "many texts", "many prompts"),
    "max_tokens": ("max_tokens", "max_tokens 0"),
    "prompt": (
        "ids beside texts",
        "ids beside lists",
        "texts in lists",
        "no prompts",
        "true for an id",
        "token ids",
        "negative token ids",
        "huge token ids",
        "long echo",
    ),
    "regex": ("regex", "large regex"),
    "model": ("no model", "another model", "a path", "a path of a model"),
    "text": ("text", "long text", "short text"),
    "stop": ("many stops",),
    "max_copy": ("no index",),
    "logprobs": ("many logprobs", "many numbers", "many echoed numbers"),
    "echo": ("many echoes",),
    "temperature": ("infinite",),
    "temprature": ("misspelled",),
    "top_p": ("type",),
    "tokens": ("token ids of no text",),
}
PARAM_OF = {name: param for param, names in PARAMS.items() for name in names}
OWN = ("foo", "k", "suffix", "endless", "best_of", "min_length")  # named as their field


def test_what_is_refused_says_why_and_the_server_goes_on(run):
    async def every(client):
        found = {}
        for name, (target, body, _) in REFUSED.items():
            named = {"body": body} if isinstance(body, bytes) else {"document": body}
            found[name] = await client.ask(target, **named)
        return found, await client.ask("/v1/completions", WRITTEN)

    found, after = run(every)
    assert {name: each.status for name, each in found.items()} == {name: each[2] for name, each in REFUSED.items()}
    for name, each in found.items():
        assert set(each.json["error"]) == {"message", "type", "param", "code"}, name
        assert each.json["error"]["message"]
        assert each.json["error"]["param"] == PARAM_OF.get(name, name if name in OWN else None), name
    codes = {name: found[name].json["error"]["code"] for name in ("another model", "another path", "method")}
    assert codes == dict(zip(codes, ("model_not_found", "not_found", "method_not_allowed"), strict=True))
    assert found["method"].headers["allow"] == "GET"
    assert "/v1/completions" in found["a chat"].json["error"]["message"].partition(". ")[2]
    assert "temperature" in found["misspelled"].json["error"]["message"]
    assert found["foo"].json["error"]["message"] == "unknown field 'foo'. Leave it out"
    assert after.json["choices"][0]["text"] == written_by_sample({})[0].completion


SAID = [  # in words of JSON and of fields
    ({"n": True}, "n", "Received: true"),
    ({"stop": [None, 1]}, "stop", "Received: [null, 1]"),
    ({"top_p": False}, "top_p", "Received: false"),
    ({"min_length": 9, "max_tokens": 7}, "min_length", "`max_tokens=7`"),
    ({"min_length": 9, "length": 7}, "min_length", "`length=7`"),
    ({"max_copy": 9}, "max_copy", "this model has none"),
    ({"seed": 10**400}, None, "401 digits"),
    ({"echo": 1}, "echo", "true or false. Received: 1"),
    ({"stream_options": []}, "stream_options", "an object. Received: []"),
    ({"stream_options": {"include_usage": "yes"}}, "include_usage", "true or false"),
]


@pytest.mark.parametrize(("fields", "param", "said"), SAID)
def test_an_error_speaks_of_what_was_sent(run, fields, param, said):
    error = run(ask, "/v1/completions", {"model": "tiny"} | fields).json["error"]
    assert said in error["message"]
    assert error["param"] == param


def test_a_model_that_cannot_be_opened_is_not_listed_and_where_it_lies_is_for_the_log(run, tmp_path):
    removed = write_stored_model(tmp_path / "a", STORED, "removed")
    damaged = write_stored_model(tmp_path / "b", STORED, "damaged")
    loaded = write_stored_model(tmp_path / "c", STORED, "loaded")
    write_stored_model(tmp_path / "a", STORED, "secret")

    async def each(client):
        client.shelf.paths |= {path.name: path for path in (removed, damaged, loaded)}
        await client.ask("/v1/completions", WRITTEN | {"model": "loaded"})
        before = (await client.ask("/v1/models")).json["data"]
        for path in (removed, loaded):
            shutil.rmtree(path)
        (damaged / "weights.safetensors").write_bytes(b"")
        found = [await client.ask("/v1/models"), await client.ask("/v1/models/removed")]
        found += [await client.ask("/v1/completions", {"model": path.name}) for path in (removed, damaged)]
        return before, found, client.logged

    before, (listed, *refused), logged = run(each, options={"json_logs": True})
    assert [model["id"] for model in before] == ["tiny", "removed", "damaged", "loaded"]
    assert listed.json["data"] == [model for model in before if model["id"] != "removed"]
    for answer in refused:
        assert answer.status == 503
        assert "cannot be opened" in answer.json["error"]["message"]
        assert "secret" not in answer.body.decode()
        assert str(tmp_path) not in answer.body.decode()
    problems = [json.loads(line).get("problem", "") for line in logged[-3:]]
    assert all(str(tmp_path) in problem for problem in problems)


SENDERS = [
    ({"host": "evil.example"}, 403),
    ({"host": "localhost.evil.example"}, 403),
    ({"host": "127.0.0.1@evil.example"}, 403),
    ({"host": "[::1"}, 403),
    ({"host": "[::1]evil.example"}, 403),
    ({"host": None}, 403),
    ({"origin": "http://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://localhost:3000"}, 403),
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 403),
    ({"content-length": "2", "transfer-encoding": "chunked"}, 400),
    ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}, 200),
    ({"host": "[::1]:8000"}, 200),
]


@pytest.mark.parametrize(("headers", "status"), SENDERS, ids=str)
def test_pages_of_other_sites_are_refused(run, headers, status):
    found = run(ask, "/v1/models", headers=headers)
    assert found.status == status
    types = {400: "invalid_request_error", 403: "permission_error"}
    assert status == 200 or found.json["error"]["type"] == types[status]


TARGETS = {
    "http://localhost:8000/healthz": 200,
    "HTTP://[::1]/healthz": 200,
    "http://localhost": 200,
    "http://evil.example/healthz": 403,
    "http://localhost@evil.example/": 403,
    "http:///healthz": 403,
    "ftp://localhost/healthz": 404,
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_may_name_its_server(run, target):
    assert run(ask, target, headers={"host": "b.localhost"}).status == TARGETS[target]


def test_a_link_of_another_site_leads_to_the_page_and_a_public_server_has_any_name(run):
    visit = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert run(ask, "/", headers=visit).status == 200
    assert run(ask, "/v1/models", headers={"host": "a.example"}, options={"is_loopback": False}).status == 200


@pytest.mark.parametrize(
    ("key", "status"),
    [(None, 401), ("Bearer wrong", 401), ("Bearer r", 401), ("Basic right", 401), ("Bearer right", 200)],
)
def test_a_key_is_asked_for(run, key, status):
    headers = {"authorization": key}

    async def each(client):
        return [await client.ask(target, headers=headers) for target in ("/v1/models", "/metrics", "/healthz", "/")]

    models, metrics, health, page = run(each, options={"api_key": "right"})
    assert [found.status for found in (models, metrics, health, page)] == [status, status, 200, 200]
    assert b"tiny" not in page.body
    if status == 401:
        assert models.headers["www-authenticate"] == "Bearer"
        assert models.json["error"]["type"] == "authentication_error"


def test_a_large_body_is_refused_as_it_arrives(run):
    chunked = {"transfer-encoding": "chunked"}
    endless = run(ask, "/v1/completions", parts=[b" " * 2**18] * 50, body=b"", headers=chunked)
    assert (endless.status, endless.taken, endless.headers["connection"]) == (413, 5, "close")
    stated = run(ask, "/v1/completions", body=b"{}", headers={"content-length": str(2**30)})
    assert (stated.status, stated.taken, stated.headers["connection"]) == (413, 0, "close")


def test_the_bodies_of_all_open_requests_have_so_much_room(run, monkeypatch):
    monkeypatch.setattr("textgen.serving.connection.MOST_BODIES", 1000)

    async def crowd(client):
        gone, order = asyncio.Event(), WRITTEN | {"user": "x" * 800}
        half = client.ask("/v1/completions", body=b"", parts=[b" " * 400], is_whole=False, hang_up=gone)
        half = asyncio.ensure_future(half)
        while not client.app._room.taken:
            await asyncio.sleep(0)
        found = [await client.ask("/v1/completions", order) for _ in range(2)]
        gone.set()
        await half
        return [each.status for each in [*found, await client.ask("/v1/completions", order)]]

    assert run(crowd) == [429, 429, 200]


def test_a_body_that_does_not_end_is_refused_in_time(run, monkeypatch):
    monkeypatch.setattr("textgen.serving.connection.BODY_SECONDS", 0.02)
    assert run(ask, "/v1/completions", parts=[b"{"], body=b"", is_whole=False).status == 408


def test_a_busy_server_says_when_to_come_again_and_a_client_that_hangs_up_frees_its_rows(run):
    long = WRITTEN | {"max_tokens": 100_000, "stream": True}

    async def crowd(client):
        gone = asyncio.Event()
        streams = [asyncio.ensure_future(client.ask("/v1/completions", long, hang_up=gone)) for _ in range(3)]
        while not client.shelf.writers or client.shelf.writers["tiny"].num_open < 3:
            await asyncio.sleep(0.01)
        while client.shelf.writers["tiny"].num_rows < 2:  # the others are open before they have a row
            await asyncio.sleep(0.01)
        refused = await client.ask("/v1/completions", WRITTEN)
        figures = (await client.ask("/metrics")).body.decode()
        gone.set()
        await asyncio.gather(*streams)
        begin = time.monotonic()
        writer = client.shelf.writers["tiny"]
        while writer.num_rows or writer.num_open:
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - begin
        return refused, figures, seconds, await client.ask("/v1/completions", WRITTEN), client.logged

    refused, figures, seconds, after, logged = run(crowd, options={"limits": Limits(10**6, 2, 1)})
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json["error"]["type"] == "rate_limit_error"
    assert "textgen_rows 2\n" in figures
    assert "textgen_queue 1\n" in figures
    assert seconds < 1
    assert after.status == 200
    assert sum("hung up" in line for line in logged) == 3


@pytest.fixture
def submitted(monkeypatch):
    """The prompts that writers were given."""
    prompts, submit = [], Writer.submit

    def seen(writer, given):
        prompts.extend(given)
        submit(writer, given)

    monkeypatch.setattr(Writer, "submit", seen)
    return prompts


def test_a_text_that_is_over_takes_no_place_however_slowly_its_client_reads(run, submitted):
    async def both(client):
        reads = asyncio.Event()
        slow = asyncio.ensure_future(client.ask("/v1/completions", WRITTEN | {"stream": True}, reads=reads))
        while not (submitted and submitted[0].texts[0].is_over):
            await asyncio.sleep(0.001)
        quick, figures = await client.ask("/v1/completions", WRITTEN), (await client.ask("/metrics")).body.decode()
        was_waiting = not slow.done()
        reads.set()
        told = await slow
        return was_waiting, quick, figures, told, client.shelf.writers["tiny"].num_open

    was_waiting, quick, figures, late, num_open = run(both, options={"limits": Limits(max_rows=1, queue=0)})
    text = written_by_sample({})[0].completion
    assert (was_waiting, quick.status, num_open) == (True, 200, 0)
    assert "textgen_queue 0\n" in figures
    told = [json.loads(event)["choices"][0]["text"] for event in events_of(late.body)[:-1]]
    assert ("".join(told), quick.json["choices"][0]["text"]) == (text, text)


def test_there_is_room_for_so_many_numbers_of_all_requests_together(run, monkeypatch):
    monkeypatch.setattr("textgen.serving.shelf.MOST_FACTS", 250)

    async def three(client):
        reads = asyncio.Event()
        order = WRITTEN | {"logprobs": 4}
        first = asyncio.ensure_future(client.ask("/v1/completions", order, reads=reads))
        while not client.shelf.num_facts:
            await asyncio.sleep(0)
        refused, plain = await client.ask("/v1/completions", order), await client.ask("/v1/completions", WRITTEN)
        reads.set()
        await first
        return [found.status for found in (refused, plain, await client.ask("/v1/completions", order))]

    assert run(three) == [429, 200, 200]


def test_a_large_answer_is_made_while_others_are_served(run):
    order = {"model": "tiny", "prompt": "the cat " * 1000, "echo": True, "logprobs": 4, "max_tokens": 0}

    async def each(client, stream):
        turns, large = 0, asyncio.ensure_future(client.ask("/v1/completions", order | {"stream": stream}))
        while not client.logged:  # until it is answered
            turns += client.shelf.writers.keys() == {"tiny"} and not client.shelf._num_tasks
            await asyncio.sleep(0)
        return turns, await large

    for stream in (False, True):
        turns, found = run(each, stream)
        assert turns >= 8  # for slices of a thousand tokens each
        assert max(map(len, found.parts)) < 2**18
        answers = [json.loads(event) for event in events_of(found.body)[:-1]] if stream else [found.json]
        assert "".join(answer["choices"][0]["text"] for answer in answers) == order["prompt"]
        logprobs = [answer["choices"][0]["logprobs"] for answer in answers]
        assert "".join(itertools.chain(*(part["tokens"] for part in logprobs))) == order["prompt"]
        assert [*itertools.chain(*(part["text_offset"] for part in logprobs))] == [*range(len(order["prompt"]))]


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7])
def test_an_answer_is_sent_in_parts_that_are_all_of_it(size):
    body, sent = bytes(size % 251 for size in range(size)), []

    async def send(message):
        sent.append(message)

    connection = Connection({"method": "GET", "path": "/", "headers": []}, None, send, Room())
    asyncio.run(connection.answer(200, body, "text/plain"))
    start, *parts = sent
    assert dict(start["headers"])[b"content-length"] == str(size).encode()
    assert b"".join(part["body"] for part in parts) == body
    assert all(len(part["body"]) <= PART for part in parts)
    assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [False]


def test_a_small_vocabulary_has_fewer_likeliest_tokens_than_are_asked_for(tmp_path):
    path = write_stored_model(tmp_path, make_stored_model(symbols=" abc"))

    async def all_of_them():
        client = Client(path)
        order = {"model": "tiny", "prompt": "ab", "logprobs": 20, "max_tokens": 3, "echo": True}
        found = await client.ask("/v1/completions", order)
        ways = await client.ask("/v1/alternatives", {"model": "tiny", "text": "ab", "k": 50})
        client.shelf.close()
        return found.json["choices"][0]["logprobs"]["top_logprobs"], ways.status

    tops, status = asyncio.run(all_of_them())
    assert [sum(map(math.exp, top.values())) for top in tops[1:]] == pytest.approx([1.0] * 4)
    assert status == 200


def test_a_long_prompt_without_its_probabilities_may_be_echoed(run):
    order = {"model": "tiny", "prompt": "a" * 100_001, "echo": True, "max_tokens": 0}
    assert run(ask, "/v1/completions", order).json["choices"][0]["text"] == order["prompt"]


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(NESTED, st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_json_in_parts_is_json(document, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textgen.serving.json_parts.AT_ONCE", at_once)
        parts = [*json_parts(document)]
    assert b"".join(parts) == as_json(document)
    assert json.loads(b"".join(parts)) == document


LONG = {
    "/v1/score": {"text": "the cat " * 12_000},
    "/v1/alternatives": {"text": "the cat " * 12_000},
    "/v1/completions": {"prompt": "the cat " * 12_000, "echo": True, "logprobs": 0, "max_tokens": 0},
}


@pytest.mark.parametrize("target", LONG)
def test_long_work_lets_others_in_between_and_ends_with_its_client(run, target):
    async def each(client):
        gone = asyncio.Event()
        await client.ask("/v1/score", {"model": "tiny", "text": "the cat"})
        document = {"model": "tiny"} | LONG[target]
        long = [asyncio.ensure_future(client.ask(target, document, hang_up=gone)) for _ in range(4)]
        while client.shelf._num_tasks < 4:
            await asyncio.sleep(0)
        short = await client.ask("/v1/score", {"model": "tiny", "text": "the cat"})
        were_done = [one.done() for one in long]
        gone.set()
        await asyncio.gather(*long)
        after = await client.ask("/v1/score", {"model": "tiny", "text": "the cat"})
        return (
            short.status,
            were_done,
            after.status,
            client.shelf._num_tasks,
            [json.loads(each) for each in client.logged],
        )

    status, were_done, after, num_tasks, logged = run(each, options={"json_logs": True})
    assert (status, were_done, after, num_tasks) == (200, [False] * 4, 200, 0)
    assert [each["status"] for each in logged] == [200, 200, 499, 499, 499, 499, 200]


@pytest.mark.parametrize("target", LONG)
def test_so_much_is_read_at_once_and_more_is_told_to_come_again(run, monkeypatch, target):
    monkeypatch.setattr("textgen.serving.shelf.MOST_READ_AT_ONCE", 100_000)

    async def each(client):
        document = {"model": "tiny"} | LONG[target]
        gone = asyncio.Event()
        long = [asyncio.ensure_future(client.ask(target, document, hang_up=gone)) for _ in range(2)]
        done, _ = await asyncio.wait(long, return_when=asyncio.FIRST_COMPLETED)
        short = await client.ask("/v1/score", {"model": "tiny", "text": "the cat"})
        gone.set()
        await asyncio.gather(*long)
        return [one.result().status for one in done], short.status, client.shelf._size

    assert run(each) == ([429], 200, 0)


def test_work_that_nobody_waits_for_goes_no_further(run):
    done, begun, ended = [], threading.Event(), threading.Event()

    def slices():
        try:
            for number in itertools.count():
                done.append(number)
                begun.set()
                yield
        finally:
            ended.set()

    async def cut(client):
        working = asyncio.ensure_future(client.shelf.work(slices))
        await asyncio.to_thread(begun.wait, 20)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        return await asyncio.to_thread(ended.wait, 20)

    assert run(cut)


def test_a_text_that_waits_for_a_row_is_that_of_sample(run):
    async def many(client):
        return await client.ask("/v1/completions", WRITTEN | {"n": 7})

    choices = run(many, options={"limits": Limits(max_rows=2)}).json["choices"]
    assert [c["text"] for c in choices] == [each.completion for each in written_by_sample({}, num_samples=7)]


async def begun(prompts):
    while not (prompts and prompts[-1].num_read):
        await asyncio.sleep(0.001)


def test_a_long_prompt_does_not_stop_other_texts(run, submitted):
    async def both(client):
        slow = asyncio.ensure_future(client.ask("/v1/completions", WRITTEN | {"prompt": "the cat " * 2_000}))
        await begun(submitted)
        quick = await client.ask("/v1/completions", WRITTEN)
        was_first = not slow.done()
        return quick, was_first, await slow

    quick, was_first, slow = run(both)
    assert was_first
    assert quick.json["choices"][0]["text"] == written_by_sample({})[0].completion
    assert slow.json["choices"][0]["text"] == written_by_sample({}, prompt="the cat " * 2_000)[0].completion


def test_a_prompt_that_nobody_waits_for_is_read_no_further(run, submitted):
    async def hang_up(client):
        gone = asyncio.Event()
        order = WRITTEN | {"prompt": "the cat " * 100_000}
        asked = asyncio.ensure_future(client.ask("/v1/completions", order, hang_up=gone))
        await begun(submitted)
        gone.set()
        await asked
        before = submitted[0].num_read
        await client.ask("/v1/completions", WRITTEN)
        return submitted[0].num_read - before

    assert run(hang_up) <= SLICE


def test_rules_that_take_long_are_made_once_while_others_write(run, monkeypatch):
    made, following = [], Generator.following

    def taking_long(generator, context, config):
        if config.is_constrained:
            made.append(config.regex)
            time.sleep(1)
        return following(generator, context, config)

    async def both(client):
        await client.ask("/v1/completions", WRITTEN)
        constrained = asyncio.ensure_future(client.ask("/v1/completions", WRITTEN | {"regex": "[a-z]{9}", "n": 3}))
        while not made:
            await asyncio.sleep(0.01)
        await client.ask("/v1/completions", WRITTEN)
        return constrained.done(), await constrained

    with monkeypatch.context() as patch:
        patch.setattr(Generator, "following", taking_long)
        was_done, answer = run(both)
    assert (was_done, made) == (False, ["[a-z]{9}"])
    expected = written_by_sample({"regex": "[a-z]{9}"}, num_samples=3)
    assert [choice["text"] for choice in answer.json["choices"]] == [each.completion for each in expected]


def test_a_text_that_fails_leaves_the_others_alone(run, monkeypatch):
    from textgen.serving import batch

    draw = batch._Group.draw

    def failing(self, logits, uniform, position):
        if self.config.top_k == 7 and position == 3:
            raise ValueError("broken")
        return draw(self, logits, uniform, position)

    monkeypatch.setattr(batch._Group, "draw", failing)

    async def both(client):
        orders = [WRITTEN | {"top_k": 7}, WRITTEN | {"top_k": 7, "echo": True, "stream": True}, WRITTEN]
        return [*await asyncio.gather(*(client.ask("/v1/completions", order) for order in orders)), client.logged]

    failed, streamed, other, logged = run(both)
    assert failed.status == 500
    assert streamed.status == 200
    assert "broken" in json.loads(events_of(streamed.body)[-1])["error"]["message"]
    assert sum("broken" in line for line in logged) == 2
    assert other.json["choices"][0]["text"] == written_by_sample({})[0].completion


def once(function, breaks):
    """`function`, which fails the first time that it is called with what `breaks`."""
    failures = [MemoryError()]

    def broken(*arguments):
        if failures and breaks(*arguments):
            raise failures.pop()
        return function(*arguments)

    return broken


# What fails where, and which of three requests fail with it: one that is written, one that is long, one that waits.
BROKEN = {
    "reading": (NumpyEngine, "read", lambda engine, ids, *_: len(ids) > 8, [200, 500, 200]),
    "a step": (Batch, "step", lambda batch: True, [500, 500, 500]),
    "joining": (Batch, "join", lambda batch, text: batch.texts, [500, 500, 500]),
    "joining alone": (Alone, "join", lambda batch, text: batch.texts, [500, 500, 500]),
    "rules": (Generator, "following", lambda generator, context, config: config.top_k == 5, [200, 200, 500]),
    "beginning": (Text, "begin", lambda text, *_: text.config.top_k == 5, [200, 200, 500]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_every_request_is_answered_where_something_breaks_and_the_server_goes_on(run, monkeypatch, name):
    owner, method, breaks, statuses = BROKEN[name]
    if owner is Alone:
        monkeypatch.setattr(Writer, "_new_batch", lambda writer, most: Alone(writer.generator, most))

    async def three(client):
        await client.ask("/v1/completions", WRITTEN)
        orders = [WRITTEN, WRITTEN | {"prompt": "the cat sat"}, WRITTEN | {"top_k": 5}]
        with monkeypatch.context() as patch:
            patch.setattr(owner, method, once(getattr(owner, method), breaks))
            found = await asyncio.gather(*(client.ask("/v1/completions", order) for order in orders))
        after = await client.ask("/v1/completions", WRITTEN)
        return found, after, client.shelf.writers["tiny"].num_open

    found, after, num_open = run(three)
    assert [each.status for each in found] == statuses
    assert all("MemoryError" in each.json["error"]["message"] for each in found if each.status == 500)
    assert (after.json["choices"][0]["text"], num_open) == (written_by_sample({})[0].completion, 0)


@pytest.mark.parametrize("level", ["characters", "words"])
def test_an_engine_without_rows_tells_the_same_probabilities(monkeypatch, tmp_path, level):
    stored = STORED if level == "characters" else make_stored_model(tokenizer=make_word_tokenizer("\n\n"))
    path = write_stored_model(tmp_path, stored)
    order = {"model": "tiny", "prompt": "the", "seed": 1, "n": 8, "logprobs": 2, "max_tokens": 9}

    async def answer():
        client = Client(path)
        whole = await client.ask("/v1/completions", order)
        gone = asyncio.Event()
        long = client.ask("/v1/completions", order | {"max_tokens": 4096, "stream": True}, hang_up=gone)
        hung_up = asyncio.ensure_future(long)
        while not client.shelf.writers["tiny"].num_open:
            await asyncio.sleep(0)
        gone.set()
        await hung_up
        while client.shelf.writers["tiny"].num_rows:
            await asyncio.sleep(0.001)
        client.shelf.close()
        return whole.json["choices"]

    with_rows = asyncio.run(answer())
    monkeypatch.setattr(Writer, "_new_batch", lambda writer, most: Alone(writer.generator, most))
    for one, other in zip(with_rows, asyncio.run(answer()), strict=True):
        for name in ("tokens", "text_offset"):
            assert one["logprobs"][name] == other["logprobs"][name]
        assert one["logprobs"]["token_logprobs"] == pytest.approx(other["logprobs"]["token_logprobs"], abs=1e-4)
    ended = {choice["finish_reason"] for choice in with_rows}
    assert ended == ({"length"} if level == "characters" else {"length", "stop"})


def test_a_client_that_hangs_up_before_its_body_ends_is_gone(run):
    async def each(client):
        gone = asyncio.Event()
        gone.set()
        found = await client.ask("/v1/completions", body=b"", parts=[b"{"], is_whole=False, hang_up=gone)
        return found.status, json.loads(client.logged[0])

    status, logged = run(each, options={"json_logs": True})
    assert (status, logged["status"], logged["problem"]) == (0, 499, "the client hung up")


def test_alternatives_scores_and_metrics(run):
    async def each(client):
        await client.ask("/v1/completions", WRITTEN)
        return (
            await client.ask("/v1/none"),
            await client.ask("/v1/alternatives", {"model": "tiny", "text": "the", "k": 3}),
            await client.ask("/v1/score", {"model": "tiny", "text": "the cat"}),
            await client.ask("/metrics"),
            client.logged,
        )

    _, alternatives, score, metrics, logged = run(each)
    generator = open_generator(STORED)
    expected = finding.alternatives(generator.engine, STORED.tokenizer, generator.read("the"), 3).pieces
    assert alternatives.json["alternatives"] == [[piece.text, piece.probability] for piece in expected]
    assert alternatives.json["end"] is None
    assert "".join(piece for piece, _ in score.json["pieces"]) == "the cat"
    assert sum(bits for _, bits in score.json["pieces"]) == pytest.approx(score.json["total_bits"])
    assert score.json["bits_per_character"] == pytest.approx(score.json["total_bits"] / 7)
    figures = dict(line.rsplit(" ", 1) for line in metrics.body.decode().splitlines() if line[0] != "#")
    assert figures['textgen_requests_total{path="/v1/completions",status="200"}'] == "1"
    assert figures['textgen_requests_total{path="other",status="404"}'] == "1"
    assert (figures['textgen_tokens_total{kind="prompt"}'], figures['textgen_tokens_total{kind="completion"}']) == (
        "7",
        "40",
    )
    for name, count in {"request": "4", "first_byte": "1"}.items():
        buckets = [value for key, value in figures.items() if key.startswith(f"textgen_{name}_seconds_bucket")]
        assert sorted(buckets) == buckets
        assert buckets[-2:] == [count, count] == [figures[f"textgen_{name}_seconds_count"]] * 2
    assert not any("the cat" in line for line in logged)


@pytest.mark.parametrize(
    ("text", "pieces", "left_out"),
    [
        ("the \u2603cat\u2603\u2603", ["t", "h", "e", " \u2603", "c", "a", "t\u2603\u2603"], 3),
        ("\u2603\u00e9a", ["\u2603\u00e9", "a"], 1),
        ("tea", ["t", "e", "a"], 0),
    ],
)
def test_the_pieces_of_a_score_are_those_of_the_text(run, text, pieces, left_out):
    found = run(ask, "/v1/score", {"model": "tiny", "text": text}).json
    assert ([piece for piece, _ in found["pieces"]], found["left_out"]) == (pieces, left_out)


def test_pieces_that_are_not_found_in_a_text_are_those_that_were_read():
    assert as_given("Ab", ["a", "b"], {}) == ["a", "b"]
    assert as_given("a\ufb01b", ["a", "f", "i", "b"], {"\ufb01": "fi"}) == ["a", "\ufb01", "", "b"]


def test_an_end_of_a_document_is_scored_where_its_separator_stands(tmp_path):
    tokenizer = WordTokenizer(ALPHABET.replace("\n", ""), ["the", " cat"], "\n", "none", " ")
    path = write_stored_model(tmp_path, make_stored_model(tokenizer=tokenizer))

    async def score():
        client = Client(path)
        found = await client.ask("/v1/score", {"model": "tiny", "text": "the cat\nthe cat"})
        client.shelf.close()
        return found.json["pieces"]

    pieces = asyncio.run(score())
    assert "".join(piece for piece, _ in pieces) == "the cat\nthe cat"
    assert [bits > 0 for piece, bits in pieces if piece == "\n"] == [True]


def test_the_page_and_the_list_know_the_models(run):
    async def each(client):
        return [await client.ask(target) for target in ("/", "/favicon.ico", "/v1/models", "/v1/models/tiny")]

    page, icon, listed, one = run(each)
    assert [each.status for each in (page, icon, listed, one)] == [200, 204, 200, 200]
    assert icon.body == b""
    assert '"models":[{"id":"tiny","level":"char"}]' in page.body.decode()
    assert page.headers["content-security-policy"] == "frame-ancestors 'none'"
    assert listed.json == {"object": "list", "data": [one.json]}
    assert one.json | {"created": 0} == {
        "id": "tiny",
        "object": "model",
        "created": 0,
        "owned_by": "textgen",
        "level": "char",
    }


def test_the_log_holds_texts_only_where_that_is_wanted(run):
    async def one(client):
        answer = await client.ask("/v1/completions", WRITTEN)
        return json.loads(client.logged[0]), answer.json["choices"][0]["text"]

    logged, text = run(one, options={"json_logs": True, "log_text": True})
    assert (logged["prompts"], logged["texts"], logged["status"]) == (["the cat"], [text], 200)


@pytest.mark.parametrize("is_wanted", [False, True])
@pytest.mark.parametrize(
    ("target", "document"),
    [
        ("/v1/completions", WRITTEN | {"prompt": ["secret", 5]}),
        ("/v1/completions", WRITTEN | {"stop": ["secret", 5]}),
        ("/v1/completions", WRITTEN | {"regex": "secret("}),
        ("/v1/completions", WRITTEN | {"must_include": ["secret \u0436"]}),
        ("/v1/completions", WRITTEN | {"must_include": ["secret"], "ban": ["secret"], "stream": True}),
        ("/v1/completions", WRITTEN | {"user": "secret", "n": "secret"}),
        ("/v1/completions", "secret"),
        ("/v1/score", {"model": "tiny", "text": ["secret"]}),
    ],
)
def test_the_log_says_of_a_refused_request_what_was_wrong_and_no_text(run, target, document, is_wanted):
    async def refused(client):
        answer = await client.ask(target, document)
        return answer.status, answer.json["error"]["message"], client.logged

    status, message, (line,) = run(refused, options={"log_text": is_wanted})
    assert status == 400
    assert "secret" in message
    assert "problem=" in line
    assert ("secret" in line) == is_wanted


def test_what_a_stopping_server_cuts_is_told_so_and_logged(run):
    async def cut(client):
        asked = asyncio.ensure_future(client.ask("/v1/score", body=b"{", parts=[b"{"], is_whole=False))
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return json.loads(client.logged[0]), (await client.ask("/metrics")).body.decode()

    logged, figures = run(cut, options={"json_logs": True})
    assert (logged["status"], logged["problem"]) == (503, "the server stopped")
    assert 'textgen_requests_total{path="/v1/score",status="503"} 1' in figures


def test_what_is_left_out_has_openais_values(run):
    async def each(client):
        orders = [{}, {}, {"length": 30, "logprobs": 0}, {"logprobs": False, "best_of": 2, "n": 2, "suffix": ""}]
        return [await client.ask("/v1/completions", {"model": "tiny"} | order) for order in orders]

    one, other, long, two = (found.json for found in run(each))
    assert [each["usage"]["completion_tokens"] for each in (one, long, two)] == [16, 30, 32]
    assert one["choices"][0]["text"] != other["choices"][0]["text"]
    assert [each["choices"][0]["logprobs"] is None for each in (one, long, two)] == [True, False, True]


def test_a_head_has_no_body(run):
    got, head = (run(ask, "/v1/models", method=method) for method in ("GET", "HEAD"))
    assert (head.status, head.body, head.headers) == (200, b"", got.headers)


def test_faults_and_too_many_tasks_are_said_and_the_server_goes_on(run, monkeypatch, tmp_path):
    damaged = write_stored_model(tmp_path, STORED)
    (damaged / "weights.safetensors").write_bytes(b"")

    async def each(client):
        client.shelf.paths["damaged"] = damaged
        found = [await client.ask("/v1/completions", {"model": "damaged"})]
        with monkeypatch.context() as patch:
            patch.setattr("textgen.serving.shelf.MOST_WAITING", 0)
            found.append(await client.ask("/v1/score", {"model": "tiny", "text": "the cat"}))
            patch.setattr(App, "_ask", None)
            found.append(await client.ask("/v1/score", {"model": "tiny", "text": "the cat"}))
        return [*found, await client.ask("/v1/completions", WRITTEN)]

    *found, after = run(each)
    errors = [(each.status, each.json["error"]["type"], each.headers.get("retry-after")) for each in found]
    assert errors == [(503, "server_error", None), (429, "rate_limit_error", "1"), (500, "server_error", None)]
    assert after.status == 200


def test_a_key_that_no_client_could_send_and_a_place_that_is_taken_are_refused(path, monkeypatch):
    def serve_there(*options):
        command = ["tiny", "--dry-run", "--models-dir", str(path.parent), *options]
        CliRunner().invoke(serve, command, catch_exceptions=False)

    monkeypatch.delenv("TEXTGEN_API_KEY", raising=False)
    for key in ("schl\u00fcssel", "two words", "line\n"):
        with pytest.raises(SettingError, match="API key"):
            serve_there("--api-key", key)
    with listen("127.0.0.1", 0) as taken, pytest.raises(TextgenError, match="cannot listen"):
        serve_there("--port", str(taken.getsockname()[1]))
    with listen("127.0.0.1", 0) as taken, pytest.raises(TextgenError) as caught:
        listen("127.0.0.1", taken.getsockname()[1])
    assert str(caught.value).count("127.0.0.1") == 1
    with pytest.raises(TextgenError, match="--host is empty"):
        serve_there("--host", "")


@pytest.mark.parametrize(
    ("options", "is_warned"),
    [(["--host", "127.0.0.1"], False), (["--host", "0.0.0.0"], True), (["--host", "0.0.0.0", "--api-key", "k"], False)],
)
def test_a_server_for_anybody_is_said_loudly(path, monkeypatch, options, is_warned):
    monkeypatch.delenv("TEXTGEN_API_KEY", raising=False)
    said = []
    monkeypatch.setattr("textgen.cli.serve.tell", said.append)
    command = ["tiny", "--dry-run", "--port", "0", "--models-dir", str(path.parent), *options]
    assert CliRunner().invoke(serve, command, catch_exceptions=False).exit_code == 0
    assert any("WARNING: anybody who reaches 0.0.0.0" in line for line in said) == is_warned
    assert "tiny could be served" in said[-1]


def test_models_are_named_or_all(path, tmp_path):
    other = write_stored_model(tmp_path, STORED)
    with pytest.raises(TextgenError, match="two models are named tiny"):
        paths_of((str(path), str(other)), path.parent)
    assert paths_of((), path.parent)["tiny"] == path
    assert paths_of(("tiny",), path.parent) == {"tiny": path}
