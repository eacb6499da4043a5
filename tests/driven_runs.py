"""Small runs in processes that can be killed, stopped or starved at any moment, and what they leave."""

import json
import os
import random
import shutil
from pathlib import Path

from commands import Command
from conftest import make_stored_model, make_word_tokenizer, write_stored_model

from textgen.store import manifest, model_directory

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "looked", "at", "me.\n")
CLOCK_FIELDS = {"seconds", "tokens_per_second"}
SMALL = "--units 8 --embedding-size 4 --batch-size 4 --sequence-length 8 --checkpoint-every 4 --seed 3"
STEPS = "--steps 30 --sample-every 10"
RUNS = {
    "characters": f"{SMALL} {STEPS} --dropout 0.2 --weight-drop 0.2 --num-layers 2 --ema 0.9 --state-reset 0.1",
    "words": f"{SMALL} {STEPS} --level word --num-sampled 9 --weight-drop 0.2 --keep-checkpoints 1 --num-layers 1",
    "minutes": f"{SMALL} --minutes 0.02 --sample-every 9 --dropout 0.3 --num-layers 1",
    "documents": f"{SMALL} {STEPS} --documents line --cell gru --num-layers 1 --dropout 0.2",
    "adapting": f"{STEPS} --init-from ./first --batch-size 4 --sequence-length 8 --checkpoint-every 4",
}
RESUME = ("train", "--resume", "--name", "novel")


def train(kind: str, *more: str) -> tuple[str, ...]:
    """The command line of a run of that kind."""
    return ("train", "novel.txt", *RUNS[kind].split(), *more)


class Driver:
    """A working directory with a text, in which `textgen` runs with a cache and a models directory of its own."""

    def __init__(self, folder: Path):
        self.folder, self.log = folder, folder / "log"
        self.models_dir = folder / "models"
        self.path = self.models_dir / "novel"
        self.environment = os.environ | {
            "TEXTGEN_CACHE_DIR": str(folder / "cache"),
            "TEXTGEN_MODELS_DIR": str(self.models_dir),
        }
        first = make_stored_model(tokenizer=make_word_tokenizer("\n"), tied=True, embedding_size=12, storage="int8")
        write_stored_model(folder, first, "first")  # what the kind "adapting" begins with
        (folder / "novel.txt").write_text(" ".join(random.Random(0).choices(WORDS, k=900)))

    def start(self, *arguments: str, log: Path | None = None, **events: object) -> Command:
        """`textgen ARGUMENTS`, running; what it prints on both streams goes to the log. Events are as of a Command."""
        return Command(*arguments, cwd=self.folder, environment=self.environment, log=log or self.log, **events)

    def run(self, *arguments: str, **events: object) -> int:
        """The exit status of `textgen ARGUMENTS`, negative when a signal ended it; events are fork_server.py's."""
        return self.start(*arguments, **events).wait()

    def forget_corpora(self) -> None:
        """The next command prepares its corpus anew."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

    def said(self) -> str:
        """What the last command printed, on both streams."""
        return self.log.read_text()


def left_by(path: Path) -> dict:
    """Everything in a finished model that must not depend on how its run went."""
    manifest.verify(path, model_directory.MODEL_FILES)
    names = (model_directory.WEIGHTS, model_directory.TOKENIZER, model_directory.SAMPLES)
    rows = [json.loads(line) for line in (path / model_directory.METRICS).read_text().splitlines()]
    results = json.loads((path / model_directory.CONFIG).read_text())["results"]
    files = {name: (path / name).read_bytes() for name in names}
    return files | {"metrics": [_without_clock(row) for row in rows], "results": _without_clock(results)}


def _without_clock(fields: dict) -> dict:
    return {name: value for name, value in fields.items() if name not in CLOCK_FIELDS}


def assert_nothing_else(path: Path) -> None:
    """The models directory holds the finished model and not one file more."""
    assert os.listdir(path.parent) == [path.name]
    assert set(os.listdir(path)) == {*model_directory.MODEL_FILES, manifest.MANIFEST}
