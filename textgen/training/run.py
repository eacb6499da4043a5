"""A run from beginning to end: plan, rehearse, loop, and the finished model directory.

What goes in: texts and settings. What comes out: a sealed model directory and its result. A run that ends early, for
whatever reason, leaves checkpoints that `resume=True` goes on from.
"""

import contextlib
import dataclasses
import json
import math
import time
from pathlib import Path
from typing import NamedTuple

from textgen import atomic_files, model_store
from textgen.dataset import count_token_ids
from textgen.errors import CheckpointError, ModelError
from textgen.generation.generator import Generator
from textgen.generation.numpy_engine import NumpyEngine
from textgen.model.devices import Device, choose_device
from textgen.model.language_model import build_model
from textgen.records import ModelRecord, ResultRecord, installed_versions
from textgen.training import budget
from textgen.training.checkpoints import Checkpoint, Progress, resume_command
from textgen.training.loop import Loop
from textgen.training.novelty import Origins, count_origins
from textgen.training.plan import Plan
from textgen.training.reporting import Evaluated, Reporter
from textgen.training.run_directory import replacing
from textgen.training.step import TrainStep
from textgen.training.stopping import Stopped, StopRequest
from textgen.training.validation import Validation

EVALUATIONS = 10  # in a run, unless --sample-every says otherwise
CHECKPOINT_SECONDS = 30
EVALUATION_TOKENS = 32_768  # of the validation part, in the evaluations of a run; the last one takes all
EVALUATION_LOGITS = 2**26  # fewer tokens where the vocabulary is large: each costs as much as its logits
FINAL_TOKENS = 2_000_000
FINAL_LOGITS = 2**33


class TrainingResult(NamedTuple):
    """What `train` returns; `stopped_by` is the signal's number when somebody stopped it."""

    name: str
    path: Path
    results: ResultRecord
    stopped_by: int | None


