"""A model directory -> everything that is wrong with it, file by file.

Loading a model ends at the first problem; this reports one finding for every file of a finished model or an unfinished
run, sound or not, and for everything else that lies there. Nothing is written.

A run that goes on writes and removes checkpoints meanwhile. One that is removed before it was looked at as a whole is
left out, and where the model itself is finished or replaced meanwhile, it is looked at again.
"""

import codecs
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from textgen.errors import FormatError, ModelError, TextgenError
from textgen.records import Evaluated
from textgen.sketch import Sketch
from textgen.store import model_directory
from textgen.store.checkpoints import Checkpoint
from textgen.store.copy_index import CopyIndex
from textgen.store.lock import is_running
from textgen.store.manifest import ADVICE, MANIFEST, check_file, is_left_alone, read_manifest
from textgen.store.strict_json import FORMAT, open_plain, parse_json, unreadable
from textgen.store.tensors import check_finite, read_tensors

BLOCK_BYTES = 2**20
LOOKS = 20  # at a directory that changes
MAX_LINE_BYTES = 2**22  # of metrics.jsonl: an evaluation, with its sample


LEFT = "left by an interrupted save; it does no harm and may be deleted"
WRITTEN = "being written"
EVALUATIONS = "the evaluations so far; it is written anew when the run goes on"


class Finding(NamedTuple):
    """What was found out about one file."""

    name: str  # its path in the model's directory
    problem: str | None = None  # what is wrong with it; None where nothing is
    note: str | None = None  # what is unusual about it and does no harm


class Verification(NamedTuple):
    """The result of verifying a model directory."""

    name: str
    path: Path
    is_finished: bool
    findings: tuple[Finding, ...]
    used: str | None  # the checkpoint that an unfinished run is sampled and resumed from; None where there is none
    is_running: bool = False  # whether a process trains it now

    @property
    def num_problems(self) -> int:
        """How many files are not as they must be."""
        return sum(finding.problem is not None for finding in self.findings)


def verify_model(name_or_path: str | Path, models_dir: Path) -> Verification:
    """Verify every file of the model of that name in `models_dir`, or at that path.

    Raises:
        ModelError: there is no such model; the directory holds neither a manifest nor a checkpoint, or is being
            written faster than it can be looked at.
        FormatError: another version of textgen made it.
    """
    for _ in range(LOOKS):
        path = model_directory.find_model(name_or_path, models_dir)
        before = _state(path)
        found = _verify_directory(path)
        if found is not None and _state(path) == before:
            return found
    if is_running(path):
        raise ModelError(f"{path} is being trained and changes all the time. Verify it when the run has ended")
    model_directory.load_model(name_or_path, models_dir)  # which says why it holds no model
    raise ModelError(f"{path} changes all the time. Verify it when nothing writes there")


def _verify_directory(path: Path) -> Verification | None:
    """What is found in the model directory `path`; None where nothing is that stays while it is looked at."""
    if model_directory.is_finished(path):
        found = _Directory(path, model_directory.MODEL_FILES).findings()
        return Verification(model_directory.model_name(path), path, True, tuple(found), None)
    findings: list[Finding] = []
    used, goes_on = None, is_running(path)
    for directory in model_directory.checkpoint_dirs(path):
        found = _checkpoint_findings(directory)
        if used is None and found and not any(finding.problem for finding in found):
            used = directory.name
        prefix = f"{model_directory.CHECKPOINTS}/{directory.name}/"
        findings += [finding._replace(name=(prefix + finding.name).rstrip("/")) for finding in found]
    if not findings:
        return None
    findings += _beside_checkpoints(path, goes_on)
    return Verification(model_directory.model_name(path), path, False, tuple(findings), used, goes_on)


def _state(path: Path) -> tuple[object, ...]:
    """Changes where the model at `path` is finished or replaced."""
    return _identity(path), model_directory.is_finished(path)


def _identity(directory: Path) -> tuple[int, int] | None:
    """Tells a directory from another one that takes its place; None where there is none."""
    try:
        found = os.lstat(directory)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _checkpoint_findings(directory: Path) -> list[Finding]:
    """The findings in a checkpoint; none where it was removed before all of it was looked at."""
    before = _identity(directory)
    if directory.is_symlink() or directory.parent.is_symlink() or not directory.is_dir():
        findings = [Finding("", "is a link or no directory, and is not looked into")]
    else:
        findings = _Directory(directory, model_directory.CHECKPOINT_FILES).findings()
    return findings if before is not None and _identity(directory) == before else []


def _beside_checkpoints(path: Path, goes_on: bool) -> list[Finding]:
    """A finding for everything in the directory of a run that is not a checkpoint."""
    unsealed = "of a model that was about to be finished; it is written anew when the run goes on"
    names_of_model = (*model_directory.MODEL_FILES, model_directory.COPY_INDEX)
    harmless = dict.fromkeys(names_of_model, WRITTEN if goes_on else unsealed)
    harmless[model_directory.METRICS] = WRITTEN if goes_on else EVALUATIONS
    names = [(name, name) for name in _names_in(path) if name != model_directory.CHECKPOINTS]
    folder = model_directory.CHECKPOINTS
    names += [
        (f"{folder}/{name}", name)
        for name in _names_in(path / folder)
        if not model_directory.CHECKPOINT_NAME.fullmatch(name)
    ]
    return [_beside(shown, name, harmless, WRITTEN if goes_on else LEFT) for shown, name in names]


