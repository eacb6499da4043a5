"""The exported model: written, loaded where textgen cannot be imported, and compared with the NumPy engine."""

import contextlib
import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from conftest import make_stored_model, write_stored_model
from tensorflow.core.protobuf import saved_model_pb2

from textgen.config import SamplingConfig
from textgen.errors import ExportError
from textgen.export import check, export_model, operations, reader, saved_model
from textgen.export.check import Case, explained_by_rounding
from textgen.export.requests import request_of
from textgen.export.signature import INPUTS, MAX_LENGTH, as_decimal
from textgen.export.writing import SAVED_MODEL, Format
from textgen.generation.generator import open_generator
from textgen.schema import from_python

MODEL = make_stored_model()
PROMPTS = ["", "it was", "the Q\u00fceen\u2019s \ufb01re \u2603", "a longer prompt, with a\nnew line in it. "]
TEXTS = [SamplingConfig(length=500, seed=s, temperature=t) for s in (0, 7, 2**40 + 3) for t in (0.5, 0.9)]
FILTERS = [
    SamplingConfig(length=80, temperature=0.0, seed=1),
    SamplingConfig(length=80, temperature=1.2, top_k=5, seed=1),
    SamplingConfig(length=80, temperature=0.7, top_p=0.85, seed=2),
    SamplingConfig(length=80, temperature=0.35, min_p=0.07, seed=2**63 - 1),
]
SHUFFLED = SamplingConfig(length=80, temperature=0.9)


@pytest.fixture(scope="module")
def exported_and_asked(tmp_path_factory):
    """The result of exporting MODEL, and the answers of the process that its export was checked by to more requests."""
    requests, answers = [request_of(PROMPTS, config) for config in TEXTS + FILTERS], []
    requests += [request_of(PROMPTS[::-1], TEXTS[0]), request_of([], SHUFFLED)]

    def answer(model, directory, checked):
        found = saved_model.answer(model, directory, [*checked, *requests])
        answers.extend(found[len(checked) :])
        return found[: len(checked)]

    path = tmp_path_factory.mktemp("export") / "tiny"
    return export_model(MODEL, path, kind=SAVED_MODEL._replace(answer=answer)), answers


@pytest.fixture(scope="module")
def exported(exported_and_asked):
    """The result of exporting MODEL."""
    return exported_and_asked[0]


@pytest.fixture(scope="module")
def answers(exported_and_asked):
    """What the model says in a process that cannot import textgen; after TEXTS and FILTERS, PROMPTS reversed."""
    return exported_and_asked[1]


@pytest.fixture(scope="module")
def serve(exported):
    """The signature, in this process, with defaults."""
    loaded = tf.saved_model.load(str(exported.path))
    signature = loaded.signatures["serving_default"]
    types = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}

    def call(**changes):
        request = request_of(["it was"], SamplingConfig(length=20)) | changes
        return signature(**{name: tf.constant(value, types[name]) for name, value in request.items()})

    call.loaded = loaded  # it owns the variables
    return call


def assert_same_text(prompt: str, config: SamplingConfig, text: str, completion: str, model=MODEL) -> None:
    """Equal to the NumPy engine's, or different only where a random number lies within rounding of a boundary."""
    expected = open_generator(model).generate(prompt, config)[0]
    assert text == expected.prompt + completion
    if completion != expected.completion:
        assert explained_by_rounding(model, Case(config, expected, text, completion))


@pytest.mark.parametrize("index", range(len(TEXTS + FILTERS)))
def test_the_texts_are_those_of_the_numpy_engine(answers, index):
    config, answer = (TEXTS + FILTERS)[index], answers[index]
    for prompt, text, completion in zip(PROMPTS, answer["text"], answer["completion"], strict=True):
        assert_same_text(prompt, config, text, completion)
        assert len(completion) == config.length


def test_a_row_does_not_depend_on_its_place_in_the_batch(answers):
    assert answers[len(TEXTS + FILTERS)]["text"] == answers[0]["text"][::-1]


def test_an_empty_batch_gives_an_empty_answer(answers):
    assert answers[-1] == {"text": [], "completion": []}


def test_an_empty_prompt_begins_where_texts_begin(answers):
    assert answers[0]["text"][0] == answers[0]["completion"][0]


def test_unknown_symbols_are_read_as_their_nearest_known_form(answers):
    assert answers[0]["text"][2].startswith("the queens fire ")


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_other_cells_write_the_numpy_engines_text_too(cell):
    from textgen.export.module import TextModule

    model = make_stored_model(cell, num_layers=3, units=10)
    module = TextModule(model)
    config = SamplingConfig(length=300, temperature=0.8, seed=3)
    request = {name: tf.constant(v, INPUTS[name].dtype) for name, v in request_of(PROMPTS[:2], config).items()}
    answer = module.generate(**request)
    rows = zip(PROMPTS[:2], answer["text"].numpy(), answer["completion"].numpy(), strict=True)
    for prompt, text, completion in rows:
        assert_same_text(prompt, config, text.decode(), completion.decode(), model)


