"""Preparing one large text with several numbers of processes, beside another version of textgen.

    git worktree add ../before c5ea159
    python tests/benchmarks/prepare_jobs.py --before ../before --megabytes 1000 --jobs 1 --jobs 2

The text is made as in `prepare_throughput.py`. Contestants take turns, each in a process of its own with an empty
cache, and all must have made the same ids, the older version aside. Figures are medians over the rounds:

    MB/s      bytes of text by the seconds of `prepare`
    ratio     to the older version, or to the first contestant where there is none, in the same round
    CPU s     seconds of all cores together: on a busy machine these are steadier than the others
    peak      MiB of memory, of this process and of the largest that it started
"""

import argparse
import hashlib
import inspect
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
from prepare_throughput import LEVELS, in_process

BEFORE = "before"


def measure(path: str, level: str, jobs: str) -> dict:
    """Prepare the text; `jobs` is a number, or BEFORE and the folder of the other version."""
    kind, _, folder = jobs.partition(" ")
    if folder:
        sys.path.insert(0, folder)
    from textgen.config import TextConfig
    from textgen.corpus import open_corpus

    reader = open_corpus([path], TextConfig(level=level))
    try:
        from textgen.dataset import prepare
        from textgen.dataset.split import Split

        arguments = {"split": Split(0.1)}
    except ImportError:  # before there was a `Split`
        from textgen.preparation import prepare

        arguments = {"val_fraction": 0.1, "seed": 0}
    if "jobs" in inspect.signature(prepare).parameters:
        arguments["jobs"] = int(kind)
    start = time.perf_counter()
    prepared = prepare(reader, **arguments)
    seconds = time.perf_counter() - start
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    digest = hashlib.sha256()
    for token_ids in (prepared.train_ids, prepared.validation_ids):
        digest.update(token_ids)
    return {
        "seconds": seconds,
        "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in used),
        "peak_mebibytes": [one.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10) for one in used],
        "sha256": digest.hexdigest(),
    }


def turn(path: Path, level: str, name: str, options: argparse.Namespace) -> dict:
    """What one contestant does in a round."""
    jobs = f"{BEFORE} {options.before}" if name == BEFORE else name
    with tempfile.TemporaryDirectory(prefix="textgen-benchmark-") as cache_dir:
        command = [sys.executable, __file__, "--worker", str(path), level, jobs]
        environment = os.environ | {"TEXTGEN_CACHE_DIR": cache_dir}
        return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def compete(path: Path, level: str, options: argparse.Namespace) -> list[dict]:
    """The rows of a table."""
    names = [*([BEFORE] if options.before else []), *map(str, options.jobs or [1, 2])]
    turns = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            turns[name].append(turn(path, level, name, options))
    digests = {one["sha256"] for name in names if name != BEFORE for one in turns[name]}
    assert len(digests) == 1, "the bytes depend on the number of processes"
    rows = []
    for name, mine in turns.items():
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(turns[names[0]], mine, strict=True))
        seconds, cpu = (statistics.median(one[key] for one in mine) for key in ("seconds", "cpu_seconds"))
        peaks = [round(max(one["peak_mebibytes"][who] for one in mine)) for who in (0, 1)]
        rate = path.stat().st_size / 1e6 / seconds
        rows.append({"level": level, "jobs": name, "megabytes_per_second": rate, "ratio": ratio, "turns": mine})
        print(f"{level:>6}{name:>8}{rate:>9.1f}{ratio:>8.2f}{cpu:>9.1f}{peaks[0]:>8,} +{peaks[1]:,}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="folder of another version of textgen")
    parser.add_argument("--text", nargs="+", default=[], help="texts to repeat; the starter corpus if left out")
    parser.add_argument("--megabytes", type=float, default=1000, help="size of the text")
    parser.add_argument("--jobs", type=int, action="append", help="number of processes; may be repeated")
    parser.add_argument("--level", action="append", choices=LEVELS, help="may be repeated; both if left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="write the figures as JSON to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="textgen-benchmark-") as directory:
        path = Path(directory) / "corpus.txt"
        in_process("make", str(path), str(int(options.megabytes * 1e6)), *options.text, cache_dir=Path(directory))
        print(f"{'level':>6}{'jobs':>8}{'MB/s':>9}{'ratio':>8}{'CPU s':>9}{'peak':>12}")
        tables = [row for level in options.level or LEVELS for row in compete(path, level, options)]
    contest.report(options, tables)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(measure(*sys.argv[2:])))
    else:
        main()