class Run:
    """One run of a plan; `device` says where it computes."""

    def __init__(self, plan: Plan, reporter: Reporter | None = None, *, started: float | None = None):
        """Args: started: `time.perf_counter()` when the command began; minutes are counted from there."""
        self.reporter = reporter or Reporter()
        self.started = time.perf_counter() if started is None else started
        self.initial_loss: float | None = None  # of the model that the run begins with
        self.seconds_per_step: float | None = None
        self.deadline: float | None = None  # of a budget of minutes: when the last step should be done
        self._build(plan)

    def _build(self, plan: Plan) -> None:
        """The model, its training step and its evaluations."""
        self.plan = plan
        self.device: Device = choose_device(plan.model.cell)
        token_counts = count_token_ids(plan.train_ids, plan.model.vocabulary_size)
        training = plan.training
        self.model = build_model(
            plan.model,
            training.seed,
            token_counts if training.unigram_bias else None,
            recurrent_initializer=training.recurrent_initializer,
            forget_bias=training.forget_bias,
        )
        if plan.initial_weights is not None:
            self.model.set_named_weights(plan.initial_weights)
        with_xla = self.device.name == "CPU"
        self.step = TrainStep(
            self.model,
            training,
            compile_with_xla=with_xla,
            token_counts=token_counts,
            document_end=plan.tokenizer.eod_id,
        )
        self.validate = self.validate_fully = None
        if plan.has_validation:
            final_tokens = min(FINAL_TOKENS, FINAL_LOGITS // plan.model.vocabulary_size)
            self.validate_fully = Validation(self.model, plan.validation_ids[:final_tokens], compile_with_xla=with_xla)
            most = max(EVALUATION_TOKENS // 8, EVALUATION_LOGITS // plan.model.vocabulary_size)
            self.validate = self.validate_fully.limited(min(EVALUATION_TOKENS, most))

    def measure(self) -> None:
        """Measure the speed, for the expected time; turn minutes, if they are the budget, into a number of steps."""
        if self.seconds_per_step is not None:
            return
        if self.plan.parent is not None:
            self.initial_loss = self.validate() if self.validate else None
            self.reporter.inherited(self.plan, self.initial_loss)
        self.reporter.measuring()
        minutes = self.plan.training.minutes or 0.0
        speed = budget.rehearse(self.plan, self.step, self.validate, minutes * 60)
        tokens_per_second = self.plan.training.batch_size * self.plan.training.sequence_length / speed.seconds_per_step
        better = self.plan.at_speed(tokens_per_second)
        if better is not self.plan:
            self.reporter.planned_again(better, tokens_per_second)
            self._build(better)
            speed = budget.rehearse(self.plan, self.step, self.validate, minutes * 60)
        self.seconds_per_step = speed.seconds_per_step
        if self.plan.total_steps is not None:
            return
        left = minutes * 60 - (time.perf_counter() - self.started)
        final = 0.0
        if self.validate and self.validate_fully:
            final = speed.seconds_per_evaluation * self.validate_fully.num_counted / self.validate.num_counted
        self.deadline = max(0.0, minutes * 60 - final - budget.SAVING_SECONDS)
        left *= 1 - budget.saving_share(self.plan.num_parameters, CHECKPOINT_SECONDS)
        steps = budget.steps_in(left, speed, EVALUATIONS, final)
        self.plan = dataclasses.replace(self.plan, total_steps=steps)

    def train(
        self, checkpoint: Checkpoint | None = None, *, overwrite: bool = False, stop: StopRequest | None = None
    ) -> TrainingResult:
        """Make all steps, from `checkpoint` on if there is one, and write the model directory.

        Args:
            stop: of a caller who listens to signals already.

        Raises:
            Stopped: by a signal before the first step.
        """
        with contextlib.nullcontext(stop) if stop else StopRequest() as stop:
            if checkpoint is None:
                with stop.raising():
                    self.measure()
            self.reporter.started(self.plan, checkpoint.progress.step if checkpoint else 0, self.seconds_per_step)
            loop = Loop(self.plan, self.step, self.validate, self.reporter, self._record)
            with replacing(self.plan.path, overwrite and checkpoint is None) as finished:
                if checkpoint:
                    loop.restore(checkpoint)
                else:
                    self._begin(loop)
                results = self._run_to_the_end(loop, stop)
                if results is None:
                    return self._result(self._record(loop.progress, loop.history).results, stop.signal_number)
                finished()
        return self._result(results, None)

    def _begin(self, loop: Loop) -> None:
        try:
            loop.begin(self._new_progress(), self.deadline)
        except CheckpointError as problem:
            raise CheckpointError(
                f"{problem}. Nothing was begun; make room there, or use another --models-dir"
            ) from problem

    def _run_to_the_end(self, loop: Loop, stop: StopRequest) -> ResultRecord | None:
        """The results in the finished model directory; None when somebody stopped the run, which is saved then."""
        path = self.plan.path
        try:
            if not loop.run(stop):
                return None
            with stop.raising():
                record = self._final_record(loop)
        except CheckpointError as problem:
            raise CheckpointError(f"{problem}. Once that is mended: {resume_command(path)}") from problem
        except Stopped:
            return None
        try:
            self._write(loop, record)
        except OSError as problem:
            raise ModelError(
                f"cannot write the model in {path}: {problem.strerror or problem}. "
                f"The run is saved; once that is mended: {resume_command(path)}"
            ) from problem
        return record.results

    def _new_progress(self) -> Progress:
        config, total = self.plan.training, self.plan.total_steps or 1
        every_30_seconds = int(CHECKPOINT_SECONDS / (self.seconds_per_step or CHECKPOINT_SECONDS))
        return Progress(
            total_steps=total,
            evaluate_every=config.sample_every or max(1, math.ceil(total / EVALUATIONS)),
            checkpoint_every=config.checkpoint_every or max(1, every_30_seconds),
            best_loss=self.initial_loss,
            seconds=time.perf_counter() - self.started,
        )

    def _final_record(self, loop: Loop) -> ModelRecord:
        """Evaluate the best weights on the whole validation part."""
        self.model.set_named_weights(loop.best_weights)
        final_loss = self.validate_fully() if self.validate_fully else None
        seconds = time.perf_counter() - loop.clock
        origins = self._origins(loop)
        return self._record(dataclasses.replace(loop.progress, seconds=seconds), loop.history, final_loss, origins)

    def _write(self, loop: Loop, record: ModelRecord) -> None:
        """Seal the model directory; the checkpoints have had their day. Raises OSError."""
        path = self.plan.path
        model_store.write_model_files(path, record, self.plan.tokenizer, loop.best_weights)
        rows = [json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in loop.history]
        atomic_files.write_bytes(path / model_store.METRICS, "".join(rows).encode())
        atomic_files.write_bytes(path / model_store.SAMPLES, _samples_text(loop.history).encode())
        model_store.seal(path, model_store.MODEL_FILES)
        with contextlib.suppress(OSError):  # the model is whole; the next run removes what is left
            atomic_files.remove_directory(path / model_store.CHECKPOINTS)

    def _origins(self, loop: Loop) -> Origins:
        """Whether the model writes documents of its own, once it has learned what a document is."""
        if not self.plan.text.has_documents:
            return Origins()
        generator = Generator(self.plan.tokenizer, NumpyEngine(self.plan.model, loop.best_weights))
        return count_origins(generator, self.plan.prepared)

    def _record(
        self,
        progress: Progress,
        history: tuple[Evaluated, ...],
        final_loss: float | None = None,
        origins: Origins = Origins(),  # noqa: B008 (immutable)
    ) -> ModelRecord:
        loss = progress.best_loss if final_loss is None else final_loss
        config = self.plan.training
        tokens = progress.step * config.batch_size * config.sequence_length
        results = ResultRecord(
            parameters=self.plan.num_parameters,
            vocabulary_size=self.plan.model.vocabulary_size,
            steps=progress.step,
            total_steps=progress.total_steps,
            best_step=progress.best_step,
            epochs=self.plan.batches.epoch_of(progress.step),
            train_loss=history[-1].train_loss if history else None,
            validation_loss=loss,
            validation_bits_per_character=None
            if loss is None
            else loss * self.plan.tokens_per_character() / math.log(2),
            tokens_per_second=tokens / progress.train_seconds if progress.train_seconds else 0.0,
            seconds=progress.seconds,
            **origins._asdict(),
        )
        plan = self.plan
        return ModelRecord(plan.model, plan.text, config, plan.corpus, results, installed_versions(), plan.parent)

    def _result(self, results: ResultRecord, stopped_by: int | None) -> TrainingResult:
        return TrainingResult(self.plan.name, self.plan.path, results, stopped_by)


def _samples_text(history: tuple[Evaluated, ...]) -> str:
    return "".join(f"--- step {row.step}, epoch {row.epoch:.2f}\n{row.sample}\n\n" for row in history)
