"""Contestants side by side: each in a process of its own, taking turns, so that a slow minute hits all alike.

A contestant is a Python function `prepare(setting) -> run`, where `run()` does some work once and returns how many
tokens it processed. `serve` runs one in a worker process; `compete` starts the workers, lets them take turns for a
number of rounds, and returns every rate. A peer that is not installed is left out.

A worker may run in another Python (`--python name=path`), so that peers need not share an environment.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

ROUNDS = 5
TURN_SECONDS = 1.5  # a turn repeats `run` for at least this long
CLOCK = time.perf_counter  # what is measured by; the CPU's seconds of a process hardly depend on what else runs


def serve(contestants: dict[str, Callable[[dict], Callable[[], int]]]) -> bool:
    """If this process is a worker, serve and return True: one JSON line of rates for each line on stdin."""
    if len(sys.argv) < 2 or sys.argv[1] != "--worker":
        return False
    name, setting = sys.argv[2], json.loads(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is not an answer
    begin = time.perf_counter()
    try:
        run = contestants[name](setting)
        run()
    except ImportError as problem:
        print(json.dumps({"missing": str(problem)}), file=answers, flush=True)
        return True
    print(json.dumps({"ready_seconds": time.perf_counter() - begin}), file=answers, flush=True)
    for _ in sys.stdin:
        turn = {"tokens_per_second": _turn(run), "peak_mebibytes": _peak_mebibytes()}
        print(json.dumps(turn), file=answers, flush=True)
    return True


def _peak_mebibytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def _turn(run: Callable[[], int]) -> float:
    """The median rate of the runs of one turn."""
    rates, begin = [], time.perf_counter()
    while time.perf_counter() - begin < TURN_SECONDS or len(rates) < 3:
        start = CLOCK()
        tokens = run()
        rates.append(tokens / (CLOCK() - start))
    return statistics.median(rates)


class _Worker:
    def __init__(self, script: Path, name: str, setting: dict, python: str):
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            [python, str(script), "--worker", name, json.dumps(setting)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": f"ended with status {self.process.wait()}"}

    def turn(self) -> dict[str, Any]:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def compete(script: str, names: Iterable[str], setting: dict, pythons: dict[str, str], rounds: int) -> dict[str, Any]:
    """Rates of every contestant that could start: `{name: {tokens_per_second, rates, ready_seconds, ...}}`."""
    workers, results = {}, {}
    for name in names:
        worker = _Worker(Path(script), name, setting, pythons.get(name.split(" ")[0], sys.executable))
        first = worker.answer()
        if "missing" in first:
            print(f"  {name} is left out: {first['missing']}", file=sys.stderr)
            worker.close()
            continue
        workers[name], results[name] = worker, {"rates": [], **first}
    for _ in range(rounds):
        for name, worker in workers.items():
            turn = worker.turn()
            results[name]["rates"].append(turn["tokens_per_second"])
            results[name]["peak_mebibytes"] = turn["peak_mebibytes"]
    for name, worker in workers.items():
        worker.close()
        results[name]["tokens_per_second"] = statistics.median(results[name]["rates"])
    return results


def ratios(results: dict[str, Any], ours: str) -> dict[str, float]:
    """Median over the rounds of our rate divided by each other's in the same round."""
    return {
        name: statistics.median(a / b for a, b in zip(results[ours]["rates"], result["rates"], strict=True))
        for name, result in results.items()
        if name != ours and ours in results
    }


def machine() -> dict[str, Any]:
    """Cores, versions, and the rate of a large matrix product, the measure of what the machine can do."""
    versions = {}
    for package in ("tensorflow", "keras", "numpy", "torch"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(),
        "cores": cores,
        "python": platform.python_version(),
        **versions,
        "peak_gflops": matrix_product_gflops(),
    }


def matrix_product_gflops(size: int = 2048) -> float:
    """Best of many float32 products of two square matrices, in TensorFlow, which was faster here than NumPy."""
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    import tensorflow as tf

    a = tf.ones((size, size))
    times = []
    for _ in range(30):
        start = time.perf_counter()
        tf.matmul(a, a).numpy()
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times) / 1e9


def arguments(description: str) -> argparse.Namespace:
    """`--rounds`, `--output FILE`, `--python NAME=PATH`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--output", type=Path, help="write the figures as JSON to this file")
    parser.add_argument("--python", action="append", default=[], help="NAME=PATH: run the peer NAME in that Python")
    parser.add_argument("--only", action="append", default=[], help="only the settings whose label contains this")
    parsed = parser.parse_args()
    parsed.pythons = dict(item.split("=", 1) for item in parsed.python)
    return parsed


def report(options: argparse.Namespace, tables: list[dict[str, Any]]) -> None:
    """Write JSON where it was asked for."""
    document = {"machine": machine(), "tables": tables}
    print(json.dumps(document["machine"]))
    if options.output:
        options.output.write_text(json.dumps(document, indent=2) + "\n")
