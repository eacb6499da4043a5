"""What a writer can type that cannot be done."""

from textgen.errors import TextgenError


class CommandError(TextgenError):
    """Seen by whoever types a command that cannot be done; the session goes on as it was."""
