"""Generation speed, tokens per second over all streams: our two engines against what people write themselves.

    python tests/benchmarks/sample_throughput.py --output sample.json
    python tests/benchmarks/sample_throughput.py --python pytorch=/path/to/python    # a Python that has torch

Two layers, 65 symbols, temperature 0.8. "keras predict" calls `model.predict` for every token with a window of 40
tokens (stock Keras has no carried state in `predict`); "tf.function" calls one compiled step for every token, as
TensorFlow's tutorial does; "pytorch" calls `nn.LSTM` for every token under `inference_mode`. "numpy, top-p" and others
are our engine with one rule of drawing, in texts of 300 characters, of which what is made before the first is not
counted: "regex" is a pattern that any text matches, "words" are three that a text must hold, and "max-copy" looks
before each token in an index of 1 MB of text. They are measured with the shipped `english` as well, of 30,000 ids.
"""

import functools
import random
import tempfile
from pathlib import Path

import contest
import numpy as np

V, L, WINDOW = 65, 2, 40
SYMBOLS = "\n " + "".join(map(chr, range(60, 123)))  # V of them
LENGTH = 300
ENGLISH = "english"
SETTINGS = [(128, 1), (512, 1), (128, 32), (512, 32), (ENGLISH, 1), (ENGLISH, 8), (ENGLISH, 32)]  # units, streams


def _model(setting: dict):
    from textgen.config import ModelConfig
    from textgen.store.model_directory import weight_shapes

    units = setting["units"]
    config = ModelConfig(vocabulary_size=V, embedding_size=units, units=units, num_layers=L, tied=False, skip=False)
    draw = np.random.default_rng(0)
    return config, {n: draw.normal(size=s).astype(np.float32) * 0.05 for n, s in weight_shapes(config).items()}


def _ours(engine, setting: dict, tokenizer=None, **rules):
    from textgen.config import SamplingConfig
    from textgen.generation.generator import Generator
    from textgen.tokenizers import CharacterTokenizer

    generator = Generator(tokenizer or CharacterTokenizer(SYMBOLS), engine, copy_index=_copy_index)
    following = generator.following(generator.read("A"), SamplingConfig(length=LENGTH, **rules))
    samples = np.arange(setting["streams"])

    def writing():
        _, steering = following.rows(len(samples))
        return generator.blocks(following.context, following.config, samples, steering)

    endless = writing()

    def run() -> int:
        tokens, blocks = 0, writing() if rules else endless
        while tokens < LENGTH * setting["streams"]:
            tokens += next(blocks).size
        return tokens

    return run


@functools.cache
def _copy_index():
    from textgen.store.copy_index import CopyIndex, write_copy_index

    with tempfile.TemporaryDirectory() as folder:
        write_copy_index(Path(folder, "index"), ["".join(random.Random(0).choices(SYMBOLS, k=10**6))], "")
        return CopyIndex.read(Path(folder, "index"))


def numpy(setting: dict, **rules):
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.store.model_directory import default_models_dir, load_model

    if setting["units"] == ENGLISH:
        model = load_model(ENGLISH, default_models_dir())
        return _ours(NumpyEngine(model.record.model, model.weights), setting, model.tokenizer, **rules)
    return _ours(NumpyEngine(*_model(setting)), setting, **rules)


def tensorflow(setting: dict):
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from textgen.generation.graph import TensorFlowEngine

    run = _ours(TensorFlowEngine(*_model(setting)), setting)
    run()  # the second size of block is compiled here
    return run


def _keras_layers(units: int):
    import keras

    lstms = [keras.layers.LSTM(units, return_sequences=True, return_state=True) for _ in range(L)]
    return keras.layers.Embedding(V, units), lstms, keras.layers.Dense(V)


def keras_predict(setting: dict):
    import keras

    embedding, lstms, output = _keras_layers(setting["units"])
    inputs = keras.Input((WINDOW,), dtype="int32")
    hidden = embedding(inputs)
    for lstm in lstms:
        hidden = lstm(hidden)[0]
    model = keras.Model(inputs, output(hidden[:, -1]))
    text = np.ones((setting["streams"], WINDOW), np.int32)

    def run() -> int:
        nonlocal text
        for _ in range(5):
            logits = model.predict(text, verbose=0).astype(np.float64) / 0.8
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            draws = [np.random.choice(V, p=row / row.sum()) for row in odds]
            text = np.concatenate([text[:, 1:], np.array(draws, np.int32)[:, None]], axis=1)
        return 5 * setting["streams"]

    return run


