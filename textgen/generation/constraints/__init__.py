"""What a completion must be as a whole: a text that matches a pattern, and that holds some words.

    patterns    a regular expression -> a graph of the characters that it reads
    automaton   the graph and a set of characters -> which characters may follow, found as they are needed
    tokens      a tokenizer -> what each id costs, and after which it is barred
    reach       the automaton and the tokens -> how much more text a match needs at least
    matching    a steering for `regex`, with and without words
    including   a steering for `must_include` alone
    rows        what the two steerings share: where each text of a batch is, and whether it is over

Words alone are followed by plans to write them one after the other, which cost little however many there are. Where no
plan has room, as where words must overlap, a few words are followed exactly, as with a pattern.

An id is allowed where a match can still be reached in the rest of the length. So no text runs into a dead end, and
none is thrown away.
"""

import contextlib
import dataclasses
import re

from textgen.config import SamplingConfig
from textgen.errors import SettingError
from textgen.generation.barred import Barred
from textgen.generation.constraints.including import Including, NoPlanError, graph_of, needed
from textgen.generation.constraints.items import TooLargeError
from textgen.generation.constraints.matching import Matching
from textgen.generation.constraints.rows import Constraint
from textgen.generation.constraints.tokens import Tokens, UnwritableError
from textgen.generation.state import Context
from textgen.messages import shown
from textgen.tokenizers import Tokenizer, WordTokenizer

LONGEST = 2**31 - 1
MOST_TRIED = 10  # banned texts that are looked at one by one


def constraint_of(tokenizer: Tokenizer, config: SamplingConfig, context: Context) -> Constraint:
    """What `config` asks of a completion behind `context`.

    Raises SettingError where the pattern is none that can be followed, or no text in the length is what is asked for.
    """
    try:
        return _constraint(tokenizer, config, context)
    except UnwritableError as problem:
        if problem.was_dear:  # advice asks the same of other settings, one by one
            raise
        advice = _ban_in_the_way(tokenizer, config, context)
        if not advice and isinstance(tokenizer, WordTokenizer):
            advice = _advice(tokenizer, config, context)
        raise SettingError(f"{problem} {advice}") if advice else problem from None


def _ban_in_the_way(tokenizer: Tokenizer, config: SamplingConfig, context: Context) -> str:
    """What of `ban` keeps a text from being written that could be without; "" where that is not the reason."""

    def can_be_written(ban: tuple[str, ...]) -> bool:
        try:
            return bool(_constraint(tokenizer, config.replace(length=LONGEST, ban=ban), context))
        except SettingError:
            return False

    if not config.ban or not can_be_written(()):
        return ""
    banned = [text for text in config.ban[:MOST_TRIED] if not can_be_written((text,))]
    names = ": " + ", ".join(shown(repr(text)) for text in banned) if banned else ""
    return f"beside what `ban` forbids{names}. Leave one of them out"


def _advice(tokenizer: Tokenizer, config: SamplingConfig, context: Context) -> str:
    """What would let a word model write what it cannot; "" where nothing would."""
    config = config.replace(length=LONGEST)
    blank = dataclasses.replace(context, recent=context.recent[:0])
    spelling = "with the words that it knows. `new_words` lets it spell others"
    beginning = "behind this prompt. Let it begin with a space or a sign, as a word model goes on from a word"
    tried = [(spelling, config.replace(new_words=True), context), (beginning, config, blank)]
    if config.regex is not None:
        with contextlib.suppress(SettingError):  # it may be too long, or nested too deeply, with a space before it
            tried.append((beginning, config.replace(regex=_behind_space(config.regex)), context))
    for advice, other_config, other_context in tried:
        with contextlib.suppress(SettingError):
            _constraint(tokenizer, other_config, other_context)
            return advice
    return ""


def _behind_space(pattern: str) -> str:
    """A pattern of what `pattern` matches with a space before it."""
    rest = re.sub(r"\A(?:\(\?[aiLmsux]+\))+", "", pattern)
    flags = pattern.removesuffix(rest)  # which must come first
    end_of_comment = "\n" if "x" in flags else ""
    return f"{flags}[ ](?:{rest}{end_of_comment})"


def _constraint(tokenizer: Tokenizer, config: SamplingConfig, context: Context) -> Constraint:
    tokens = Tokens(tokenizer, config, Barred.of(tokenizer, config))
    state = tokens.state_of(context.recent)
    last = tokens.texts[context.recent[-1]] if len(context.recent) else ""
    is_behind_letter = re.search(r"\w\Z", last) is not None
    graphs = [graph_of(word, tokens.marks) for word in needed(config.must_include)]
    others = [(graph, behind_letter if is_behind_letter else start) for graph, start, behind_letter in graphs]
    if config.regex is not None:
        return Matching(tokens, state, config.regex, others)
    try:
        return Including(tokens, state, config.must_include, is_behind_letter)
    except NoPlanError as problem:
        try:
            return Matching(tokens, state, None, others)
        except TooLargeError:
            raise problem from None
