"""Preparing corpora for training: text on disk to token ids on disk, at both levels; speed, memory, and what follows.

    python tests/benchmarks/prepare_throughput.py --output prepare.json
    python tests/benchmarks/prepare_throughput.py --text wiki.txt --megabytes 1 --megabytes 1000

A corpus is made on the spot: the texts that are given (the starter corpus, if none), again and again, each time with
typing errors at other places, so that the number of different words keeps growing. Every measurement is a process of
its own, with an empty cache.

    MB/s      bytes of text by the seconds of `prepare`: reading twice, learning the vocabulary, encoding, writing
    peak      MiB of memory above what the process held after its imports
    again     seconds of `prepare` in a second process, which finds the ids of the first
    batch     microseconds to look up the batch of a step, 64 x 128 tokens: the median of many random steps
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import contest

MEGABYTES = (1, 10, 100, 1000)
LEVELS = ("char", "word")
ERROR_RATE = 0.005  # of the characters: about one word in forty
BATCH_SIZE, SEQUENCE_LENGTH, NUM_LOOKUPS = 64, 128, 2000


def make_corpus(path: Path, num_bytes: int, texts: list[str]) -> None:
    """Write about `num_bytes` of UTF-8."""
    import numpy as np

    from textgen.config import TextConfig
    from textgen.corpus import open_corpus

    text = "".join(open_corpus(texts, TextConfig()).blocks())
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    draw = np.random.default_rng(0)
    with path.open("wb") as file:
        while (missing := num_bytes - file.tell()) > 0:
            copy = points.copy()
            places = draw.integers(len(points), size=int(ERROR_RATE * len(points)))
            copy[places] = points[draw.integers(len(points), size=len(places))]
            copy[points == ord("\n")] = ord("\n")
            file.write(copy.tobytes().decode("utf-32-le").encode()[:missing].decode(errors="ignore").encode())
            if missing < 4:
                break


def measure(path: Path, level: str) -> dict:
    """Prepare the corpus at `path` and look up batches of it."""
    import numpy as np

    from textgen.config import TextConfig
    from textgen.corpus import open_corpus
    from textgen.dataset import prepare
    from textgen.dataset.batches import Batches
    from textgen.dataset.split import Split

    before = peak_mebibytes()
    start = time.perf_counter()
    prepared = prepare(open_corpus([path], TextConfig(level=level)), Split(0.1))
    seconds = time.perf_counter() - start
    peak = peak_mebibytes() - before
    batches = Batches(prepared.train_ids, BATCH_SIZE, SEQUENCE_LENGTH, seed=0)
    lookups = []
    for step in np.random.default_rng(0).integers(10 * batches.steps_per_epoch, size=NUM_LOOKUPS).tolist():
        start = time.perf_counter()
        batches[step]
        lookups.append(time.perf_counter() - start)
    return {
        "seconds": seconds,
        "peak_mebibytes": peak,
        "batch_microseconds": 1e6 * statistics.median(lookups),
        "vocabulary_size": prepared.tokenizer.vocabulary_size,
        "tokens": len(prepared.train_ids) + len(prepared.validation_ids),
    }


def peak_mebibytes() -> float:
    """The most memory that this process has held so far. NOTE: it counts from what started it, so that stays small."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def in_process(*arguments: str, cache_dir: Path) -> dict:
    """What a worker process prints."""
    command = [sys.executable, __file__, "--worker", *arguments]
    environment = os.environ | {"TEXTGEN_CACHE_DIR": str(cache_dir)}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def work(task: str, path: str, *arguments: str) -> dict:
    """What a worker process does."""
    if task == "make":
        make_corpus(Path(path), int(arguments[0]), list(arguments[1:]))
        return {"bytes": Path(path).stat().st_size}
    return measure(Path(path), arguments[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", nargs="+", default=[], help="texts to repeat; the starter corpus if left out")
    parser.add_argument("--megabytes", type=float, action="append", help="size of a corpus; may be repeated")
    parser.add_argument("--level", action="append", choices=LEVELS, help="may be repeated; both if left out")
    parser.add_argument("--output", type=Path, help="write the figures as JSON to this file")
    options = parser.parse_args()
    tables = []
    print(f"{'MB':>8}{'level':>7}{'V':>9}{'tokens':>14}{'MB/s':>8}{'peak MiB':>10}{'again s':>9}{'batch µs':>10}")
    for megabytes in options.megabytes or MEGABYTES:
        with tempfile.TemporaryDirectory(prefix="textgen-benchmark-") as directory:
            path, cache_dir = Path(directory) / "corpus.txt", Path(directory) / "cache"
            made = in_process("make", str(path), str(int(megabytes * 1e6)), *options.text, cache_dir=cache_dir)
            for level in options.level or LEVELS:
                first, second = (in_process("measure", str(path), level, cache_dir=cache_dir) for _ in range(2))
                row = {"megabytes": made["bytes"] / 1e6, "level": level, **first, "again_seconds": second["seconds"]}
                row["megabytes_per_second"] = row["megabytes"] / row["seconds"]
                tables.append(row)
                print(
                    f"{row['megabytes']:>8,.0f}{level:>7}{row['vocabulary_size']:>9,}{row['tokens']:>14,}"
                    f"{row['megabytes_per_second']:>8.1f}{row['peak_mebibytes']:>10.0f}{row['again_seconds']:>9.2f}"
                    f"{row['batch_microseconds']:>10.0f}",
                    flush=True,
                )
    contest.report(options, tables)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(*sys.argv[2:])))
    else:
        main()
