"""How far back recurrent cells remember: LSTM, GRU and plain RNN with the same number of parameters, trained alike.

    python tests/benchmarks/memory.py --output memory.json --plot memory.png
    python tests/benchmarks/memory.py novel.txt --only text

Three texts: copying a symbol after a delay, the embedded Reber grammar, and real prose (the starter corpus, if no other
is named). Of each model are printed

- accuracy by distance: of the symbol to remember by how far back it was shown; in prose, of the next character by how
  many characters before it the model has read,
- the gradient by distance: how much what a model puts out depends on what it read so many tokens ago, as the norm of
  the gradient of a random direction of the last layer's output in the embedding, before training and after. In the
  first two texts it is taken from the place of the answer to that of the symbol to remember.

Every cell trains with the same batches, noise and schedule at several peaks of the learning rate, and the best one by
loss on texts of its own counts: a rate that suits one cell may ruin another. Medians over the seeds.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import contest
import numpy as np
from memory_tasks import EmbeddedReber, Task

from textgen.lesson.delays import Copying, Rows
from textgen.tensorflow_runtime import quiet_import

CELLS = ("lstm", "gru", "rnn")
RATES = (0.001, 0.003, 0.01)  # peaks of the learning rate that every cell may choose from
TESTED = 256  # rows for each distance
CONTEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # characters of prose that a model has read
GRADIENT_DISTANCES = (0, 1, 2, 5, 10, 20, 50, 100, 200)
TESTED_SEED = 10**6  # apart from every seed of training


class Problem(NamedTuple):
    """A text, the model for it, and how both are measured."""

    name: str
    vocabulary_size: int
    shape: dict  # of the LSTM whose number of parameters all cells get
    batch: Callable[[int, int], tuple[np.ndarray, np.ndarray, bool]]  # (seed, step) to inputs, targets, is_first
    batch_size: int
    sequence_length: int
    held_out: tuple[np.ndarray, np.ndarray]  # inputs and targets [N, T] that choose the learning rate
    accuracy: Callable[[Callable], dict[int, float]]  # by distance; takes what `logits_of` returns
    gradient: Callable[[Callable], dict[int, float]]  # by distance; takes what `gradients_of` returns
    token_counts: np.ndarray


def of_task(task: Task, batch_size: int = 32) -> Problem:
    """A task whose rows are short texts, each read from an empty memory."""

    def batch(seed: int, step: int):
        rows = task.rows(np.random.default_rng([seed, step]), batch_size)
        return rows.inputs(), rows.targets(), True

    draw = np.random.default_rng(TESTED_SEED)
    held_out = task.rows(draw, 2 * TESTED)
    tests = {distance: task.rows_of(draw, TESTED, distance) for distance in task.distances}
    return Problem(
        name=task.name,
        vocabulary_size=len(task.symbols),
        shape={"units": 48, "num_layers": 1, "embedding_size": 16},
        batch=batch,
        batch_size=batch_size,
        sequence_length=held_out.inputs().shape[1],
        held_out=(held_out.inputs(), held_out.targets()),
        accuracy=lambda logits: {distance: remembered(logits, rows) for distance, rows in tests.items()},
        gradient=lambda norms: {distance: dependence(norms, rows) for distance, rows in tests.items()},
        token_counts=np.bincount(held_out.targets().ravel(), minlength=len(task.symbols)),
    )


def remembered(logits: Callable, rows: Rows) -> float:
    """Share of the rows whose asked token is the likeliest one where it is asked for."""
    everywhere = np.arange(len(rows.asked))
    guesses = logits(rows.inputs())[everywhere, rows.asked - 1].argmax(axis=-1)
    return float((guesses == rows.token_ids[everywhere, rows.asked]).mean())


def dependence(norms: Callable, rows: Rows) -> float:
    """How much the output that is asked depends on the symbol to remember, the mean over the rows."""
    everywhere = np.arange(len(rows.asked))
    return float(norms(rows.inputs(), rows.asked - 1)[everywhere, rows.asked - rows.distance].mean())


def of_prose(text: str, batch_size: int = 16, sequence_length: int = 64) -> Problem:
    """Prose, read as it is trained on otherwise: the state is carried on from batch to batch."""
    from textgen.dataset.batches import Batches

    symbols = sorted(set(text))
    ids = np.searchsorted(np.array(symbols), np.array(list(text))).astype(np.int32)
    train, held_out = ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]
    batches: dict[int, Batches] = {}
    longest = max(CONTEXTS)
    ends = np.random.default_rng(TESTED_SEED).integers(longest, len(held_out), size=8 * TESTED)
    before = np.stack([held_out[end - longest : end] for end in ends])  # what comes before each tested character

    def batch(seed: int, step: int):
        if seed not in batches:
            batches[seed] = Batches(train, batch_size, sequence_length, seed)
        return batches[seed][step]

    def accuracy(logits: Callable) -> dict[int, float]:
        return {n: float((logits(before[:, -n:])[:, -1].argmax(axis=-1) == held_out[ends]).mean()) for n in CONTEXTS}

    def gradient(norms: Callable) -> dict[int, float]:
        last = np.full(TESTED, longest - 1)
        by_distance = norms(before[:TESTED], last).mean(axis=0)[::-1]
        return {distance: float(by_distance[distance]) for distance in GRADIENT_DISTANCES}

    rows = held_out[: len(held_out) // (longest + 1) * (longest + 1)].reshape(-1, longest + 1)
    return Problem(
        name="prose",
        vocabulary_size=len(symbols),
        shape={"units": 128, "num_layers": 2, "embedding_size": 64},
        batch=batch,
        batch_size=batch_size,
        sequence_length=sequence_length,
        held_out=(rows[:, :-1], rows[:, 1:]),
        accuracy=accuracy,
        gradient=gradient,
        token_counts=np.bincount(train, minlength=len(symbols)),
    )


def same_size(cell: str, vocabulary_size: int, shape: dict):
    """The configuration of a model of `cell` whose number of parameters is nearest to that of an LSTM of `shape`."""
    from textgen.config import ModelConfig
    from textgen.store.model_directory import num_parameters

    lstm = ModelConfig(vocabulary_size=vocabulary_size, cell="lstm", tied=False, skip=False, **shape)
    candidates = (lstm.replace(cell=cell, units=units) for units in range(shape["units"], 4 * shape["units"]))
    return min(candidates, key=lambda config: abs(num_parameters(config) - num_parameters(lstm)))


def train(problem: Problem, cell: str, peak: float, seed: int, steps: int) -> tuple[object, dict[int, float]]:
    """A model trained on the problem, and its gradient by distance before that."""
    from textgen.config import TrainingConfig
    from textgen.dataset.batches import Batch
    from textgen.model.language_model import build_model
    from textgen.training.schedule import learning_rate
    from textgen.training.step import TrainStep

    model = build_model(same_size(cell, problem.vocabulary_size, problem.shape), seed, problem.token_counts)
    untrained = problem.gradient(gradients_of(model))
    off = {"dropout": 0.0, "activation_reg": 0.0, "weight_decay": 0.0, "num_sampled": 0}
    sizes = {"batch_size": problem.batch_size, "sequence_length": problem.sequence_length}
    config = TrainingConfig(learning_rate=peak, seed=seed, **sizes, **off)
    step, state = TrainStep(model, config, compile_with_xla=True), None
    state = step.zero_state()
    for number in range(steps):
        batch = Batch(*problem.batch(seed, number))
        _, state = step(batch, state, learning_rate(number, steps, peak), number)
    return model, untrained


def logits_of(model) -> Callable:
    """The model as a function of inputs [N, T] to logits [N, T, V], all read from an empty memory."""
    import tensorflow as tf

    compiled = tf.function(lambda ids: model(ids)[0], jit_compile=True, autograph=False)
    return lambda ids: np.concatenate([compiled(tf.constant(part)).numpy() for part in in_parts(ids)])


def in_parts(rows: np.ndarray, size: int = TESTED) -> Iterator[np.ndarray]:
    """The rows in parts of one size; the last one may be smaller."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def loss_of(model, problem: Problem) -> float:
    """Mean nats on the held-out rows; without end where they are no numbers."""
    import tensorflow as tf

    inputs, targets = problem.held_out
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits_of(model)(inputs))
    loss = float(tf.reduce_mean(losses))
    return loss if np.isfinite(loss) else float("inf")