def tf_function(setting: dict):
    import tensorflow as tf

    embedding, lstms, output = _keras_layers(setting["units"])

    @tf.function
    def step(token_ids, state):
        hidden, new_state = embedding(token_ids), []
        for lstm, layer_state in zip(lstms, state, strict=True):
            hidden, *layer_state = lstm(hidden, initial_state=layer_state)
            new_state.append(layer_state)
        return tf.random.categorical(output(hidden[:, 0]) / 0.8, 1, dtype=tf.int32), new_state

    zeros = tf.zeros((setting["streams"], setting["units"]))
    token_ids, state = tf.ones((setting["streams"], 1), tf.int32), [[zeros, zeros] for _ in lstms]

    def run() -> int:
        nonlocal token_ids, state
        for _ in range(50):
            token_ids, state = step(token_ids, state)
            token_ids.numpy()
        return 50 * setting["streams"]

    return run


def pytorch(setting: dict):
    import torch

    units = setting["units"]
    embedding, lstm = torch.nn.Embedding(V, units), torch.nn.LSTM(units, units, L)
    output = torch.nn.Linear(units, V)
    token_ids, state = torch.ones((1, setting["streams"]), dtype=torch.long), None

    @torch.inference_mode()
    def run() -> int:
        nonlocal token_ids, state
        for _ in range(50):
            hidden, state = lstm(embedding(token_ids), state)
            odds = torch.softmax(output(hidden[0]) / 0.8, -1)
            token_ids = torch.multinomial(odds, 1).T
            token_ids.tolist()
        return 50 * setting["streams"]

    return run


RULES = {
    "top-p": {"top_p": 0.9},
    "typical": {"typical": 0.9},
    "presence": {"presence_penalty": 0.5},
    "frequency": {"frequency_penalty": 0.5},
    "no-repeat-ngram": {"no_repeat_ngram": 4},
    "ban": {"ban": ("the", "[xyz]")},
    "cycle": {"temperature": (1.0, 0.5)},
    "regex": {"regex": r"([^ \n]*[ \n]?)*"},
    "words": {"must_include": ("dragon", "castle", "king")},
    "max-copy": {"max_copy": 20},
}
CONTESTANTS = {
    "textgen numpy": numpy,
    **{f"numpy, {name}": functools.partial(numpy, **rules) for name, rules in RULES.items()},
    "textgen tensorflow": tensorflow,
    "keras predict": keras_predict,
    "tf.function": tf_function,
    "pytorch": pytorch,
}


def flops_per_token(units: int) -> int:
    return 2 * (L * 4 * units * 2 * units + units * V)


def main() -> None:
    options = contest.arguments(__doc__)
    peak = contest.matrix_product_gflops()
    tables = []
    print(
        f"{'units':>8}{'streams':>9}   {'contestant':<20}{'tokens/s':>10}{'share of peak':>15}{'numpy engine is':>17}"
    )
    for units, streams in SETTINGS:
        setting = {"units": units, "streams": streams}
        if options.only and not any(part in f"{units} {streams}" for part in options.only):
            continue
        names = [name for name in CONTESTANTS if units != ENGLISH or "numpy" in name]
        results = contest.compete(__file__, names, setting, options.pythons, options.rounds)
        times = contest.ratios(results, "textgen numpy")
        tables.append({**setting, "results": results, "ratios": times})
        for name, result in results.items():
            rate = result["tokens_per_second"]
            ratio = f"{times[name]:.1f}x" if name in times else ""
            share = "" if units == ENGLISH else f"{rate * flops_per_token(units) / 1e9 / peak:.1%}"
            print(f"{units:>8}{streams:>9}   {name:<20}{rate:>10,.0f}{share:>15}{ratio:>17}", flush=True)
    contest.report(options, tables)


if __name__ == "__main__" and not contest.serve(CONTESTANTS):
    main()
