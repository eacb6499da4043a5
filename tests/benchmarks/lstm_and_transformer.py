"""An LSTM and a Transformer of equal size on one text, each trained for the same minutes: the lesson's long form.

    python tests/benchmarks/lstm_and_transformer.py tinyshakespeare.txt --minutes 2 --minutes 15 --output equal.json
    python tests/benchmarks/lstm_and_transformer.py tinyshakespeare.txt --nanogpt CHECKOUT --torch-python PYTHON

Both learn from the first nine tenths of the text as in `textgen lesson`: each tries three learning rates, in three
tenths of its minutes. "Windows" is the mean loss over random windows, each read from nothing; "one pass" carries the
LSTM's state over the last tenth. nanoGPT's CPU configuration runs in a copy of its checkout, with as many iterations as
fit into the minutes by a pilot run, and is given by its own estimate, over random windows of 64.
"""

import argparse
import json
import pickle
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import contest
import numpy as np

from textgen.tensorflow_runtime import quiet_import

KINDS = ("lstm", "transformer")
NANOGPT = """config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=1
--block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --dropout=0.0"""
PILOT = 60  # iterations


def split(text_path: Path):
    """The text, cut where the usual split of tiny-shakespeare cuts it."""
    from textgen.lesson.text import Text

    text = Text([text_path.read_text(encoding="utf-8")], text_path.stem)
    cut = int(0.9 * len(text.ids))
    text.training, text.tests = text.ids[:cut], text.ids[cut:]
    return text


def train(kind: str, text, minutes: float, options: argparse.Namespace) -> dict:
    """The figures of one of the two."""
    from textgen.lesson.contestants import Size
    from textgen.lesson.learning import POINTS, RATES, TRIAL_SHARE, Learner
    from textgen.lesson.tasks import text_task
    from textgen.training.validation import Validation

    size = Size(options.units, 2, 64, 4, 4)
    task = text_task(text, size, options.batch_size, options.window, options.tested)
    learner, seconds = Learner(kind, task, compiled=True), 60 * minutes
    tried = {peak: learner.train(peak, TRIAL_SHARE * seconds, 1)[-1][1] for peak in RATES}
    rate = min(tried, key=lambda peak: tried[peak])
    curve = learner.train(rate, (1 - len(RATES) * TRIAL_SHARE) * seconds, POINTS)
    result = {
        "network": kind,
        "minutes": minutes,
        "parameters": sum(int(np.prod(variable.shape)) for variable in learner.model.trainable_variables),
        "tried": tried,
        "rate": rate,
        "tokens": learner.tokens,
        "curve": curve,
        "windows": learner.mean_loss(*windows(text, options.window, options.tested)),
    }
    if kind == "lstm":
        result["one_pass"] = Validation(learner.model, text.tests, compile_with_xla=True)()
    return result


def windows(text, window: int, tested: int) -> tuple[np.ndarray, np.ndarray]:
    """Random windows of the held-out part, inputs and targets; a multiple of 64 of them."""
    starts = np.random.default_rng(1).integers(0, len(text.tests) - window, size=64 * tested)
    rows = np.stack([text.tests[start : start + window + 1] for start in starts])
    return rows[:, :-1], rows[:, 1:]


def nanogpt(text, checkout: Path, python: str, minutes: float) -> dict:
    """nanoGPT's CPU configuration, in a copy of the checkout."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(shutil.copytree(checkout, Path(name, "nanoGPT"), ignore=shutil.ignore_patterns(".git", "out*")))
        data = copy / "data" / "shakespeare_char"
        data.mkdir(parents=True, exist_ok=True)
        for part, ids in (("train", text.training), ("val", text.tests)):
            ids.astype(np.uint16).tofile(data / f"{part}.bin")
        symbols = dict(enumerate(text.symbols))
        meta = {"vocab_size": len(symbols), "itos": symbols, "stoi": {s: i for i, s in symbols.items()}}
        (data / "meta.pkl").write_bytes(pickle.dumps(meta))

        def run(iterations: int) -> str:
            length = (f"--{flag}={iterations}" for flag in ("max_iters", "lr_decay_iters", "eval_interval"))
            command = [python, "train.py", *NANOGPT.split(), *length]
            return subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, text=True, check=True).stdout

        times = [float(found) for found in re.findall(r"time ([\d.]+)ms", run(PILOT))][5:-1]
        iterations = int(minutes * 60_000 / np.median(times))
        losses = re.findall(r"step \d+: train loss [\d.]+, val loss ([\d.]+)", run(iterations))
    return {
        "network": "nanogpt",
        "minutes": minutes,
        "iterations": iterations,
        "tokens": iterations * 12 * 64,
        "windows": float(losses[-1]),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="UTF-8")
    parser.add_argument("--minutes", type=float, action="append", help="of training, each; default 2 and 15")
    parser.add_argument("--units", type=int, default=256, help="of the LSTM, whose number of parameters both have")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--window", type=int, default=256, help="characters")
    parser.add_argument("--tested", type=int, default=16, help="times 64 windows")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    parser.add_argument("--torch-python", default="python", help="a Python that has torch")
    parser.add_argument("--output", type=Path, help="write the figures as JSON to this file")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    quiet_import()
    text, tables = split(options.text), []
    print(f"{'':<12}{'minutes':>8}{'parameters':>12}{'rate':>7}{'tokens':>13}{'windows':>9}{'one pass':>10}")
    for minutes in options.minutes or [2.0, 15.0]:
        results = [train(kind, text, minutes, options) for kind in KINDS]
        if options.nanogpt:
            results.append(nanogpt(text, options.nanogpt, options.torch_python, minutes))
        for result in results:
            parameters, rate, one_pass = (result.get(name) for name in ("parameters", "rate", "one_pass"))
            figures = f"{'' if parameters is None else f'{parameters:,}':>12}{'' if rate is None else rate:>7}"
            passed = "" if one_pass is None else f"{one_pass:.3f}"
            losses = f"{result['tokens']:>13,}{result['windows']:>9.3f}{passed:>10}"
            print(f"{result['network']:<12}{minutes:>8g}{figures}{losses}", flush=True)
        tables += results
    contest.report(options, json.loads(json.dumps(tables)))


if __name__ == "__main__":
    main()