def test_the_signature_is_the_documented_one(exported, serve):
    signature = serve.loaded.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    shapes = {"prompt": " [B]", "temperature": " or several", "ban": " [K]"}
    assert {n: spec.dtype.name + shapes.get(n, "") for n, spec in inputs.items()} == exported.signature["inputs"]
    assert set(signature.structured_outputs) == set(exported.signature["outputs"])
    assert all(spec.dtype == tf.string for spec in signature.structured_outputs.values())


def test_the_signature_is_the_one_that_callers_were_written_for(exported, serve):
    assert list(exported.signature["inputs"].items()) == [
        ("prompt", "string [B]"),
        ("length", "int32"),
        ("temperature", "float32 or several"),
        ("top_k", "int32"),
        ("top_p", "float32"),
        ("min_p", "float32"),
        ("seed", "int64"),
        ("repeat_penalty", "float32"),
        ("presence_penalty", "float32"),
        ("frequency_penalty", "float32"),
        ("repeat_last_n", "int32"),
        ("no_repeat_ngram", "int32"),
        ("ban", "string [K]"),
        ("min_length", "int32"),
        ("typical", "float32"),
    ]
    assert list(exported.signature["outputs"]) == ["text", "completion"]
    by_place = serve.loaded.generate(tf.constant(["it was"]), 20, 0.8, 0, 1.0, 0.0, 5)
    by_name = serve.loaded.generate(
        prompt=tf.constant(["it was"]), length=20, temperature=0.8, top_k=0, top_p=1.0, min_p=0.0, seed=5
    )
    in_turn = serve.loaded.generate(tf.constant(["it was"]), 20, [0.8, 0.8], 0, 1.0, 0.0, 5, ban=["\u2603"])
    texts = [answer["text"].numpy()[0] for answer in (by_place, by_name, in_turn, serve(seed=5))]
    assert len(set(texts)) == 1


def test_the_documented_request_for_tensorflow_serving_fits_the_signature(exported, serve):
    """As its REST interface reads a request: each column of `inputs` becomes a tensor of the type in the signature."""
    readme = (Path(__file__).parents[1] / "textgen" / "cli" / "README.md").read_text()
    request = json.loads(re.search(r"novel:predict -d '(.*?)'\n", readme, re.DOTALL)[1])
    stored = saved_model_pb2.SavedModel.FromString((exported.path / "saved_model.pb").read_bytes())
    signature = stored.meta_graphs[0].signature_def[request["signature_name"]]
    assert "serve" in stored.meta_graphs[0].meta_info_def.tags
    assert signature.method_name == "tensorflow/serving/predict"
    assert request["inputs"].keys() == signature.inputs.keys()
    columns = {}
    for name, info in signature.inputs.items():
        columns[name] = tf.make_tensor_proto(request["inputs"][name], tf.dtypes.as_dtype(info.dtype))
        assert tf.TensorShape(info.tensor_shape).is_compatible_with(tf.TensorShape(columns[name].tensor_shape)), name
    outputs = {name: (info.dtype, tf.TensorShape(info.tensor_shape).rank) for name, info in signature.outputs.items()}
    assert outputs == dict.fromkeys(("text", "completion"), (tf.string, 1))
    assert not any(name.endswith("_bytes") for name in outputs)  # those would come in base64
    with contextlib.suppress(ModuleNotFoundError):  # the message types, where they are installed
        from tensorflow_serving.apis import predict_pb2

        message = predict_pb2.PredictRequest(inputs=columns)
        message.model_spec.signature_name = request["signature_name"]
        columns = dict(predict_pb2.PredictRequest.FromString(message.SerializeToString()).inputs)
    answer = serve.loaded.signatures[request["signature_name"]](
        **{name: tf.constant(tf.make_ndarray(column)) for name, column in columns.items()}
    )
    assert [answer[name].shape for name in outputs] == [[2], [2]]
    for prompt, text, completion in zip(request["inputs"]["prompt"], answer["text"], answer["completion"], strict=True):
        config = SamplingConfig(length=200, temperature=0.8, seed=0)
        assert_same_text(prompt, config, text.numpy().decode(), completion.numpy().decode())


