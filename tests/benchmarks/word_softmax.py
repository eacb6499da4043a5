"""Word models against the clock: the full softmax, and samples of several sizes, each for the same minutes.

    python tests/benchmarks/word_softmax.py novel.txt --minutes 2 --output words.json
    python tests/benchmarks/word_softmax.py novel.txt --vocabulary-size 30000 --sampled 0 --sampled 1024

Every contestant trains the same tied model on the text's first nine tenths, in a process of its own, with the learning
rate following the clock, so that a slower one makes fewer steps of the same schedule. 0 is the full softmax. The nats
are exact for all of them, on (the beginning of streams all over) the last tenth. Compare vocabularies by nats per
character: a larger one has fewer tokens, which are harder to guess.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import contest
import numpy as np

VALIDATION_TOKENS = 60_000
WARM_UP_STEPS = 3
SCHEDULE = 10_000  # places on the learning rate's curve


def worker(setting: dict) -> dict:
    """Train one contestant and return its figures."""
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from textgen.config import ModelConfig, TrainingConfig
    from textgen.dataset.batches import Batches
    from textgen.model.language_model import build_model
    from textgen.training.schedule import learning_rate
    from textgen.training.step import TrainStep
    from textgen.training.validation import Validation

    train_ids, validation_ids = (np.load(setting[part], mmap_mode="r") for part in ("train", "validation"))
    V, seconds = setting["vocabulary_size"], setting["minutes"] * 60
    shape = {name: setting[name] for name in ("units", "embedding_size", "num_layers")}
    training = {name: setting[name] for name in ("batch_size", "sequence_length", "dropout", "num_sampled")}
    off = {"activation_reg": 0.0, "weight_decay": 0.0}
    config = TrainingConfig(learning_rate=setting["learning_rate"], **training, **off)
    counts = np.bincount(train_ids, minlength=V)
    model = build_model(ModelConfig(vocabulary_size=V, tied=True, skip=False, **shape), token_counts=counts)
    step = TrainStep(model, config, compile_with_xla=True, token_counts=counts)
    batches, state = Batches(train_ids, config.batch_size, config.sequence_length, 0), step.zero_state()
    for number in range(WARM_UP_STEPS):  # compiles; at this rate nothing changes that could be measured
        loss, state = step(batches[number], state, 1e-12, number)
        float(loss)
    number, begin, losses = 0, time.perf_counter(), []
    while (elapsed := time.perf_counter() - begin) < seconds:
        rate = learning_rate(int(SCHEDULE * elapsed / seconds), SCHEDULE, config.learning_rate)
        loss, state = step(batches[number], state, rate, number)
        losses.append(float(loss))
        number += 1
    validation = Validation(model, validation_ids, compile_with_xla=True).limited(VALIDATION_TOKENS)
    nats = validation()
    tokens = number * config.batch_size * config.sequence_length
    return {
        "steps": number,
        "epochs": batches.epoch_of(number),
        "tokens_per_second": tokens / elapsed,
        "train_loss": float(np.mean(losses[-100:])),
        "nats_per_token": nats,
        "nats_per_character": nats * len(validation_ids) / setting["validation_characters"],
        "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def run(setting: dict) -> dict:
    """`worker` in a process of its own."""
    command = [sys.executable, __file__, "--worker", json.dumps(setting)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    return json.loads(done.stdout.splitlines()[-1])


def prepare(text: str, vocabulary_size: int, directory: Path) -> dict:
    """Ids of the two parts of `text`, on disk."""
    from textgen.config import TextConfig
    from textgen.tokenizers import new_fitter

    fitter = new_fitter("word")
    fitter.add(text)
    tokenizer = fitter.finish(TextConfig(level="word", vocabulary_size=vocabulary_size))
    cut = int(0.9 * len(text))
    paths = {}
    for part, piece in (("train", text[:cut]), ("validation", text[cut:])):
        paths[part] = str(directory / f"{part}-{vocabulary_size}.npy")
        np.save(paths[part], tokenizer.encode(piece))
    return paths | {"vocabulary_size": tokenizer.vocabulary_size, "validation_characters": len(text) - cut}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="a text of some megabytes, UTF-8")
    parser.add_argument("--vocabulary-size", type=int, action="append", help="V; default 10000 and 30000")
    parser.add_argument("--sampled", type=int, action="append", help="K, 0 is all; default 0, 512, 1024, 2048, 4096")
    parser.add_argument("--minutes", type=float, default=2.0, help="of training, each")
    parser.add_argument("--output", type=Path, help="write the figures as JSON to this file")
    sizes = {"units": 256, "embedding-size": 256, "num-layers": 2, "batch-size": 16, "sequence-length": 64}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--learning-rate", type=float, default=0.006)
    parser.add_argument("--dropout", type=float, default=0.05)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    text = options.text.read_text(encoding="utf-8")
    common = {name: value for name, value in vars(options).items() if isinstance(value, (int, float))}
    tables = []
    print(f"{'V':>7}{'K':>6}{'tokens/s':>10}{'epochs':>8}{'nats/token':>12}{'nats/char':>11}{'MiB':>7}")
    with tempfile.TemporaryDirectory() as directory:
        for vocabulary_size in options.vocabulary_size or [10_000, 30_000]:
            setting = common | prepare(text, vocabulary_size, Path(directory))
            for num_sampled in options.sampled or [0, 512, 1024, 2048, 4096]:
                result = run(setting | {"num_sampled": num_sampled})
                tables.append({"vocabulary_size": vocabulary_size, "num_sampled": num_sampled, **common, **result})
                figures = f"{result['tokens_per_second']:>10,.0f}{result['epochs']:>8.2f}"
                quality = f"{result['nats_per_token']:>12.3f}{result['nats_per_character']:>11.4f}"
                memory = f"{result['peak_mebibytes']:>7,}"
                print(f"{vocabulary_size:>7}{num_sampled or 'all':>6}{figures}{quality}{memory}", flush=True)
    contest.report(options, tables)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(worker(json.loads(sys.argv[2]))))
    else:
        main()
