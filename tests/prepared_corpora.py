"""Corpora that are written, prepared and found again in an empty folder, for the tests of preparation."""

import os
from pathlib import Path

import pytest

from textgen.config import TextConfig
from textgen.corpus import open_corpus
from textgen.dataset import Prepared, prepare
from textgen.dataset.split import Split

LINES = TextConfig(level="char", documents="line")
NAMES = "".join(f"{first}{second}\n" for first in ("Ann", "Bob", "Cid", "Dee") for second in ("", "a", "e", "y", "ie"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working directory and an empty cache."""
    monkeypatch.setenv("TEXTGEN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepared_of(
    *sources: str, config: TextConfig | None = None, val_fraction: float = 0.1, seed: int = 0, **options
) -> Prepared:
    return prepare(open_corpus(sources, config or TextConfig(level="char")), Split(val_fraction, seed), **options)


def entries() -> list[str]:
    """The names of everything in the cache, hidden or not."""
    return sorted(os.listdir("cache/prepared")) if os.path.isdir("cache/prepared") else []
