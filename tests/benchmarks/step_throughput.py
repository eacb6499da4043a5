"""Whole training steps beside another version of textgen: wall clock, or what they take of the processors.

    git worktree add ../before c5ea159
    python tests/benchmarks/step_throughput.py --before ../before
    python tests/benchmarks/step_throughput.py --before ../before --clock cpu       # on a machine that others use too

Each version makes steps in a process of its own, in turns. "several" is this version with STEPS steps in one call.
Figures are tokens per second, and the median of the ratios of each round.
"""

import argparse
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import contest
import numpy as np

CHARACTERS = {"V": 65, "T": 64, "tied": False, "skip": False}
ADAPTED = {"dropout": 0.25, "num_sampled": 1024, "state_reset": 0.02}  # as `english` is adapted
KINDS = {
    "128 units, 16 x 64": CHARACTERS | {"units": 128, "E": 128, "B": 16},
    "256 units, 64 x 64": CHARACTERS | {"units": 256, "E": 256, "B": 64},
    "512 units, 64 x 64": CHARACTERS | {"units": 512, "E": 512, "B": 64},
    "1,024 units, 64 x 16": CHARACTERS | {"units": 1024, "E": 1024, "B": 64, "T": 16},
    "english": {"V": 30_000, "units": 512, "E": 256, "B": 16, "T": 64, "tied": True, "skip": False, "noise": ADAPTED},
}
OFF = {"dropout": 0.0, "activation_reg": 0.0, "weight_decay": 0.0, "num_sampled": 0, "state_reset": 0.0}
STEPS = 8
TOKENS = 100_000


def prepare(setting: dict) -> Callable[[], int]:
    """What makes one step, or several in a call, and returns how many tokens they read."""
    who = sys.argv[2]
    if who == "before":
        sys.path.insert(0, setting["before"])
    if setting["clock"] == "cpu":
        contest.time = SimpleNamespace(perf_counter=time.process_time)
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from textgen.config import ModelConfig, TrainingConfig

    try:
        from textgen.dataset.batches import Batches
    except ImportError:  # versions before had it there
        from textgen.dataset import Batches
    from textgen.model.language_model import build_model
    from textgen.training.step import TrainStep

    V, E = setting["V"], setting["E"]
    shape = {name: setting[name] for name in ("units", "tied", "skip")}
    model = build_model(ModelConfig(vocabulary_size=V, embedding_size=E, num_layers=2, **shape))
    sizes = {"batch_size": setting["B"], "sequence_length": setting["T"]}
    config = TrainingConfig(learning_rate=1e-3, **sizes, **OFF | setting.get("noise", {}))
    shares = 1 / np.arange(1, V + 1)
    token_ids = np.random.default_rng(0).choice(V, TOKENS, p=shares / shares.sum()).astype(np.uint16)
    step = TrainStep(model, config, compile_with_xla=True, token_counts=np.bincount(token_ids, minlength=V))
    batches, state, number = Batches(token_ids, *sizes.values(), 0), [step.zero_state()], [0]

    def one() -> int:
        loss, state[0] = step(batches[number[0]], state[0], 1e-3, number[0])
        float(loss)
        number[0] += 1
        return setting["B"] * setting["T"]

    def several() -> int:
        numbers = range(number[0], number[0] + STEPS)
        losses, state[0] = step.several([batches[n] for n in numbers], state[0], [1e-3] * STEPS, number[0])
        list(map(float, losses))
        number[0] += STEPS
        return STEPS * setting["B"] * setting["T"]

    return several if who == "several" else one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="folder of the other version")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--only", default="", help="only the kinds whose name contains this")
    options = parser.parse_args()
    print(f"{'steps of':<24}{'before':>9}{'now':>9}{'ratio':>8}{'several':>9}{'ratio':>8}")
    for kind, sizes in KINDS.items():
        if options.only in kind:
            setting = sizes | {"before": options.before, "clock": options.clock}
            results = contest.compete(__file__, ("before", "now", "several"), setting, {}, options.rounds)
            rates = {name: result["tokens_per_second"] for name, result in results.items()}
            now, several = (contest.ratios(results, name)["before"] for name in ("now", "several"))
            figures = (
                f"{rates['before']:>9,.0f}{rates['now']:>9,.0f}{now:>8.2f}{rates['several']:>9,.0f}{several:>8.2f}"
            )
            print(f"{kind:<24}{figures}", flush=True)


if __name__ == "__main__" and not contest.serve({"before": prepare, "now": prepare, "several": prepare}):
    main()
