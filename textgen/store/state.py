"""Where textgen remembers what it was used for: lines that were typed, corpora that were trained from, its key."""

import os
from pathlib import Path

import platformdirs

STATE_VARIABLE = "TEXTGEN_STATE_DIR"


def state_dir() -> Path:
    """The user's state directory of textgen, or the one that TEXTGEN_STATE_DIR names; it may be missing."""
    stated = os.environ.get(STATE_VARIABLE)
    return Path(stated) if stated else platformdirs.user_state_path("textgen")
