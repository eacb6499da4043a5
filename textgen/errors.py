"""Every error that a user can cause. The command line shows each as one line and exits with its `exit_status`.

They survive pickling, since those of a process of `multiprocessing` reach its parent in that way.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class TextgenError(Exception):
    """The base. Seen by users whose input or machine does not allow what they asked for."""

    exit_status = 1


class SettingError(TextgenError, ValueError):
    """Seen by users who pass a setting outside its range. This is wrong usage, so the exit status is 2."""

    exit_status = 2


class WrongTypeError(SettingError, TypeError):
    """Seen by users who pass an argument or a setting of a type that it cannot have."""


class DeadEndError(TextgenError):
    """Seen by users whose rules together leave a text nowhere to go before it is what it must be.

    Where several texts were asked for in Python, the others are made all the same.

    Attributes:
        completions: the others, as `Model.samples` returns them, in order.
        samples: the numbers of the samples that came to a dead end.
    """

    completions: "Sequence[Any]" = ()
    samples: "Sequence[int]" = ()


class CorpusError(TextgenError):
    """Seen by users who name a text that is missing, empty, too short or not in the stated encoding."""


class DownloadError(CorpusError):
    """Seen by users who fetch a corpus that does not arrive whole and as catalogued."""


class TokenizerError(TextgenError):
    """Seen by users who give text that a tokenizer cannot take, or a damaged tokenizer file."""


class ModelError(TextgenError):
    """Seen by users who name a model that does not exist, is damaged, or would be overwritten."""


class FormatError(ModelError):
    """Seen by users whose model another version of textgen made; `found` is its format."""

    def __init__(self, path: object, found: int, known: int):
        other = "an older" if found < known else "a newer"
        advice = "Use the version that made it, or train it again" if found < known else "Use a newer version"
        super().__init__(f"{path} is of format {found}, {other} one than this textgen reads ({known}). {advice}")
        self.found = found
        self._arguments = str(path), found, known

    def __reduce__(self) -> tuple[type["FormatError"], tuple[str, int, int]]:
        return FormatError, self._arguments


class CheckpointError(ModelError):
    """Seen by users whose disk cannot take a checkpoint."""


class TrainingError(TextgenError):
    """Seen by users whose run cannot start or go on."""


class WorkerError(TrainingError):
    """Seen by users whose run has several processes, one of which has not come, has ended or does not answer."""


class ExportError(TextgenError):
    """Seen by users whose export cannot be written, or fails its comparison with the model."""


class TextgenWarning(UserWarning):
    """Seen by Python programs where the command line would print a notice: what was done with a text or a prompt."""