def _names_in(directory: Path) -> list[str]:
    """The names in a directory, sorted; none where it was removed meanwhile. Raises ModelError."""
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise unreadable(directory, problem) from None


def _beside(shown: str, name: str, harmless: dict[str, str], temporary: str) -> Finding:
    """The finding for `name`, which is no part of a model.

    Args:
        harmless: notes on names that may be there.
        temporary: the note on a temporary.
    """
    if name in harmless:
        return Finding(shown, note=harmless[name])
    if name.startswith(".") and name.endswith(".tmp"):
        return Finding(shown, note=temporary)
    if is_left_alone(name):
        return Finding(shown, note="no part of the model; never read")
    return Finding(shown, "is no part of the model. Move it elsewhere")


class _Directory:
    """One sealed directory; `problems` holds the first problem of each file."""

    def __init__(self, path: Path, required: tuple[str, ...]):
        self.path, self.required = path, required
        self.problems: dict[str, str] = {}
        self.formats: dict[str, int] = {}  # of the files that are of another one

    def findings(self) -> list[Finding]:
        """A finding for every required file, and for every other file that is there."""
        is_model = self.required == model_directory.MODEL_FILES
        optional = (model_directory.COPY_INDEX,) if is_model else ()
        entries = self._try(MANIFEST, lambda path: read_manifest(path.parent, self.required, optional))
        self.required = tuple(entries or self.required)

        def check(path: Path) -> None:
            if entries is None:
                open_plain(path).close()
            else:
                check_file(path, *entries[path.name])

        for name in self.required:
            self._try(name, check)
        self._read_contents()
        formats = {self.formats.get(name) for name in (MANIFEST, model_directory.CONFIG)}
        if len(formats) == 1 and (found := formats.pop()) is not None:
            raise FormatError(self.path, found, FORMAT)
        names = (*self.required, MANIFEST)
        harmless = {}
        if is_model:
            harmless[model_directory.CHECKPOINTS] = "left from the training; no longer used, and may be deleted"
        beside = [_beside(name, name, harmless, LEFT) for name in _names_in(self.path) if name not in names]
        return [Finding(name, self.problems.get(name)) for name in names] + beside

    def _read_contents(self) -> None:
        """Read the contents of every file that agrees with the manifest; the manifest may agree with bad contents."""
        record = self._try(model_directory.CONFIG, model_directory.read_record)
        if record is not None:
            self._try(model_directory.CONFIG, lambda path: Sketch.from_text(record.corpus.sketch))
            self._try(model_directory.WEIGHTS, lambda path: model_directory.read_weights(path, record))
            self._try(model_directory.TOKENIZER, lambda path: model_directory.read_tokenizer(path, record))
            if model_directory.SAMPLES in self.required and MANIFEST not in self.problems:
                is_listed = model_directory.COPY_INDEX in self.required
                self._try(
                    MANIFEST, lambda path: model_directory.check_copy_index_stated(path.parent, record, is_listed)
                )
        for name, check in _CHECKS.items():
            if name in self.required:
                self._try(name, check)
        if model_directory.PROGRESS in self.required and not self.problems:
            self._try(model_directory.PROGRESS, lambda path: Checkpoint.read(path.parent))

    def _try(self, name: str, check: Callable[[Path], Any]) -> Any:
        """The result of `check` for the file `name`; None where the file has a problem, which is kept in `problems`."""
        path = self.path / name
        if name in self.problems:
            return None
        try:
            return check(path)
        except TextgenError as problem:
            if isinstance(problem, FormatError):
                self.formats[name] = problem.found
            said = str(problem).removeprefix(str(path)).removesuffix(f". {ADVICE}")
            self.problems[name] = said.lstrip(": ")
        return None


def _check_metrics(path: Path) -> None:
    """Every line must be an evaluation."""
    with open_plain(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            try:
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"it is longer than {MAX_LINE_BYTES:,} bytes")
                Evaluated.from_json(parse_json(line))
            except (ValueError, RecursionError, TextgenError) as problem:
                raise ModelError(f"{path}: line {number:,} is no evaluation: {problem}") from None


def _check_samples(path: Path) -> None:
    """It must be UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_plain(path) as file:
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as problem:
            raise ModelError(f"{path} is not UTF-8: {problem.reason}") from None


def _check_copy_index(path: Path) -> None:
    """Its text must be text, and its places those of the text, in their order."""
    try:
        CopyIndex.read(path).check()
    except ValueError as problem:
        raise ModelError(f"{path} is no index of a text: {problem}") from None


_CHECKS: dict[str, Callable[[Path], Any]] = {
    model_directory.COPY_INDEX: _check_copy_index,
    model_directory.METRICS: _check_metrics,
    model_directory.SAMPLES: _check_samples,
    model_directory.TRAINING_STATE: lambda path: check_finite(path, read_tensors(path)),
}