def gradients_of(model) -> Callable:
    """The model as a function of inputs [N, T] and places [N] to how much the outputs there depend on each input.

    [N, T]: the norm of the gradient of a random direction of the last layer's output in the embeddings.
    """
    import tensorflow as tf

    direction = np.random.default_rng(TESTED_SEED).normal(size=model.config.units).astype(np.float32)
    direction /= np.linalg.norm(direction)

    @tf.function(jit_compile=True, autograph=False)
    def norms(ids, places):
        embedded = tf.gather(model.embedding.embeddings, ids)
        with tf.GradientTape() as tape:
            tape.watch(embedded)
            outputs = embedded
            for layer in model.recurrent:
                outputs = layer(outputs)[0]
            chosen = tf.reduce_sum(outputs * tf.one_hot(places, ids.shape[1])[..., None], axis=1)
            output = tf.reduce_sum(chosen * direction)
        return tf.norm(tape.gradient(output, embedded), axis=-1)

    return lambda ids, places: norms(tf.constant(ids), tf.constant(places)).numpy()


def measure(problem: Problem, cell: str, seeds: int, steps: int, rates: tuple[float, ...]) -> dict:
    """The figures of one cell: at each seed, those of the rate with the least loss."""
    from textgen.store.model_directory import num_parameters

    runs, begin = [], time.perf_counter()
    for seed in range(seeds):
        tried = []
        for peak in rates:
            model, untrained = train(problem, cell, peak, seed, steps)
            tried.append((loss_of(model, problem), peak, model, untrained))
        loss, peak, model, untrained = min(tried, key=lambda attempt: attempt[0])
        runs.append(
            {
                "seed": seed,
                "learning_rate": peak,
                "loss": loss,
                "accuracy": problem.accuracy(logits_of(model)),
                "gradient_before": untrained,
                "gradient": problem.gradient(gradients_of(model)),
            }
        )
    curves = ("accuracy", "gradient_before", "gradient")
    config = same_size(cell, problem.vocabulary_size, problem.shape)
    return {
        "problem": problem.name,
        "cell": cell,
        "units": config.units,
        "parameters": num_parameters(config),
        "steps": steps,
        "seconds": time.perf_counter() - begin,
        "loss": statistics.median(run["loss"] for run in runs),
        "runs": runs,
    } | {curve: {d: statistics.median(run[curve][d] for run in runs) for d in runs[0][curve]} for curve in curves}


