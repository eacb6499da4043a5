"""The commands that messages tell a user to type."""

import shlex
from pathlib import Path

from textgen.store import model_directory


def resume_command(path: Path, corpus: str = "") -> str:
    """What goes on with the run in the model directory `path`, with its `corpus` named if it must be."""
    named = f"{corpus} " if corpus else ""
    return f"textgen train {named}--resume --name {shlex.quote(path.name)}{models_dir_flag(path)}"


def sample_command(path: Path) -> str:
    """What lets the model in `path` write."""
    return f"textgen sample {shlex.quote(path.name)}{models_dir_flag(path)}"


def models_dir_flag(path: Path) -> str:
    """` --models-dir DIR` where the model in `path` is not where commands look for it."""
    is_default = path.parent == model_directory.default_models_dir()
    return "" if is_default else f" --models-dir {shlex.quote(str(path.parent))}"