def test_the_description_says_what_the_settings_mean(exported):
    description = json.loads((exported.path / saved_model.DESCRIPTION).read_text())
    assert description["notes"] == [
        "length counts characters.",
        "Temperature 0 takes the likeliest; top_k 0, top_p 1, min_p 0, repeat_penalty 1, presence_penalty 0, "
        "frequency_penalty 0, no_repeat_ngram 0, typical 1, min_length 0 and an empty ban are off.",
        "Of several temperatures each is for one token in turn.",
        "repeat_penalty, presence_penalty, frequency_penalty, repeat_last_n, no_repeat_ngram, ban, min_length and "
        "typical may be left out where the loaded model's generate is called.",
        "repeat_penalty, presence_penalty, frequency_penalty, no_repeat_ngram, ban, min_length, temperature, top_k, "
        "top_p, min_p and typical act in this order.",
        "There are no beams, no regex, no must_include and no max_copy. Stop strings are left to the caller.",
        "Where no token may follow, the text ends.",
        "Each row of a batch is the text of its prompt and the seed alone: equal prompts give equal rows.",
        "temperature, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty and typical count with six "
        "significant digits.",
        "On a GPU that rounds matrix products (TF32) the text may differ.",
    ]
    assert description["how_to_call"] == (
        "loaded = tf.saved_model.load(directory); loaded.signatures['serving_default']("
        "prompt=tf.constant(['Once']), length=tf.constant(200), temperature=tf.constant(0.8), top_k=tf.constant(0), "
        "top_p=tf.constant(1.0), min_p=tf.constant(0.0), seed=tf.constant(0, tf.int64), "
        "repeat_penalty=tf.constant(1.0), presence_penalty=tf.constant(0.0), frequency_penalty=tf.constant(0.0), "
        "repeat_last_n=tf.constant(64), no_repeat_ngram=tf.constant(0), ban=tf.constant([], tf.string), "
        "min_length=tf.constant(0), typical=tf.constant(1.0))['text']"
    )


