"""Every error a user can cause. The command line shows each as one line and exits with `exit_status`."""


class TextgenError(Exception):
    """The base: seen by anybody whose input or machine does not allow what they asked for."""

    exit_status = 1


class SettingError(TextgenError, ValueError):
    """Seen by whoever passes a setting outside its range; wrong usage, so the exit status is 2."""

    exit_status = 2


class CorpusError(TextgenError):
    """Seen by whoever points at a text that is missing, empty, too short or not in the stated encoding."""


class DownloadError(CorpusError):
    """Seen by whoever fetches a corpus that does not arrive whole and as catalogued."""


class TokenizerError(TextgenError):
    """Seen by whoever gives text that a tokenizer cannot take, or a damaged tokenizer file."""


class ModelError(TextgenError):
    """Seen by whoever names a model that does not exist, is damaged, or would be overwritten."""


class CheckpointError(ModelError):
    """Seen by whoever's disk does not take a checkpoint."""


class TrainingError(TextgenError):
    """Seen by whoever's run cannot start or go on."""


class ExportError(TextgenError):
    """Seen by whoever exports a model that cannot be written, or that fails its comparison."""
