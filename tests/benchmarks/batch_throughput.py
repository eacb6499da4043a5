"""Texts that are written side by side, beside another version of textgen: whole completions, endings included.

    git worktree add ../before c5ea159
    python tests/benchmarks/batch_throughput.py --before ../before

Two layers of 128 units, texts of 1,000 symbols or words, temperature 0.8. Each version writes in a process of its own,
in turns, in one thread. Figures are tokens of all texts per second of the CPU, and the median of the ratios of each
round.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import contest
import numpy as np

UNITS, LAYERS, LENGTH = 128, 2, 1000
SYMBOLS = "\n " + "".join(map(chr, range(60, 123)))
KINDS = {  # rules of sampling
    "characters": {},
    "characters, a stop string": {"stop": ("zyx",)},
    "words": {},
}


def prepare(setting: dict) -> Callable[[], int]:
    """What writes so many texts and returns their tokens."""
    if setting["before"] is not None and sys.argv[2] == "before":
        sys.path.insert(0, setting["before"])
        import textgen

        if not Path(textgen.__file__).is_relative_to(Path(setting["before"]).resolve()):
            raise ImportError(f"there is no textgen in {setting['before']}")
    from textgen.config import ModelConfig, SamplingConfig
    from textgen.generation.generator import Generator
    from textgen.generation.numpy_engine import NumpyEngine
    from textgen.tokenizers import CharacterTokenizer, WordTokenizer

    tokenizer = CharacterTokenizer(SYMBOLS)
    if setting["kind"] == "words":
        tokenizer = WordTokenizer(SYMBOLS, [f" {first}{last}" for first in SYMBOLS[30:] for last in SYMBOLS[30:]])
    V = tokenizer.vocabulary_size
    config = ModelConfig(vocabulary_size=V, embedding_size=UNITS, units=UNITS, num_layers=LAYERS)
    shapes = {"embedding": (V, UNITS), "output.kernel": (UNITS, V), "output.bias": (V,)}
    for layer in range(LAYERS):
        shapes[f"layers.{layer}.kernel"] = shapes[f"layers.{layer}.recurrent_kernel"] = (UNITS, 4 * UNITS)
        shapes[f"layers.{layer}.bias"] = (4 * UNITS,)
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(size=shape).astype(np.float32) * 0.05 for name, shape in shapes.items()}
    generator = Generator(tokenizer, NumpyEngine(config, weights))
    sampling = SamplingConfig(length=LENGTH, temperature=0.8, **KINDS[setting["kind"]])

    def run() -> int:
        generator.generate("<", sampling, setting["streams"])
        return LENGTH * setting["streams"]

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="folder of the other version")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--only", default="", help="only the kinds whose name contains this")
    options = parser.parse_args()
    print(f"{'texts':<30}{'streams':>9}{'before':>10}{'now':>10}{'ratio':>8}")
    for kind in KINDS:
        for streams in (1, 32, 128):
            if options.only not in f"{kind} {streams}":
                continue
            setting = {"kind": kind, "streams": streams, "before": options.before}
            results = contest.compete(__file__, ("before", "now"), setting, {}, options.rounds)
            if len(results) == 2:
                before, now = (results[name]["tokens_per_second"] for name in ("before", "now"))
                ratio = contest.ratios(results, "now")["before"]
                print(f"{kind:<30}{streams:>9}{before:>10,.0f}{now:>10,.0f}{ratio:>8.2f}", flush=True)


if __name__ == "__main__":
    contest.CLOCK = time.process_time
    if not contest.serve({"before": prepare, "now": prepare}):
        main()
