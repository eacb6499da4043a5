"""What decides where texts go that continue one context: what is barred, what steers them, and where each ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from textgen.config import SamplingConfig
from textgen.errors import DeadEndError, SettingError
from textgen.generation.banning import stands_in
from textgen.generation.barred import Barred
from textgen.generation.ending import Ending
from textgen.generation.state import Context
from textgen.generation.steering import First, Steering, Together
from textgen.messages import shown
from textgen.tokenizers import Tokenizer

if TYPE_CHECKING:
    from textgen.generation.constraints.rows import Constraint
    from textgen.generation.max_copy import CopyRules


class Following:
    """The rules for texts that continue `context` under `config`."""

    def __init__(
        self, tokenizer: Tokenizer, context: Context, config: SamplingConfig, copy_rules: "Callable[[], CopyRules]"
    ):
        """Args: copy_rules: asked where `config` limits copying.

        Raises:
            SettingError: no text in the length is what `config` asks for.
            TextgenError: what is needed of the training text is not there.
        """
        self.tokenizer, self.context, self.config = tokenizer, context, config
        self.barred = Barred.of(tokenizer, config)
        self._copy_rules = copy_rules() if config.max_copy else None
        self._constraint: Constraint | None = None
        if config.is_constrained:
            from textgen.generation.constraints import constraint_of  # noqa: PLC0415

            self._check_words()
            self._constraint = constraint_of(tokenizer, config, context)

    def rows(self, number: int, first: np.ndarray | None = None) -> tuple[list[Ending], Steering | None]:
        """What follows each of so many texts, and what steers all of them; None is nothing.

        Args: first: bool [V], the ids of which each text begins with one; None is any.
        """
        steerings: list[Steering] = []
        endings = [Ending(self.tokenizer, self.config) for _ in range(number)]
        if self._constraint is not None:
            from textgen.generation.constraints.rows import Rows  # noqa: PLC0415

            rows = Rows(self._constraint, number)
            endings = [Ending(self.tokenizer, self.config, row) for row in rows.rows]
            steerings.append(rows)
        if self._copy_rules is not None:
            from textgen.generation.max_copy import MaxCopy  # noqa: PLC0415

            steerings.append(MaxCopy(self._copy_rules, self.tokenizer, self.context, number))
        if first is not None:
            steerings.append(First(first, number))
        return endings, steerings[0] if len(steerings) == 1 else Together(steerings) if steerings else None

    def _check_words(self) -> None:
        """Raise SettingError where a word that the text must hold is none that it may hold."""
        for word in self.config.must_include:
            if self._copy_rules is not None and self._copy_rules.copies(word):
                raise SettingError(
                    f"`must_include` asks for {shown(repr(word))}, in which the training text is copied for more than "
                    f"`max_copy={self.config.max_copy}` characters. Give a larger `max_copy`, or leave that out"
                )
            if banned := next((text for text in self.config.ban if stands_in(text, word)), None):
                raise SettingError(
                    f"`must_include` asks for {shown(repr(word))}, which holds what `ban` forbids: "
                    f"{shown(repr(banned))}. Leave one of them out"
                )

    def check(self, ending: Ending) -> None:
        """Raise DeadEndError where the text is over without being what a constraint asks for.

        A text that keeps to a constraint alone never comes to such a place.
        """
        if ending.reason == "nothing" and self._constraint is not None:
            raise DeadEndError(
                "the text came to a place where the rules together allow nothing more, before it was what it must be. "
                "Try another seed, or loosen what is banned, repeated or copied"
            )


def check_together(config: SamplingConfig) -> None:
    """Raise SettingError where settings contradict each other that only mean something to a text as a whole."""
    if config.beams == 1:
        return
    if config.temperature != 0:
        raise SettingError("`beams` looks for the likeliest text and draws nothing. Set `temperature=0`, too")
    if config.is_constrained or config.max_copy:
        name = "max_copy" if config.max_copy else "must_include" if config.regex is None else "regex"
        raise SettingError(f"`beams` and `{name}` do not work together. Leave one of them out")
