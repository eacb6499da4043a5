"""One long life of a process, and its resident memory on the way; run as a program by test_long_life.py.

    python long_life.py KIND MODELS_DIR COUNT

prints the resident MiB after the warm-up, a tenth of COUNT generations, tokens or steps, and nine times after that.
"""

import contextlib
import io
import os
import random
import sys
from pathlib import Path

LINES = ("the cat sat on a mat", "and looked at me", "", "a dog, the cat", "on")
WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "looked", "at", "me.\n")
SMALL = {"units": 16, "embedding_size": 16, "num_layers": 2}


def resident_mib() -> float:
    """Resident memory of this process; the most that it was where there is no /proc."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


class Meter:
    """Measures after every tenth of `count`."""

    def __init__(self, count: int):
        self.every, self.done, self.measured = count // 10, 0, []

    def tick(self) -> None:
        self.done += 1
        if self.done % self.every == 0:
            self.measured.append(resident_mib())


class TypedLines(io.BytesIO):
    """Standard input with `count` lines, each made when it is asked for, which is when the one before is answered."""

    def __init__(self, meter: Meter, count: int):
        super().__init__()
        self.meter, self.count, self.read_lines = meter, count, 0

    def readline(self, size: int | None = -1) -> bytes:
        if self.read_lines:
            self.meter.tick()
        if self.read_lines == self.count:
            return b""
        self.read_lines += 1
        return LINES[self.read_lines % len(LINES)].encode() + b"\n"


def generations(meter: Meter, models_dir: str, count: int) -> None:
    """`textgen repl`, with so many lines typed."""
    from textgen.cli import main

    sys.stdin = io.TextIOWrapper(TypedLines(meter, count))
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.suppress(SystemExit):
        main(["repl", "tiny", "--models-dir", models_dir, "-n", "60"])


def engine_tokens(meter: Meter, models_dir: str, count: int) -> None:
    """One stream of the NumPy engine."""
    import numpy as np

    from textgen.config import SamplingConfig
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.store.model_directory import load_model

    stored = load_model("tiny", Path(models_dir))
    engine = NumpyEngine(stored.record.model, stored.weights)
    context = engine.read(np.array([1, 2, 3]))
    for _, _ in zip(range(count), engine.write(context, SamplingConfig(), np.array([0])), strict=False):
        meter.tick()


def streamed_tokens(meter: Meter, models_dir: str, count: int) -> None:
    """Text from `Model.stream`, looked at and let go."""
    import textgen

    characters = 0
    for piece in textgen.load("tiny", models_dir=models_dir).stream("the", length=count, stop=["zzzzzzzz"]):
        for _ in piece:
            meter.tick()
        characters += len(piece)
    assert characters == count


def steps(meter: Meter, models_dir: str, count: int) -> None:
    """A training run, with what it shows written to a file that nobody reads."""
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from plans import plan_of, run_plan
    from rich.console import Console

    from textgen.training.terminal import TerminalReporter

    class Metered(TerminalReporter):
        def stepped(self, *arguments):
            super().stepped(*arguments)
            meter.tick()

    corpus = Path(models_dir) / "novel.txt"
    corpus.write_text(" ".join(random.Random(0).choices(WORDS, k=5000)))
    rhythm = {"steps": count, "checkpoint_every": count // 20, "sample_every": count // 40}
    plan = plan_of(corpus, Path(models_dir), **SMALL, **rhythm, batch_size=2)
    with open(os.devnull, "w") as nowhere, Metered(Console(file=nowhere, force_terminal=True)) as reporter:
        run_plan(plan, reporter)


if __name__ == "__main__":
    kind, where, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    metered = Meter(number)
    {f.__name__: f for f in (generations, engine_tokens, streamed_tokens, steps)}[kind](metered, where, number)
    print(*(f"{mib:.2f}" for mib in metered.measured))
