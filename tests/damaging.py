"""Models to be damaged, ways to damage them, and what is then said."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.numpy
from conftest import make_stored_model, make_word_tokenizer, random_weights, write_stored_model

from textgen.errors import ModelError, TextgenError
from textgen.records import Evaluated, NoticeRecord, Progress
from textgen.store import manifest, model_directory
from textgen.store.checkpoints import Checkpoint, save_checkpoint
from textgen.store.model_directory import MODEL_FILES

NOTICE = NoticeRecord(
    "CC0-1.0",
    "It learned from two novels" + " of long ago" * 30 + ".",
    ("Emma, by Jane Austen", "The Warden, by A. Trollope"),
)
HISTORY = (Evaluated(step=1, train_loss=3.5, sample="a sample"), Evaluated(step=2, validation_loss=2.0, sample="ü\n"))


def write_full_model(models_dir: Path, level: str = "char", name: str = "tiny", storage: str = "float32") -> Path:
    """A finished model whose files all hold something."""
    tokenizer = make_word_tokenizer("\n", "nfc") if level == "word" else None
    model = make_stored_model(tokenizer=tokenizer, tied=level == "word", storage=storage)
    record = dataclasses.replace(model.record, notice=NOTICE if level == "word" else None)
    path = write_stored_model(models_dir, model._replace(record=record), name)
    rows = [json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in HISTORY]
    (path / model_directory.METRICS).write_text("".join(rows), encoding="utf-8")
    (path / model_directory.SAMPLES).write_text("--- step 2\nü\n", encoding="utf-8")
    reseal(path)
    return path


def write_run(path: Path, steps: tuple[int, ...]) -> list[Path]:
    """Checkpoints of a run that was killed, newest first; the model of each step has other weights."""
    for step in steps:
        model = make_stored_model(seed=step)
        progress = Progress(step=step, total_steps=100)
        training = random_weights(model.record.model, seed=1000 + step)
        record = dataclasses.replace(model.record, results=model.record.results.replace(steps=step))
        save_checkpoint(path, Checkpoint(record, model.tokenizer, progress, HISTORY, model.weights, training))
    return model_directory.checkpoint_dirs(path)


def reseal(path: Path, names: tuple[str, ...] = MODEL_FILES) -> None:
    """Make the manifest agree with the files: what a stranger's model would look like."""
    manifest.seal(path, names)


def message_of(path: Path) -> str:
    """The one line that loading the model at `path` fails with."""
    with pytest.raises(ModelError) as caught:
        model_directory.load_model(path.name, path.parent)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1200
    return str(caught.value)


def problem_of(read: Callable[[Path], object], path: Path) -> str | None:
    """What `read` says of `path`; None where it finds nothing wrong."""
    try:
        read(path)
    except TextgenError as problem:
        return str(problem)
    return None


def change_json(path: Path, change: Callable[[dict], object]) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))


def change_weights(path: Path, change: Callable[[dict], object]) -> None:
    tensors = dict(safetensors.numpy.load_file(path))
    change(tensors)
    path.write_bytes(safetensors.numpy.save(tensors))


def cuts(draw, size: int, num_drawn: int = 4) -> set[int]:
    """Lengths to cut a file of that size to."""
    return {0, 1, size // 2, size - 1, *(draw.randrange(size) for _ in range(num_drawn))} - {size}


def bit_flips(draw, directory: Path, num_flips: int) -> Iterator[tuple[str, bytes]]:
    """Names of files of `directory` and their contents with one bit flipped, shared out over all files alike."""
    contents = {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
    names = [name for name in contents if contents[name]]
    for index in range(num_flips):
        name = names[index % len(names)]
        flipped = bytearray(contents[name])
        bit = draw.randrange(8 * len(flipped))
        flipped[bit // 8] ^= 1 << bit % 8
        yield name, bytes(flipped)


def replace_content(path: Path, content: bytes) -> None:
    """Write in place: nothing here is about atomic writing."""
    with path.open("r+b") as file:
        os.truncate(file.fileno(), 0)
        file.write(content)
