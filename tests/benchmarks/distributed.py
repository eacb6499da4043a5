"""What several workers cost: sums over all of them by size, and steps of a word model by what they send.

    python tests/benchmarks/distributed.py --output distributed.json
    python tests/benchmarks/distributed.py --paper

The workers are processes of this machine, on loopback, and share its cores. `whole` sends the gradients of all tokens,
`touched` those of the tokens of the batch and of the samples; the two take turns, step by step.

On paper, `--paper` says from how many rows a worker on it is worth at least half of a worker alone. A ring of R workers
adds S bytes in 2 (R - 1) messages of S / R bytes one after the other:

    2 (R - 1) (HOP + S / R / BYTES_PER_SECOND)

HOP and BYTES_PER_SECOND are what two processes on two quiet cores took for sums of nothing and of 16 MB. A worker
computes for (tokens of its rows) / TOKENS_PER_SECOND, which were measured on a machine of two cores up to
512 units; 1,024 have four times the work. Rows have 64 tokens:

| units | MB sent | 8 workers | 64 workers | 512 workers |
|---|---:|---:|---:|---:|
| 2 x 128 | 1.1 | 12 rows | 85 rows | 667 rows |
| 2 x 256 | 4.3 | 9 rows | 46 rows | 335 rows |
| 2 x 512 | 17.1 | 6 rows | 15 rows | 86 rows |
| 2 x 1024 | 67.7 | 5 rows | 7 rows | 25 rows |

So in batches of 16 to 64 rows, which learn most from a text, 8 workers pay where a worker keeps its rows: for every
size with 16 rows each. 64 pay from 512 units on, with 15 rows each, a batch of 960; 512 pay for 1,024 units alone, with
a batch of 12,800, which no text of a few million tokens is worth. Below that, the hops of the ring are what is waited
for, not the bytes: half of BYTES_PER_SECOND moves the 12 rows of 2 x 128 at 8 workers to 14, half of HOP to 7.

Of a word model (20,000 tokens, 32 x 64, tied, 256 units), whose gradients are 23 MB, `touched` sends 7.5. Steps of
two workers took 0.62 and 0.59 of those of `whole`, on two cores that others used too, and left the same bytes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HOP = 1.3e-3  # seconds of a message: half of what the sum of two took
BYTES_PER_SECOND = 0.46e9
TOKENS_PER_SECOND = {128: 32_000, 256: 15_900, 512: 3_900, 1024: 975}
NUM_CHARACTERS, TOKENS_OF_ROW = 65, 64
SIZES = (1, 250_000, 1_000_000, 4_000_000)  # numbers that are summed
WORDS = {"vocabulary_size": 20_000, "embedding_size": 256, "units": 256, "num_layers": 1, "tied": True, "skip": False}
BATCH = {"batch_size": 32, "sequence_length": 64, "num_sampled": 1024, "dropout": 0.1, "learning_rate": 0.001}
ROUNDS = 15


def seconds_of_sum(workers: int, num_bytes: float) -> float:
    """What the model on paper says of a sum."""
    return 2 * (workers - 1) * (HOP + num_bytes / workers / BYTES_PER_SECOND)


def bytes_of(units: int) -> int:
    """What a character model of two layers sends."""
    return 4 * (2 * (8 * units * units + 4 * units) + 2 * NUM_CHARACTERS * units + NUM_CHARACTERS)


def rows_worth(workers: int, units: int) -> int:
    """From how many rows of a worker its computing takes as long as the sum."""
    tokens = seconds_of_sum(workers, bytes_of(units)) * TOKENS_PER_SECOND[units]
    return -(-int(tokens) // TOKENS_OF_ROW)


def paper() -> str:
    """The table of the docstring."""
    lines = ["| units | MB sent | 8 workers | 64 workers | 512 workers |", "|---|---:|---:|---:|---:|"]
    for units in TOKENS_PER_SECOND:
        rows = " | ".join(f"{rows_worth(workers, units)} rows" for workers in (8, 64, 512))
        lines.append(f"| 2 x {units} | {bytes_of(units) / 1e6:.1f} | {rows} |")
    return "\n".join(lines)


def worker(index: int, addresses: list[str]) -> dict:
    """Measure together with the others."""
    from textgen.tensorflow_runtime import quiet_import

    quiet_import(starts=False)
    import tensorflow as tf

    from textgen.workers.cluster import Cluster
    from textgen.workers.communicator import Communicator

    host, _, port = addresses[0].rpartition(":")
    cluster = Cluster(index, len(addresses), (host, int(port)), tuple(addresses))
    communicator = Communicator(addresses, cluster, 600)
    return {"sums": sums(communicator, tf), "steps": steps(communicator, index)}


def sums(communicator, tf) -> dict[str, float]:
    """Milliseconds of a sum, by its bytes."""
    found = {}
    for size in SIZES:
        add = tf.function(communicator.sum, autograph=False).get_concrete_function(tf.TensorSpec([size], tf.float32))
        value = tf.ones([size])
        found[str(4 * size)] = median_milliseconds(lambda add=add, value=value: add(value).numpy())
    return found


def steps(communicator, index: int) -> dict[str, float]:
    """Milliseconds of a step of a word model, by what it sends."""
    from textgen.config import ModelConfig, TrainingConfig
    from textgen.dataset.batches import Batch
    from textgen.model.language_model import build_model
    from textgen.training import shared_step

    model, config = ModelConfig(**WORDS), TrainingConfig(**BATCH, activation_reg=0.0, weight_decay=0.0, steps=1)
    B, T, V = config.batch_size, config.sequence_length, model.vocabulary_size
    counts = 1_000_000 // np.arange(1, V + 1)
    ids = np.random.default_rng(0).choice(V, (B, T + 1), p=counts / counts.sum()).astype(np.int32)
    ends = [B * (i + 1) // communicator.count for i in range(communicator.count)]
    rows = range(([0, *ends])[index], ends[index])
    made, times = {}, {"whole": [], "touched": []}
    for name, worth in (("whole", 0.0), ("touched", 1.0)):
        shared_step.WORTH = worth
        made[name] = shared_step.SharedStep(
            build_model(model),
            config,
            communicator,
            rows,
            1,
            compile_with_xla=True,
            token_counts=counts,
            document_end=None,
        )
    states = dict.fromkeys(made)
    for number in range(ROUNDS + 2):
        for name, step in made.items():
            begin = time.perf_counter()
            _, states[name] = step(Batch(ids[:, :-1], ids[:, 1:], number == 0), states[name], 0.001, number)
            times[name].append(1e3 * (time.perf_counter() - begin))
    same = all(
        np.asarray(one).tobytes() == np.asarray(other).tobytes()
        for one, other in zip(*(made[name].model.named_weights().values() for name in made), strict=True)
    )
    return {name: statistics.median(found[2:]) for name, found in times.items()} | {"same bytes": same}


def median_milliseconds(run) -> float:
    """Of some runs, after one that is not counted."""
    times = []
    for _ in range(ROUNDS + 1):
        begin = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[1:])


def main() -> None:
    """Print the figures of the chief."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--paper", action="store_true")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.paper:
        print(paper())
        return
    if options.worker:
        index, addresses = json.loads(options.worker)
        print(json.dumps(worker(index, addresses)))
        return
    from textgen.workers.channel import free_port

    addresses = [f"127.0.0.1:{free_port()}" for _ in range(options.workers)]
    command = [sys.executable, __file__, "--worker"]
    processes = [
        subprocess.Popen([*command, json.dumps([index, addresses])], stdout=subprocess.PIPE, env=os.environ)
        for index in range(options.workers)
    ]
    answers = [process.communicate()[0] for process in processes]
    found = json.loads(answers[0])
    if options.output:
        options.output.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
