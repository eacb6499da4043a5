"""Every error that a user can cause. The command line shows each as one line and exits with its `exit_status`."""


class TextgenError(Exception):
    """The base: the input or the machine does not allow what was asked for."""

    exit_status = 1


class SettingError(TextgenError, ValueError):
    """A setting is outside its range. This is wrong usage, so the exit status is 2."""

    exit_status = 2


class CorpusError(TextgenError):
    """A text is missing, empty, too short or not in the stated encoding."""


class DownloadError(CorpusError):
    """A corpus did not arrive whole and as catalogued."""


class TokenizerError(TextgenError):
    """A tokenizer cannot take a text, or its file is damaged."""


class ModelError(TextgenError):
    """A model does not exist, is damaged, or would be overwritten."""


class CheckpointError(ModelError):
    """A checkpoint cannot be written."""


class TrainingError(TextgenError):
    """A run cannot start or go on."""


class ExportError(TextgenError):
    """An export cannot be written, or fails its comparison with the model."""
