"""Runs of a small text: how they are asked for, planned and carried out, and what they leave."""

import contextlib
import dataclasses
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from watching import Watcher

from textgen.store import model_directory
from textgen.training.plan import Plan, make_plan
from textgen.training.reporting import Reporter
from textgen.training.request import Request
from textgen.training.results import TrainingResult
from textgen.training.run import carry_out
from textgen.training.signals import StopRequest

if TYPE_CHECKING:
    from textgen.training.learner import Learner

WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "looked", "at", "me.\n")
TEXT = " ".join(random.Random(0).choices(WORDS, k=900))
STEPS, EVALUATE_EVERY, CHECKPOINT_EVERY, RATE = 30, 10, 6, 0.006
CLOCK_FIELDS = {"seconds", "tokens_per_second"}
OPERATIONS_PER_SECOND = 100e9  # of the machine that plans are for

# Everything that the recipe would decide, and what makes a run short.
SHAPE = {"units": 8, "embedding_size": 4, "num_layers": 1, "tied": False, "skip": False}
TRAINING = {"steps": STEPS, "batch_size": 4, "sequence_length": 8, "learning_rate": RATE, "dropout": 0.2, "seed": 1} | {
    "weight_drop": 0.1,
    "activation_reg": 0.0,
    "weight_decay": 0.0,
    "num_sampled": 0,
    "bias_rate": 1.0,
    "schedule": "one-cycle",
    "checkpoint_every": CHECKPOINT_EVERY,
    "sample_every": EVALUATE_EVERY,
}


# ---- plans


def request_of(models_dir: Path, *sources: str | Path, defaults: dict | None = None, **options) -> Request:
    """Options are fields of Request, and settings; `defaults` are of those that are not given.

    Another budget takes the place of the default's steps.
    """
    asked = {field.name: options.pop(field.name) for field in dataclasses.fields(Request) if field.name in options}
    settings = dict(defaults or {})
    if {"minutes", "epochs"} & options.keys():
        settings.pop("steps", None)
    return Request(models_dir, tuple(map(str, sources)), settings=settings | options, **asked)


def plan_of(corpus: str | Path, models_dir: Path, **options) -> Plan:
    """The plan of a run on `corpus` with SHAPE, unless it begins with a model, TRAINING, and `options` over these."""
    defaults = TRAINING if "init_from" in options else SHAPE | TRAINING
    with mock.patch("textgen.training.plan.recurrent_rate", return_value=OPERATIONS_PER_SECOND):
        return make_plan(request_of(models_dir, corpus, defaults=defaults, **options))


def resumed_plan(models_dir: Path, name: str = "novel", sources: tuple[str, ...] = ()) -> Plan:
    """The plan of the run that `models_dir/name` has come to; its newest checkpoint is what it begins with."""
    return make_plan(Request(models_dir, sources, name=name, resume=True))


# ---- runs


def run_plan(
    plan: Plan, reporter: Reporter | None = None, *, learner: "Learner | None" = None, started: float | None = None
) -> TrainingResult:
    """Carry out a plan.

    Args:
        learner: of the plan, when it was changed for the test; its speed is not measured then.
        started: when the command began; None is now.
    """
    started = time.perf_counter() if started is None else started
    with StopRequest() as stop, contextlib.nullcontext() if learner is None else standing_in(learner):
        result = carry_out(plan, reporter or Reporter(), stop, started=started)
    assert result is not None
    return result


@contextlib.contextmanager
def standing_in(learner: "Learner"):
    """While this lasts `learner` is the learner of every plan."""
    import textgen.training.trainer  # noqa: F401 (imports the true Learner by name)
    from textgen.training.measuring import Measured

    def measure(plan, learner, started, reporter):
        return Measured(plan, learner, seconds_per_step=1.0)

    with (
        mock.patch("textgen.training.learner.Learner", return_value=learner),
        mock.patch("textgen.training.measuring.measure", measure),
    ):
        yield


def resume(models_dir: Path, at: dict | None = None, name: str = "novel") -> tuple[TrainingResult, Watcher]:
    """Go on with the run that `models_dir/name` has come to."""
    watcher = Watcher(at)
    return run_plan(resumed_plan(models_dir, name), watcher), watcher


# ---- what they leave


def metrics_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in (path / model_directory.METRICS).read_text().splitlines()]


def what_no_clock_touches(path: Path) -> dict:
    """Everything in a model directory that must not depend on how the run went."""
    config = json.loads((path / model_directory.CONFIG).read_text())
    return {
        "weights": (path / model_directory.WEIGHTS).read_bytes(),
        "tokenizer": (path / model_directory.TOKENIZER).read_bytes(),
        "samples": (path / model_directory.SAMPLES).read_bytes(),
        "metrics": [without_clock(row) for row in metrics_of(path)],
        "config": config | {"results": without_clock(config["results"])},
    }


def without_clock(fields: dict) -> dict:
    return {name: value for name, value in fields.items() if name not in CLOCK_FIELDS}


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """Every path below `folder`, with its content where it is a file."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