def show(problem: Problem, results: list[dict]) -> None:
    """One table for each curve, a row for each cell."""
    print(f"\n{problem.name}: {results[0]['steps']:,} steps of {problem.batch_size} x {problem.sequence_length}")
    titles = {"accuracy": "accuracy", "gradient_before": "gradient, untrained", "gradient": "gradient, trained"}
    for curve, title in titles.items():
        print(f"  {title:<32}" + "".join(f"{distance:>9}" for distance in results[0][curve]))
        for result in results:
            label = f"{result['cell']}, {result['units']} units, {result['parameters']:,} parameters"
            form = "9.3f" if curve == "accuracy" else "9.1e"
            print(f"  {label:<32}" + "".join(f"{value:{form}}" for value in result[curve].values()), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path, help="prose, UTF-8; default the starter corpus")
    parser.add_argument("--only", action="append", choices=("copying", "reber", "text"), help="default all three")
    parser.add_argument("--steps", type=int, default=3_000, help="of training, for each model")
    parser.add_argument("--longest", type=int, default=100, help="the longest delay before copying")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rate", type=float, action="append", help=f"a peak to choose from; default {RATES}")
    parser.add_argument("--output", type=Path, help="write the figures as JSON to this file")
    parser.add_argument("--plot", type=Path, help="draw the figures into this file; needs matplotlib")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.plot:
        try:
            import memory_plot
        except ImportError:
            sys.exit("--plot needs matplotlib. Install it with: pip install matplotlib")
    quiet_import()
    from textgen.corpus.catalogue import starter_path

    text = options.text or starter_path()
    makers = {
        "copying": lambda: of_task(Copying(options.longest)),
        "reber": lambda: of_task(EmbeddedReber()),
        "text": lambda: of_prose(text.read_text(encoding="utf-8")),
    }
    tables = []
    for name in options.only or makers:
        problem = makers[name]()
        results = [measure(problem, cell, options.seeds, options.steps, tuple(options.rate or RATES)) for cell in CELLS]
        show(problem, results)
        tables += results
    if options.plot:
        memory_plot.draw(tables, options.plot)
    contest.report(options, tables)


if __name__ == "__main__":
    main()
