"""How long commands take as whole processes, from the shell: what a person waits for.

    python tests/benchmarks/startup.py

Makes a 2 x 128 model of random weights (speed does not depend on what it learned), then takes turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import contest
import numpy as np

from textgen.config import ModelConfig, TextConfig, TrainingConfig
from textgen.recipe import Asked, Facts, fill
from textgen.records import CorpusRecord, ModelRecord, ResultRecord
from textgen.store import manifest, model_directory
from textgen.tokenizers import CharacterTokenizer

COMMANDS = {
    "textgen --help": ["-m", "textgen", "--help"],
    "textgen sample (500 characters, 2 x 128)": ["-m", "textgen", "sample", "random", "-n", "500"],
    "python -c 'import numpy'": ["-c", "import numpy"],
    "python -c 'import tensorflow'": ["-c", "import tensorflow"],
}


def make_model(models_dir: Path) -> None:
    """A finished model directory of 65 symbols."""
    shape = ModelConfig(units=128, embedding_size=128, tied=False, skip=False)
    recipe = fill(Asked(shape, TrainingConfig()), Facts("char", 1_000_000, 65, operations_per_second=1e11))
    config = recipe.model
    draw = np.random.default_rng(0)
    weights = {
        n: draw.normal(size=s).astype(np.float32) * 0.1 for n, s in model_directory.weight_shapes(config).items()
    }
    record = ModelRecord(config, TextConfig(level="char"), recipe.training, CorpusRecord(), ResultRecord(), {})
    path = models_dir / "random"
    path.mkdir()
    symbols = "".join(map(chr, range(32, 97)))
    model_directory.write_model_files(path, record, CharacterTokenizer(symbols), weights)
    for name in (model_directory.METRICS, model_directory.SAMPLES):
        (path / name).write_text("")
    manifest.seal(path, model_directory.MODEL_FILES)


def main() -> None:
    options = contest.arguments(__doc__)
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as directory:
        make_model(Path(directory))
        environment = os.environ | {"TEXTGEN_MODELS_DIR": directory}
        for turn in range(options.rounds + 1):
            for name, arguments in COMMANDS.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
                if turn:  # the first round warms the disk's cache
                    seconds[name].append(time.perf_counter() - start)
    tables = [{"command": name, "median_seconds": statistics.median(s), "seconds": s} for name, s in seconds.items()]
    for row in tables:
        print(f"{row['command']:<45}{row['median_seconds']:>8.2f} s")
    contest.report(options, tables)


if __name__ == "__main__":
    main()
