"""A run from its request to its result: plan, measure, train, and the finished model directory.

A run that ends early, for whatever reason, leaves checkpoints that `Request(resume=True)` goes on from.
"""

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING

from textgen.corpus.remembered import remember
from textgen.dataset.split import Split
from textgen.errors import CheckpointError, ModelError, WorkerError
from textgen.generation.generator import Generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.messages import counted
from textgen.records import ModelRecord
from textgen.store import atomic, model_directory
from textgen.store.checkpoints import Checkpoint
from textgen.store.lock import RunLock
from textgen.store.manifest import seal
from textgen.store.run_directory import remove_checkpoints, replacing
from textgen.store.tensors import rounded
from textgen.tensorflow_runtime import check_not_forked, num_threads, quiet_import
from textgen.training.advice import resume_command
from textgen.training.copy_index import make_copy_index
from textgen.training.novelty import Origins, count_origins, find_longest_copy
from textgen.training.plan import Plan, make_plan
from textgen.training.reporting import Reporter
from textgen.training.request import Request
from textgen.training.results import TrainingResult, record_of, write_history
from textgen.training.signals import Stopped, StopRequest
from textgen.workers.team import Team

if TYPE_CHECKING:
    from textgen.training.trainer import Trainer


def train(
    request: Request,
    reporter: Reporter | None = None,
    *,
    started: float | None = None,
    stop: StopRequest | None = None,
    team: Team | None = None,
) -> TrainingResult | None:
    """Do what `request` asks for.

    Args:
        reporter: told what happens; None is silent.
        started: `time.perf_counter()` when the command began; minutes are counted from there.
        stop: what ends the run before its time; None listens to signals alone.
        team: the workers that train with this process, the chief; None trains alone.

    Returns:
        None for a dry run.

    Raises:
        TextgenError: whatever keeps the run from starting or going on.
        Stopped: by a signal before the first step.
    """
    check_not_forked()
    reporter = reporter or Reporter()
    started = time.perf_counter() if started is None else started
    with RunLock() as lock, stop or StopRequest() as stop:
        with stop.raising():
            plan = make_plan(request, None if request.dry_run else lock, reporter.preparing, reporter.begins)
        reporter.planned(plan)
        result = carry_out(plan, reporter, stop, started=started, dry_run=request.dry_run, team=team)
    if result is not None:
        reporter.finished(result)
    return result


def carry_out(
    plan: Plan,
    reporter: Reporter,
    stop: StopRequest,
    *,
    started: float,
    dry_run: bool = False,
    team: Team | None = None,
) -> TrainingResult | None:
    """Train what is planned, and write the model directory; as `train`.

    Args:
        stop: is listening to signals.
    """
    if team is not None:
        team.cluster.rows_of(plan.training.batch_size)  # raises where there are too few
        team.asked_to_stop, team.leaving = stop.ask, reporter.close
        team.start()
    quiet_import(threads=plan.training.cores, starts=team is None)
    # Only now: a bad request is refused before TensorFlow is imported.
    from textgen.training.learner import Learner  # noqa: PLC0415
    from textgen.training.measuring import measure  # noqa: PLC0415
    from textgen.training.trainer import Trainer  # noqa: PLC0415

    with stop.raising():
        if team is not None:
            team.connect(plan.training.cores)
            reporter.noted(team.cluster.described(plan.training.batch_size))
        learner = Learner(plan, team=team)
        reporter.placed(learner.device)
        if plan.training.cores not in (None, num_threads()):
            reporter.noted(
                f"TensorFlow has started with {counted(num_threads(), 'thread')} in this process, and this run is for "
                f"{counted(plan.training.cores, 'core')}; a new process would keep its bytes"
            )
        checkpoint = plan.begins if isinstance(plan.begins, Checkpoint) else None
        measured = None if checkpoint else measure(plan, learner, started, reporter)
    if measured is not None:
        plan, learner = measured.plan, measured.learner
    seconds_per_step = measured and measured.seconds_per_step
    if dry_run:
        reporter.would_start(plan, seconds_per_step)
        return None
    remember(plan.corpus)
    reporter.started(plan, checkpoint.progress.step if checkpoint else 0, seconds_per_step)
    trainer = Trainer(plan, learner, reporter)
    with replacing(plan.path, plan.overwrite) as finished:
        if measured is not None:
            trainer.begin(measured, started)
        elif checkpoint is not None:
            trainer.restore(checkpoint)
        record = _run_to_the_end(trainer, stop)
        if record is None:
            return TrainingResult(plan.name, plan.path, trainer.record.results, stop.signal_number)
        finished()
    return TrainingResult(plan.name, plan.path, record.results, None)


def _run_to_the_end(trainer: "Trainer", stop: StopRequest) -> ModelRecord | None:
    """The record of the finished model directory; None when somebody stopped the run, which is saved then."""
    plan, path = trainer.plan, trainer.plan.path
    try:
        if not trainer.run(stop):
            return None
        if trainer.learner.team is not None:
            trainer.learner.team.finish()
        with stop.raising():
            record = _final_record(trainer)
    except CheckpointError as problem:
        raise CheckpointError(f"{problem}. Once that is mended: {resume_command(path)}") from problem
    except WorkerError as problem:
        raise WorkerError(f"{problem}. The run is saved up to its last checkpoint: {resume_command(path)}") from problem
    except Stopped:
        return None
    try:
        with atomic.opened(path.parent, path.name):  # or a link would lead to another place
            storage = record.training.storage
            if record.training.copy_index:
                with stop.raising():
                    split = Split(plan.training.val_fraction, plan.training.seed)
                    num_bytes = make_copy_index(path / model_directory.COPY_INDEX, plan.prepared, split)
                trainer.reporter.noted(f"the index of the text is made: {num_bytes:,} bytes, which hold the whole text")
            model_directory.write_model_files(path, record, plan.tokenizer, trainer.best_weights, storage)
            write_history(path, trainer.history)
            seal(path, model_directory.model_files(record))
    except Stopped:
        return None
    except OSError as problem:
        raise ModelError(
            f"cannot write the model in {path}: {problem.strerror or problem}. "
            f"The run is saved; once that is mended: {resume_command(path)}"
        ) from problem
    with contextlib.suppress(OSError):  # the model is whole; the next run removes what is left
        remove_checkpoints(path)
    return record


def _final_record(trainer: "Trainer") -> ModelRecord:
    """Evaluate the best weights on the whole validation part, and look at what the model writes.

    They are evaluated as they will be read back: after rounding, where they are not stored as float32.
    """
    plan, learner = trainer.plan, trainer.learner
    weights = rounded(trainer.best_weights, plan.training.storage)
    learner.model.set_named_weights(weights)
    final_loss = learner.validate_fully() if learner.validate_fully else None
    progress = dataclasses.replace(trainer.progress, seconds=trainer.seconds)
    writer = Generator(plan.tokenizer, NumpyEngine(plan.model, weights))
    origins = count_origins(writer, plan.prepared) if plan.text.has_documents else Origins()
    copy = find_longest_copy(writer, plan.prepared)
    return record_of(plan, progress, trainer.history, final_loss, origins, copy)
