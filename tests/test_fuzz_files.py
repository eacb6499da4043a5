"""Thousands of models that a stranger might send: each is a model, or one line that names a file; nothing else happens.

Runs in a process of its own, whose memory is limited, so that what asks for too much of it fails.
"""

import io
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from conftest import slow

MEMORY_BYTES = 256 * 2**20  # more than the process has taken when it begins
SECONDS = 20  # for one model, however slow the machine


@pytest.mark.parametrize(
    ("seed", "rounds"),
    [(1, 150), slow(1, 1500), *(pytest.param(seed, 20_000, marks=pytest.mark.soak) for seed in range(2, 12))],
)
def test_a_mutated_model_is_read_or_refused_in_one_line(seed, rounds):
    script = [sys.executable, __file__, str(seed), str(rounds)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts = json.loads(done.stdout)
    assert counts["refused"] + counts["read"] == rounds
    assert min(counts.values()) > rounds / 100  # the mutations reach both what refuses and what is refused


def main(seed: int, rounds: int) -> None:
    """Mutate `rounds` models, and print how many were read and how many refused."""
    from damaging import write_full_model, write_run

    from textgen.generation.generator import open_generator  # noqa: F401 (loaded before memory is limited)
    from textgen.store import shipped

    os.fsync = lambda _: None
    warnings.simplefilter("error")
    draw = random.Random(seed)
    counts = {"read": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as name:
        models_dir = Path(name)
        shipped.PACKAGE = models_dir / "textgen"  # so that `models` lists none that comes with textgen
        kinds = (("char", "float32"), ("word", "float32"), ("char", "int8"), ("word", "float16"))
        directories = [write_full_model(models_dir, level, f"{level}-{storage}", storage) for level, storage in kinds]
        directories += write_run(models_dir / "run", steps=(10,))
        use(models_dir, directories[0])
        limit_memory()
        for index in range(rounds):
            directory = draw.choice(directories)
            wholes = {path: path.read_bytes() for path in directory.iterdir()}
            mutate(draw, directory)
            signal.alarm(SECONDS)
            try:
                counts["read" if use(models_dir, directory) else "refused"] += 1
            except BaseException:
                print({p.name: p.read_bytes() for p in wholes if p.read_bytes() != wholes[p]}, index, file=sys.stderr)
                raise
            signal.alarm(0)
            for path, content in wholes.items():
                path.write_bytes(content)
    print(json.dumps(counts))


def limit_memory() -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES, taken + MEMORY_BYTES))


def mutate(draw: random.Random, directory: Path) -> None:
    """Change one file of a model, and seal it again if it is not the manifest itself."""
    from mutations import mutated_bytes, mutated_json

    from textgen.store import manifest, model_directory

    names = model_directory.CHECKPOINT_FILES if directory.parent.name == "checkpoints" else model_directory.MODEL_FILES
    path = directory / draw.choice((*names, model_directory.CONFIG, model_directory.TOKENIZER, manifest.MANIFEST))
    content = path.read_bytes()
    if path.suffix == ".json" and draw.random() < 0.7:
        path.write_bytes(mutated_json(draw, json.loads(content)))
    elif path.suffix == ".safetensors":
        path.write_bytes(mutated_tensors(draw, content))
    else:
        path.write_bytes(mutated_bytes(draw, content))
    if path.name != manifest.MANIFEST:
        manifest.seal(directory, names)


def mutated_tensors(draw: random.Random, content: bytes) -> bytes:
    """The header changed, its length set right most of the time; or some numbers."""
    from mutations import mutated_bytes, mutated_json

    length = int.from_bytes(content[:8], "little")
    header, body = content[8 : 8 + length], content[8 + length :]
    kind = draw.randrange(4)
    if kind == 0:
        header = mutated_json(draw, json.loads(header))
    elif kind == 1:
        header = mutated_bytes(draw, header)
    elif kind == 2:
        place = 4 * draw.randrange(len(body) // 4)
        body = body[:place] + struct.pack("<f", draw.choice((3e38, -3e38, 1e-45, 1e20))) + body[place + 4 :]
    else:
        return mutated_bytes(draw, content)
    return struct.pack("<Q", len(header)) + header + body


def use(models_dir: Path, directory: Path) -> bool:
    """Do with a model what commands do. False when it was refused, in one line that can be shown."""
    from textgen.config import SamplingConfig
    from textgen.errors import TextgenError
    from textgen.generation.generator import open_generator
    from textgen.store.checkpoints import Checkpoint
    from textgen.store.model_directory import load_model

    name = "run" if directory.parent.name == "checkpoints" else directory.name
    refusal = None
    try:
        stored = load_model(name, models_dir)
        if name == "run":
            Checkpoint.read(directory)
        open_generator(stored).generate("the cat", SamplingConfig(length=5), 2)
    except TextgenError as problem:
        refusal = str(problem)
        if len(refusal) > 2000 or "\n" in refusal:
            raise AssertionError(refusal) from problem
    for arguments in (["info", name], ["info", name, "--json"], ["verify", name], ["models"]):
        status = exit_status([*arguments, "--models-dir", str(models_dir)])
        assert status in ((1,) if refusal and arguments[0] == "verify" else (0, 1)), arguments
    return refusal is None


def exit_status(arguments: list[str]) -> int:
    """That of the command line, which must end by itself and print nothing that is not printable."""
    from textgen.cli import main as command_line

    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        try:
            command_line(arguments)
        except SystemExit as ended:
            status = ended.code or 0
    assert output.getvalue().replace("\n", "").isprintable(), output.getvalue()
    return status


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
