"""What a person sees of a run, and plans to be looked at."""

import io
from pathlib import Path

import numpy as np
from conftest import model_config, training_config
from rich.console import Console

from textgen.config import TextConfig
from textgen.dataset import Prepared
from textgen.recipe import Recipe
from textgen.records import CorpusRecord
from textgen.store.model_directory import StoredModel
from textgen.tokenizers import CharacterTokenizer
from textgen.training.plan import Plan
from textgen.training.terminal import TerminalReporter


class Screen:
    """What a person sees: a reporter, and what it has written."""

    def __init__(
        self, *, terminal: bool = False, width: int = 100, height: int = 40, verbose: bool = False, **settings
    ):
        self.file = io.StringIO()
        self.console = Console(
            file=self.file,
            force_terminal=terminal,
            width=width,
            height=height,
            record=True,
            highlight=False,
            **{"color_system": "standard", "_environ": {"TERM": "xterm"}} | settings,
        )
        self.reporter = TerminalReporter(self.console, is_verbose=verbose)

    @property
    def lines(self) -> list[str]:
        """The text without colours; what is read is gone."""
        return self.console.export_text().splitlines()


def shown_plan(
    notes: tuple[str, ...] = (),
    num_documents: int = 0,
    training: dict | None = None,
    level: str = "char",
    documents: str = "whole",
    begins: StoredModel | None = None,
    recipe: Recipe | None = None,
    **shape,
) -> Plan:
    """A plan to be looked at: of 4,000 steps, on a text that is not there."""
    ids = np.zeros(100_000, np.uint8)
    return Plan(
        path=Path("saved_models", "novel"),
        text=TextConfig(level=level, documents=documents),
        model=model_config(**{"vocabulary_size": 65, "embedding_size": 64} | shape),
        training=training_config(steps=4000, **training or {}),
        corpus=CorpusRecord(name="novel", characters=111_111, documents=num_documents),
        prepared=Prepared(
            tokenizer=CharacterTokenizer("ab"),
            train_ids=ids,
            validation_ids=ids[:11_111],
            sha256="",
            characters=111_111,
            num_documents=num_documents,
            num_validation_documents=num_documents // 10,
            notes=notes,
        ),
        total_steps=4000,
        begins=begins,
        recipe=recipe,
        notes=notes,
    )