@pytest.mark.parametrize("value", [0.8, 0.05, 1.0, 0.0, 0.333333, 1e-5, 16.7, 999.9])
def test_a_float32_counts_as_the_decimal_that_was_meant(value):
    assert as_decimal(tf.constant(value, tf.float32)).numpy() == value


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": -0.1}, "temperature must be at least 0"),
        ({"temperature": float("nan")}, "temperature must be at least 0"),
        ({"temperature": 1001.0}, "temperature must be at most 1000"),
        ({"length": 0}, "length must be at least 1"),
        ({"length": MAX_LENGTH + 1}, f"length must be at most {MAX_LENGTH}"),
        ({"top_k": -1}, "top_k must be at least 0"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"top_p": 1.5}, "top_p must be at most 1"),
        ({"min_p": -0.5}, "min_p must be at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"temperature": [0.8, -1.0]}, "temperature must be at least 0"),
        ({"temperature": []}, "temperature takes 1 to 1000 numbers"),
        ({"frequency_penalty": -2.1}, "frequency_penalty must be at least -2"),
        ({"presence_penalty": 2.1}, "presence_penalty must be at most 2"),
        ({"typical": 0.0}, "typical must be above 0"),
        ({"no_repeat_ngram": 101}, "no_repeat_ngram must be at most 100"),
        ({"repeat_last_n": 4097}, "repeat_last_n must be at most 4096"),
        ({"ban": ["a" * 600, "\u00e9" * 401]}, "ban may hold 1000 characters"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_the_graph(serve, setting, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve(**setting)


def test_every_operation_is_on_the_list_and_none_needs_cudnn(exported):
    found = operations.operations_of(exported.path)
    assert found <= operations.ALLOWED
    assert {"StatelessWhile", "UnicodeDecode", "MatMul"} <= found  # the function library was looked at
    assert not [name for name in operations.ALLOWED if "Cudnn" in name or "Xla" in name or name.endswith("File")]


def test_an_operation_that_is_not_on_the_list_is_named(tmp_path):
    module = tf.Module()
    module.read = tf.function(lambda path: tf.io.read_file(path), input_signature=[tf.TensorSpec([], tf.string)])
    tf.saved_model.save(module, str(tmp_path / "reads"))
    with pytest.raises(ExportError, match="ReadFile"):
        operations.check_operations(tmp_path / "reads")


def test_the_result_says_what_was_written_and_compared(exported):
    document = json.loads(json.dumps(exported.to_json()))
    assert document["model"] == "tiny"
    assert document["model_sha256"] == MODEL.sha256
    assert document["bytes"] == sum(f.stat().st_size for f in exported.path.rglob("*") if f.is_file())
    assert (document["checked"]["prompts"], document["checked"]["characters"]) == (12, 2400)
    assert document["checked"]["differences"] <= 1  # a machine may round so that a text parts


def test_the_directory_describes_itself(exported):
    description = json.loads((exported.path / "assets.extra" / "textgen_export.json").read_text())
    assert description["model"] == "tiny"
    assert description["model_sha256"] == MODEL.sha256
    assert description["signature"]["serving_default"] == exported.signature
    directory, text = str(exported.path), None
    call = description["how_to_call"].replace("; loaded.sig", "; text = loaded.sig")
    scope = {"tf": tf, "directory": directory, "text": text}
    exec(call, scope)
    text = scope["text"].numpy()[0].decode()
    assert_same_text("Once", SamplingConfig(length=200, temperature=0.8), text, text[len("once") :])


def test_the_reader_cannot_import_textgen_nor_tensorflow_text(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [reader.Blocker([]), *sys.meta_path])
    for name in ("textgen", "tensorflow_text", "tensorflow_text.python"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(ImportError, match="blocked"):
            __import__(name)


# ---- a format of exports: what writes it, and what answers for it


def format_of(model) -> Format:
    """A format whose export is a file with a name, and whose answers are the NumPy engine's for `model`."""
    generator = open_generator(model)

    def write(stored, directory):
        (directory / "model.txt").write_text(stored.name)

    def answer(stored, directory, requests):
        assert (directory / "model.txt").read_text() == stored.name
        answers = []
        for request in requests:
            settings = {name: value for name, value in request.items() if name != "prompt"}
            config = SamplingConfig(**from_python(SamplingConfig, settings))
            texts = [generator.generate(prompt, config)[0] for prompt in request["prompt"]]
            whole = [t.prompt + t.completion for t in texts]
            answers.append({"text": whole, "completion": [t.completion for t in texts]})
        return answers

    return Format("model.txt", re.compile(r"model\.txt"), write, answer)


def test_a_format_is_what_writes_it_and_what_answers_for_it(tmp_path):
    result = export_model(MODEL, tmp_path / "tiny", kind=format_of(MODEL))
    assert result.checked == check.Checked(12, 2400, 0)
    assert (tmp_path / "tiny" / "model.txt").read_text() == "tiny"
    again = export_model(MODEL, tmp_path / "tiny", kind=format_of(MODEL), overwrite=True)
    assert again.bytes == 4
    with pytest.raises(ExportError, match="not an exported model"):
        export_model(MODEL, tmp_path / "tiny", overwrite=True)  # as a SavedModel


def test_a_format_that_writes_other_texts_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ExportError, match=r"another text than the model after \d+ characters"):
        export_model(MODEL, tmp_path / "tiny", kind=format_of(make_stored_model(seed=1)))
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_load_is_reported_in_one_line(tmp_path):
    with pytest.raises(ExportError, match="does not run: .*" + tmp_path.name) as problem:
        saved_model.answer(MODEL, tmp_path, [])
    assert "\n" not in str(problem.value)


def tied_model():
    """A model to which all symbols are equally likely but for rounding."""
    weights = {name: value * 0 for name, value in MODEL.weights.items()}
    return MODEL._replace(weights=weights | {"output.bias": np.ones_like(weights["output.bias"])})


@pytest.mark.parametrize(
    ("model", "is_explained"), [(tied_model(), True), (MODEL, False)], ids=["a tie", "a clear choice"]
)
def test_only_a_choice_within_rounding_may_differ(model, is_explained):
    config = SamplingConfig(length=9, temperature=0)
    completion = open_generator(model).generate("it was", config)[0]
    received = next(
        completion.completion[:4] + symbol + completion.completion[5:]
        for symbol in model.tokenizer.pieces
        if symbol
        not in (
            completion.completion[4],
            open_generator(model).generate("it was" + completion.completion[:4], config)[0].completion[0],
        )
    )
    case = Case(config, completion, completion.prompt + received, received)
    assert explained_by_rounding(model, case) == is_explained


def test_a_text_that_is_cut_short_is_not_explained_by_rounding():
    config = SamplingConfig(length=9)
    completion = open_generator(MODEL).generate("it was", config)[0]
    assert not explained_by_rounding(MODEL, Case(config, completion, "", completion.completion[:5]))


def test_the_command_prints_the_result_as_json(tmp_path, monkeypatch):
    from textgen.cli.export import export

    write_stored_model(tmp_path / "models", MODEL)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(export, ["tiny", "--models-dir", "models", "--json"], catch_exceptions=False)
    document = json.loads(done.stdout)
    assert done.exit_code == 0
    assert document["path"] == str(tmp_path / "tiny-savedmodel")
    assert document["checked"]["characters"] == 2400
    assert (tmp_path / "tiny-savedmodel" / "saved_model.pb").is_file()
    assert "the same text as the NumPy engine" in done.stderr
    again = CliRunner().invoke(export, ["tiny", "--models-dir", "models"])
    assert isinstance(again.exception, ExportError)
    assert list(itertools.chain(tmp_path.glob("*.tmp"), tmp_path.glob(".*.tmp"))) == []
